"""The step that chooses the candidates for the reference method."""

from __future__ import annotations

from typing import Any

from aga.cycle import choose, newcomers
from aga.store.documents import Step
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Relaxed
from aga.tasks.context import StepContext
from aga.tasks.situation import newest_assessment
from aga.tasks.steps.collect import all_failed

__all__ = ["acquire_picks", "candidates_of"]

LOST = "a new random crystal, since the committee could not be trusted with any relaxation"
"""Why a structure is labelled that was not bred."""

POOL = 500
"""Candidates that a choice of the concurrent schedule looks at: the lowest there are."""


def candidates_of(context: StepContext, iteration: int) -> list[Relaxed]:
    """Give every sound structure relaxed in an iteration, by name."""
    return context.repository.relaxed_structures(context.search_id, iteration)


def acquire_picks(context: StepContext) -> dict[str, Any]:
    """Choose the candidates for the reference method."""
    repository, search_id, settings = context.repository, context.search_id, context.settings.search
    calls = repository.count_reference(search_id, refined=False)
    prints: dict[str, FloatArray] = {}
    under_way: list[Candidate] = []
    number = None
    if settings.schedule == "concurrent":
        _see_that_labels_come(context)
        prints = repository.frame_fingerprints(search_id)
        lowest = _newest_candidates(context)
        prints |= {one.candidate.name: known for one, known in lowest}
        pool, under_way = [one for one, _ in lowest], _under_way(context)
        number = int(context.step.args["number"])
    else:
        pool = candidates_of(context, context.step.iteration)
    spent = calls + len(under_way)
    acquisition = choose(
        pool,
        repository.frames(search_id),
        settings,
        calls=spent,
        number=number,
        pending=under_way,
        prints=prints,
    )
    new = newcomers(
        acquisition, settings, iteration=context.step.iteration, calls=spent, number=number
    )
    repository.put_candidates(search_id, context.step.iteration, new)
    picks: dict[str, dict[str, Any]] = {
        pick.name: {"score": pick.score, "why": pick.why} for pick in acquisition.picks
    }
    picks |= {one.name: {"why": LOST} for one in new}
    repository.mark_picked(search_id, picks)
    return {
        "label": list(picks),
        "refused": dict(acquisition.refused),
        "calls": calls,
        "budget_spent": spent >= settings.budget.reference_calls,
    }


def _newest_candidates(context: StepContext) -> list[tuple[Relaxed, FloatArray]]:
    """Give what was relaxed on the committee in service and is in nobody's hands."""
    search = context.repository.get_search(context.search_id)
    newest = newest_assessment(context.repository, search)
    iteration = 1 if newest is None else newest.iteration + 1
    return context.repository.lowest_relaxed(context.search_id, iteration, POOL)


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
