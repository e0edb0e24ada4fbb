"""The step that chooses the candidates for the reference method."""

from __future__ import annotations

from typing import Any

from aga.cycle import choose
from aga.store.documents import Step
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed
from aga.tasks.context import StepContext
from aga.tasks.steps.learn import all_failed

__all__ = ["acquire_picks", "candidates_of"]


def candidates_of(context: StepContext, iteration: int) -> list[Relaxed]:
    """Give every sound structure relaxed in an iteration, by name."""
    return context.repository.relaxed_structures(context.search_id, iteration)


def acquire_picks(context: StepContext) -> dict[str, Any]:
    """Choose the candidates for the reference method."""
    repository, search_id, settings = context.repository, context.search_id, context.settings.search
    calls = repository.count_reference(search_id)
    pool, under_way, number = candidates_of(context, context.step.iteration), [], None
    if settings.schedule == "concurrent":
        pool, under_way = _newest_candidates(context), _under_way(context)
        number = int(context.step.args["number"])
        _see_that_labels_come(context)
    acquisition = choose(
        pool,
        repository.frames(search_id),
        settings,
        calls=calls + len(under_way),
        number=number,
        pending=under_way,
    )
    picks = {pick.name: {"score": pick.score, "why": pick.why} for pick in acquisition.picks}
    repository.mark_picked(search_id, picks)
    return {
        "label": sorted(picks),
        "refused": dict(acquisition.refused),
        "calls": calls,
        "budget_spent": calls + len(under_way) >= settings.budget.reference_calls,
    }


def _newest_candidates(context: StepContext) -> list[Relaxed]:
    """Give what was relaxed on the committee in service and is in nobody's hands."""
    newest = context.repository.newest_step(context.search_id, "assess", state="done")
    iteration = 1 if newest is None else newest.iteration + 1
    return context.repository.relaxed_structures(context.search_id, iteration, stage="relaxed")


def _under_way(context: StepContext) -> list[Candidate]:
    """Give the structures whose labels wait or are computed."""
    repository, search_id = context.repository, context.search_id
    steps = repository.list_steps(search_id, state=["planned", "running"], kind="label")
    return [Candidate.from_dict(repository.get_structure(search_id, step.key)) for step in steps]


def _see_that_labels_come(context: StepContext) -> None:
    """Stop where every job of the choice before failed as they do on a broken machine."""
    before: list[Step] = context.repository.list_steps(
        context.search_id, kind="label", iteration=context.step.iteration - 1
    )
    if all(step.state in {"done", "failed"} for step in before):
        all_failed(before, f"choice {context.step.iteration - 1}")
