"""The step that relaxes one of the best structures by the reference method."""

from __future__ import annotations

from typing import Any

from aga.cycle import prepared
from aga.errors import NotFoundError, OracleError
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.structure.allowed_cells import in_allowed_cell
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label
from aga.structure.relaxation_path import path_frames, relaxed_lineage, with_thin_path
from aga.tasks.context import StepContext
from aga.tasks.steps.learn import committee_of
from aga.tasks.steps.reference import (
    dropped,
    fresh_run_dir,
    labelled_frame,
    reference_method,
    waiting_answer,
)
from aga.units import ev_per_a3_from_gpa

__all__ = ["refine"]


def refine(context: StepContext) -> dict[str, Any]:
    """Relax one of the best structures with the reference method.

    Its end is stored as labelled data, and up to ``search.relaxation_frames`` of what it came
    through; an earlier attempt's frames stay. They are no results and no candidates, and they
    wait for no dataset.
    """
    repository, search_id, name = context.repository, context.search_id, context.step.key
    start = _finalist(context)
    labelled = _labelled_alike(context, start)
    oracle = reference_method(context)
    pressure = ev_per_a3_from_gpa(context.settings.search.pressure)
    waiting = waiting_answer(context, start, "relax")
    known = waiting.load()
    try:
        if known is not None and known[0] is not None:
            relaxed, answer = known[0], known[1]
        else:
            first = _prepared(context, start)
            relaxed, answer = oracle.relax(first, fresh_run_dir(context), pressure=pressure)
            number = context.settings.search.relaxation_frames
            answer = with_thin_path(answer, number, known=[relaxed, *labelled])
            waiting.save(relaxed, answer)
    except OracleError as error:
        return dropped(context, error)
    result = relaxed.renamed(f"{name}.ref", relaxed_lineage(start))
    path = path_frames(start, answer, oracle.name)
    _tell_what_is_missing(context, answer)
    _tell_if_unfinished(context, answer)
    frames = [labelled_frame(result, answer, oracle.name), *path]
    repository.put_frames(search_id, context.step.iteration, frames, pending=False)
    waiting.remove()
    return {
        "frame": result.name,
        "evaluations": answer.evaluations,
        "seconds": answer.seconds,
        "converged": bool(answer.details.get("converged", True)),
        "path": [one.name for one in path],
    }


def _finalist(context: StepContext) -> Candidate:
    """Give one of the best, in a cell of the search: a structure of it, or a user's own frame."""
    repository, search_id, name = context.repository, context.search_id, context.step.key
    try:
        found = Candidate.from_dict(repository.get_structure(search_id, name))
    except NotFoundError:
        (frame,) = repository.frames(search_id, [name])
        found = frame.candidate
    cell = in_allowed_cell(found, context.settings.search)
    return found if cell is None else cell


def _labelled_alike(context: StepContext, start: Candidate) -> list[Candidate]:
    """Give the start of a relaxation if the data have it already, in the same cell.

    Asked before the relaxation: after it the answer must reach the disk, database or not.
    """
    stored = context.repository.get("frames", f"{context.search_id}/{start.name}")
    if stored is None or len(Frame.from_dict(stored["frame"]).candidate) != len(start):
        return []
    return [start]


def _tell_what_is_missing(context: StepContext, answer: Label) -> None:
    """Log why there are fewer frames along the way than asked for, if it can be helped."""
    wanted = context.settings.search.relaxation_frames
    unlike = int(answer.details.get("unlike_single_points", 0))
    if unlike and len(answer.path) < wanted:
        name = context.step.key
        context.repository.log(
            context.search_id,
            "path_left_out",
            f"{name}: {unlike} structures along its relaxation are no data: with the basis and "
            "the k-points of their own cell their energies would be others; with a higher cutoff "
            "and more k-points they agree",
            name=name,
            steps=unlike,
        )


def _tell_if_unfinished(context: StepContext, answer: Label) -> None:
    """Log that a relaxation ended before it was at rest; its energy is that of where it ended."""
    if answer.details.get("converged", True):
        return
    name = context.step.key
    residual = answer.details.get("residual")
    left = "" if residual is None else f" ({residual:.3f} eV/Å are left)"
    limit = context.settings.oracle.relax_force
    context.repository.log(
        context.search_id,
        "relaxation_unfinished",
        f"{name}: its final relaxation ended above {limit:g} eV/Å{left}: with more "
        "oracle.relax_steps, a higher cutoff or denser k-points it comes to rest",
        name=name,
        evaluations=answer.evaluations,
        residual=residual,
    )


def _prepared(context: StepContext, start: Candidate) -> Candidate:
    """Relax the start on the committee that the search ended with."""
    (assessed,) = context.repository.list_steps(
        context.search_id, kind="assess", iteration=context.step.iteration
    )
    committee = committee_of(context, (assessed.result or {})["committee"])
    search = context.settings.search
    (first,) = prepared([start], BatchedRelaxer.from_settings(committee, search), search)
    return first
