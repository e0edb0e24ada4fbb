"""The steps of the reference method: label a candidate, relax one of the best."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aga.errors import InputError, NotFoundError, OracleError, SiteError
from aga.oracle.answers import answer_digest, load_answer, save_answer
from aga.oracle.base import disk_full_as_error
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Oracle
from aga.tasks.context import StepContext
from aga.units import ev_per_a3_from_gpa

__all__ = ["label", "refine", "refined_name"]

SIGNALS_TAKE = 3.0
"""Seconds within which the processes of a job are told of its end."""


def label(context: StepContext) -> dict[str, Any]:
    """Compute energy, forces and stress of one candidate.

    A candidate that the method fails on is marked with the reason and the step is done: the
    next attempt would fail alike, and the search goes on without it.
    """
    repository, search_id, name = context.repository, context.search_id, context.step.key
    candidate = Candidate.from_dict(repository.get_structure(search_id, name))
    oracle = _oracle(context)
    waiting = _waiting_answer(context, candidate, "label")
    known = waiting.load()
    try:
        answer = known[1] if known else oracle.label(candidate, _fresh_run_dir(context))
    except OracleError as error:
        return _dropped(context, error)
    if known is None:
        waiting.save(None, answer)
    if not repository.put_frame(
        search_id, context.step.iteration, _frame(candidate, answer, oracle.name)
    ):  # an earlier attempt got as far as this: its numbers stand, wherever they are shown
        answer = _same_as_stored(context, answer)
    pressure = ev_per_a3_from_gpa(context.settings.search.pressure)
    repository.mark_labelled(search_id, name, answer, engine=oracle.name, pressure=pressure)
    waiting.remove()
    return {"frame": name, "evaluations": answer.evaluations, "seconds": answer.seconds}


def refine(context: StepContext) -> dict[str, Any]:
    """Relax one of the best structures with the reference method."""
    repository, search_id, name = context.repository, context.search_id, context.step.key
    start = _finalist(context)
    oracle = _oracle(context)
    pressure = ev_per_a3_from_gpa(context.settings.search.pressure)
    waiting = _waiting_answer(context, start, "relax")
    known = waiting.load()
    try:
        if known is not None and known[0] is not None:
            relaxed, answer = known[0], known[1]
        else:
            relaxed, answer = oracle.relax(start, _fresh_run_dir(context), pressure=pressure)
            waiting.save(relaxed, answer)
    except OracleError as error:
        return _dropped(context, error)
    lineage = Lineage(
        operator="reference_relaxation",
        parents=(start.name,),
        generation=start.lineage.generation,
        stream=start.lineage.stream,
    )
    result = relaxed.renamed(refined_name(name), lineage)
    frame = _frame(result, answer, oracle.name)
    repository.put_frame(search_id, context.step.iteration, frame, pending=False)
    waiting.remove()
    return {
        "frame": result.name,
        "evaluations": answer.evaluations,
        "seconds": answer.seconds,
        "converged": bool(answer.details.get("converged", True)),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _WaitingAnswer:
    """Where the answer of a reference job waits while the database can't take it.

    Every attempt at the step looks there first, on whichever node it runs: what has been
    computed is not computed again.
    """

    path: Path
    digest: str

    def load(self) -> tuple[Candidate | None, Label] | None:
        return load_answer(self.path, self.digest)

    def save(self, candidate: Candidate | None, answer: Label) -> None:
        save_answer(self.path, self.digest, candidate, answer)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def _waiting_answer(
    context: StepContext, candidate: Candidate, task: Literal["label", "relax"]
) -> _WaitingAnswer:
    settings, step = context.settings, context.step
    folder = settings.machine.run_dir / context.search_id / "answers"
    pressure = ev_per_a3_from_gpa(settings.search.pressure)
    return _WaitingAnswer(
        path=folder / f"{step.kind}-{step.iteration:03d}-{step.key}.json",
        digest=answer_digest(candidate, settings.oracle, task, pressure),
    )


def _finalist(context: StepContext) -> Candidate:
    """Give one of the best: a structure of the search, or one of the user's own frames."""
    repository, search_id, name = context.repository, context.search_id, context.step.key
    try:
        return Candidate.from_dict(repository.get_structure(search_id, name))
    except NotFoundError:
        (frame,) = repository.frames(search_id, [name])
        return frame.candidate


def _same_as_stored(context: StepContext, answer: Label) -> Label:
    (frame,) = context.repository.frames(context.search_id, [context.step.key])
    if frame.forces is None:
        return answer
    return replace(answer, energy=frame.energy, forces=frame.forces, stress=frame.stress)


def refined_name(name: str) -> str:
    """Name the relaxed structure after the one it was relaxed from."""
    return f"{name}.ref"


def _oracle(context: StepContext) -> Oracle:
    """Build the reference method.

    It was checked where the search was started: what is wrong with it now is wrong with this
    machine.
    """
    settings = context.settings
    try:
        return build_oracle(settings.oracle, settings.machine, settings.search.atom_counts())
    except InputError as error:
        raise SiteError(
            f"the reference method can't be used on {os.uname().nodename}: {error.message}",
            remedy=error.remedy,
        ) from error


def _fresh_run_dir(context: StepContext) -> Path:
    folder = context.run_dir()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with disk_full_as_error(folder):
            folder.mkdir(parents=True)
    except OSError as error:
        raise SiteError(
            f"{folder}: {error.strerror}",
            remedy="see to it that machine.run_dir can be written on this machine",
        ) from error
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
    _let_signals_arrive(error)
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


def _let_signals_arrive(error: OracleError) -> None:
    """Wait where the program may have died because the whole job is being ended.

    The queue signals all processes of a job; the program may go a moment before this one is told,
    which then gives the step back instead of blaming the candidate.
    """
    if error.reason in {"crashed", "incomplete"} and os.environ.get("SLURM_JOB_ID"):
        time.sleep(SIGNALS_TAKE)
