"""The steps of the reference method: label a candidate, relax one of the best."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aga.errors import OracleError
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Oracle
from aga.tasks.context import StepContext
from aga.units import ev_per_a3_from_gpa

__all__ = ["give_up_structure", "label", "refine", "refined_name"]


def label(context: StepContext) -> dict[str, Any]:
    """Compute energy, forces and stress of one candidate.

    A candidate that the method fails on is marked with the reason and the step is done: the
    next attempt would fail alike, and the search goes on without it.
    """
    repository, search_id, name = context.repository, context.search_id, context.step.key
    candidate = Candidate.from_dict(repository.get_structure(search_id, name))
    oracle = _oracle(context)
    try:
        answer = oracle.label(candidate, _fresh_run_dir(context))
    except OracleError as error:
        return _dropped(context, error)
    repository.put_frame(search_id, context.step.iteration, _frame(candidate, answer, oracle.name))
    pressure = ev_per_a3_from_gpa(context.settings.search.pressure)
    repository.mark_labelled(search_id, name, answer, engine=oracle.name, pressure=pressure)
    return {"frame": name, "evaluations": answer.evaluations, "seconds": answer.seconds}


def refine(context: StepContext) -> dict[str, Any]:
    """Relax one of the best structures with the reference method."""
    repository, search_id, name = context.repository, context.search_id, context.step.key
    start = Candidate.from_dict(repository.get_structure(search_id, name))
    oracle = _oracle(context)
    pressure = ev_per_a3_from_gpa(context.settings.search.pressure)
    try:
        relaxed, answer = oracle.relax(start, _fresh_run_dir(context), pressure=pressure)
    except OracleError as error:
        return _dropped(context, error)
    lineage = Lineage(
        operator="reference_relaxation",
        parents=(start.name,),
        generation=start.lineage.generation,
        stream=start.lineage.stream,
    )
    result = relaxed.renamed(refined_name(name), lineage)
    repository.put_frame(search_id, context.step.iteration, _frame(result, answer, oracle.name))
    return {
        "frame": result.name,
        "evaluations": answer.evaluations,
        "seconds": answer.seconds,
        "converged": bool(answer.details.get("converged", True)),
    }


def refined_name(name: str) -> str:
    """Name the relaxed structure after the one it was relaxed from."""
    return f"{name}.ref"


def give_up_structure(context: StepContext, error: Mapping[str, Any]) -> None:
    """Mark the structure of a step whose attempts are used up."""
    context.repository.mark_failed(
        context.search_id, context.step.key, str(error["kind"]), str(error["message"])
    )


def _oracle(context: StepContext) -> Oracle:
    settings = context.settings
    return build_oracle(settings.oracle, settings.machine, settings.search.atom_counts())


def _fresh_run_dir(context: StepContext) -> Path:
    folder = context.run_dir()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _frame(candidate: Candidate, answer: Label, source: str) -> Frame:
    return Frame(
        candidate=candidate,
        energy=answer.energy,
        forces=answer.forces,
        stress=answer.stress,
        source=source,
    )


def _dropped(context: StepContext, error: OracleError) -> dict[str, Any]:
    repository, search_id, name = context.repository, context.search_id, context.step.key
    if context.step.kind == "label":
        repository.mark_failed(search_id, name, error.reason, error.message)
    repository.log(
        search_id,
        "candidate_failed",
        f"{name}: the reference method failed ({error.reason}): {error.message}",
        name=name,
        reason=error.reason,
        remedy=error.remedy,
    )
    return {"frame": None, "reason": error.reason, "message": error.message, "evaluations": 1}
