"""Why a job ended as it did, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aga.errors import AgaError
from aga.slurm.details import JobDetails, show_job
from aga.slurm.logs import end_in_log, tail
from aga.slurm.states import JobState
from aga.store.jobs import Job
from aga.store.repository import Repository

__all__ = ["Cause", "explain"]

_AGAIN = "its step is handed out again by itself"

_CAUSES: Final[Mapping[JobState, tuple[str, str]]] = {
    "pending": (
        "it waits in the queue",
        "nothing; `squeue --start -j {id}` tells when SLURM expects it to begin",
    ),
    "running": ("it runs", "nothing"),
    "completed": ("its worker ended by itself", "nothing; submit another where there is work"),
    "timeout": (
        "it reached its walltime",
        f"{_AGAIN}; where that happens to every job, raise `walltime` in the adapter",
    ),
    "cancelled": (
        "it was cancelled (scancel, by you or an administrator)",
        f"{_AGAIN}; submit another job if it was by mistake",
    ),
    "node_fail": ("its node was lost", f"nothing: {_AGAIN}"),
    "preempted": (
        "a job of higher priority took its place",
        f"nothing: {_AGAIN}, and the job too where the adapter says `#SBATCH --requeue`",
    ),
    "out_of_memory": (
        "it used more memory than it had asked for",
        "raise `mem` in the adapter, or use fewer ranks; after five such ends a candidate is out",
    ),
    "failed": ("its worker ended with an error", "read the log; then submit again"),
    "unknown": (
        "nobody knows: the queue has forgotten it and its log says nothing",
        f"look into the log; {_AGAIN} when its lease has run out",
    ),
}

_EXIT_CODES: Final[Mapping[int, tuple[str, str]]] = {
    1: ("a mistake in aga, or a signal", "read the log; report it with the traceback"),
    2: ("its input is wrong", "correct what the log names"),
    3: ("the machine lacks something", "correct the `machine` settings or the modules loaded"),
    4: ("the database did not answer", "see that the nodes reach it; then submit again"),
    5: ("a disk is full", "free some space; then submit again"),
    6: ("the search can't go on", "`aga status` says why"),
    126: ("a program can't be executed", "look at `pre_rocket` in the adapter"),
    127: (
        "the script found no program `aga`",
        "correct the line `source …/activate` in `pre_rocket` of the adapter",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a job is as it is.

    ``steps`` are those that it had in hand, with what became of them; ``log`` the end of its
    output.
    """

    job: Job
    cause: str
    remedy: str
    steps: tuple[dict[str, Any], ...] = ()
    log: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "job": self.job.id,
            "state": self.job.state,
            "cause": self.cause,
            "remedy": self.remedy,
            "reason": self.job.reason,
            "exit_code": self.job.exit_code,
            "steps": list(self.steps),
            "log": list(self.log),
        }


def explain(repository: Repository, job: Job, *, lines: int = 15) -> Cause:
    """Tell why a job ended as it did; asks the controller for what is not known yet."""
    details = _details(job) if job.exit_code is None and job.state != "pending" else None
    code = job.exit_code or (details.exit_code if details else None)
    cause, remedy = _CAUSES[job.state]
    if job.state == "failed" and (known := _EXIT_CODES.get(_status(code))):
        cause, remedy = f"its worker ended with exit code {_status(code)}: {known[0]}", known[1]
    if job.state == "pending" and job.starts:
        cause = "it was requeued and waits to start again"
    if job.reason:
        cause += f"; {job.reason}"
    return Cause(
        job=job,
        cause=cause,
        remedy=remedy.format(id=job.id),
        steps=tuple(_steps(repository, job)),
        log=tuple(_log(job, lines)),
    )


def _details(job: Job) -> JobDetails | None:
    try:
        return show_job(job.id)
    except AgaError:
        return None


def _status(code: str | None) -> int:
    """Give the exit status in ``code:signal``, -1 where there is none."""
    word = (code or "").partition(":")[0]
    return int(word) if word.isdigit() else -1


def _steps(repository: Repository, job: Job) -> list[dict[str, Any]]:
    """Give the steps that the job had last and did not finish, and where they are now."""
    had = repository.list_steps(job.search_id, **{"worker.job": job.id})
    names = {*job.interrupted, *(step.id for step in had if step.state != "done")}
    steps = repository.list_steps(job.search_id, _id=sorted(names)) if names else []
    return [
        {
            "step": step.id,
            "state": step.state,
            "attempts": step.attempts,
            "now": _whereabouts(step.state, step.worker.job if step.worker else None, job),
        }
        for step in steps
    ]


def _whereabouts(state: str, now: str | None, job: Job) -> str:
    if state == "running" and now == job.id:
        if job.state == "running":
            return "in its hands"
        return "the next worker that looks after the search hands it out again"
    if state == "running":
        return f"with job {now}" if now else "with another worker"
    if state == "planned":
        return "handed out again"
    return "done by another worker" if state == "done" else state


def _log(job: Job, lines: int) -> list[str]:
    """Give the end of both outputs, with the line in which SLURM says how it ended it."""
    output, error = (tail(Path(path), 500) if path else [] for path in (job.stdout, job.stderr))
    said, shown = end_in_log(error), [*output, *_without_interruption(error)][-lines:]
    return shown if said is None or said[1] in map(str.strip, shown) else [said[1], *shown]


def _without_interruption(lines: list[str]) -> list[str]:
    """Leave out what FireWorks prints of a step that is given back: it is no error."""
    begins = [k for k, line in enumerate(lines) if line.startswith("Traceback (most recent")]
    ends = [k for k, line in enumerate(lines) if line == "KeyboardInterrupt"]
    for end in reversed(ends):
        begin = max((k for k in begins if k < end), default=end)
        lines = [*lines[:begin], *lines[end + 1 :]]
    return lines
