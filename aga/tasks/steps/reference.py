"""The step that labels a candidate, and what all jobs of the reference method share."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from aga.errors import InputError, OracleError, SiteError
from aga.oracle.answers import answer_digest, load_answer, save_answer
from aga.oracle.base import disk_full_as_error
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label, Oracle
from aga.tasks.context import StepContext
from aga.units import ev_per_a3_from_gpa

__all__ = [
    "WaitingAnswer",
    "dropped",
    "fresh_run_dir",
    "label",
    "labelled_frame",
    "reference_method",
    "waiting_answer",
]

SIGNALS_TAKE = 3.0
"""Seconds within which the processes of a job are told of its end."""


def label(context: StepContext) -> dict[str, Any]:
    """Compute energy, forces and stress of one candidate.

    A candidate that the method fails on is marked with the reason and the step is done: the
    next attempt would fail alike, and the search goes on without it.
    """
    repository, search_id, name = context.repository, context.search_id, context.step.key
    candidate = Candidate.from_dict(repository.get_structure(search_id, name))
    oracle = reference_method(context)
    waiting = waiting_answer(context, candidate, "label")
    known = waiting.load()
    try:
        answer = known[1] if known else oracle.label(candidate, fresh_run_dir(context))
    except OracleError as error:
        return dropped(context, error)
    if known is None:
        waiting.save(None, answer)
    if not repository.put_frame(
        search_id, context.step.iteration, labelled_frame(candidate, answer, oracle.name)
    ):  # an earlier attempt got as far as this: its numbers stand, wherever they are shown
        answer = _same_as_stored(context, answer)
    pressure = ev_per_a3_from_gpa(context.settings.search.pressure)
    repository.mark_labelled(search_id, name, answer, engine=oracle.name, pressure=pressure)
    waiting.remove()
    return {"frame": name, "evaluations": answer.evaluations, "seconds": answer.seconds}


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingAnswer:
    """Where the answer of a reference job waits while the database can't take it.

    Every attempt at the step looks there first, on whichever node it runs: what has been
    computed is not computed again.
    """

    path: Path
    digest: str

    def load(self) -> tuple[Candidate | None, Label] | None:
        """Give the relaxed structure, if any, and the label; None where nothing waits."""
        return load_answer(self.path, self.digest)

    def save(self, candidate: Candidate | None, answer: Label) -> None:
        """Keep an answer."""
        save_answer(self.path, self.digest, candidate, answer)

    def remove(self) -> None:
        """Forget the answer, which the database has."""
        self.path.unlink(missing_ok=True)


def waiting_answer(
    context: StepContext, candidate: Candidate, task: Literal["label", "relax"]
) -> WaitingAnswer:
    """Give the place where the answer of this step waits, for this candidate and task."""
    settings, step = context.settings, context.step
    folder = settings.machine.run_dir / context.search_id / "answers"
    pressure = ev_per_a3_from_gpa(settings.search.pressure)
    return WaitingAnswer(
        path=folder / f"{step.kind}-{step.iteration:03d}-{step.key}.json",
        digest=answer_digest(candidate, settings.oracle, task, pressure),
    )


def _same_as_stored(context: StepContext, answer: Label) -> Label:
    (frame,) = context.repository.frames(context.search_id, [context.step.key])
    if frame.forces is None:
        return answer
    return replace(answer, energy=frame.energy, forces=frame.forces, stress=frame.stress)


def reference_method(context: StepContext) -> Oracle:
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


def fresh_run_dir(context: StepContext) -> Path:
    """Make the step's run directory, empty.

    Raises
    ------
    aga.errors.SiteError
        It can't be made on this machine, or the disk is full.
    """
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


def labelled_frame(candidate: Candidate, answer: Label, source: str) -> Frame:
    """Give a structure with its label, as data."""
    return Frame(
        candidate=candidate,
        energy=answer.energy,
        forces=answer.forces,
        stress=answer.stress,
        source=source,
    )


def dropped(context: StepContext, error: OracleError) -> dict[str, Any]:
    """Note that the reference method failed on the structure; give the result of the step."""
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
