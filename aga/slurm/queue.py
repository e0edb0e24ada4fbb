"""What the queue knows of jobs: `squeue`, and `scancel`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aga.errors import InputError
from aga.slurm.command import run
from aga.slurm.states import JobState, normalise
from aga.slurm.times import read_time

__all__ = ["QueueJob", "cancel", "list_jobs", "parse_queue"]

# The name comes last: nothing keeps a user from having the separator in it.
_FORMAT = "%A|%T|%P|%C|%V|%S|%e|%r|%N|%j"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueJob:
    """A job as SLURM tells it.

    ``word`` is SLURM's own state; ``started`` and ``ends`` are None while it waits, ``ends`` is
    the end of its walltime, or the end where it has ended; ``exit_code`` is ``code:signal``.
    """

    id: str
    state: JobState
    word: str
    name: str
    partition: str
    cores: int | None
    submitted: datetime | None
    started: datetime | None
    ends: datetime | None
    reason: str | None
    nodes: str | None
    exit_code: str | None = None


def list_jobs(ids: Sequence[str]) -> dict[str, QueueJob]:
    """Ask the queue after jobs, those that ended a few minutes ago included.

    Returns
    -------
    dict
        By identifier; a job that the queue no longer knows is not in it.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.MissingExecutableError
        As :func:`aga.slurm.command.run`.
    """
    found: dict[str, QueueJob] = {}
    for start in range(0, len(ids), _AT_ONCE):
        chosen = ",".join(ids[start : start + _AT_ONCE])
        # Ends with a status where it knows none of them; that is an answer too.
        answer = run("squeue", "-h", "-t", "all", "-j", chosen, "-o", _FORMAT)
        found |= {job.id: job for job in parse_queue(answer.output.splitlines())}
    return found


def parse_queue(lines: Iterable[str]) -> list[QueueJob]:
    """Read the lines that `squeue` prints in our format; others are left out."""
    jobs = []
    for line in lines:
        parts = line.strip().split("|", 9)
        if len(parts) != 10 or not parts[0].isdigit():
            continue
        number, word, partition, cores, submitted, started, ends, reason, nodes, name = parts
        state = normalise(word)
        waits = state == "pending"  # SLURM tells when it expects it to start
        jobs.append(
            QueueJob(
                id=number,
                state=state,
                word=word,
                name=name,
                partition=partition,
                cores=int(cores) if cores.isdigit() else None,
                submitted=read_time(submitted),
                started=None if waits else read_time(started),
                ends=None if waits else read_time(ends),
                reason=None if reason in {"", "None"} else reason,
                nodes=nodes or None,
            )
        )
    return jobs


def cancel(ids: Sequence[str]) -> None:
    """Cancel jobs; those that have ended already are left alone.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.MissingExecutableError
        As :func:`aga.slurm.command.run`.
    aga.errors.InputError
        SLURM refuses: the job is somebody else's, say.
    """
    for start in range(0, len(ids), _AT_ONCE):
        answer = run("scancel", *ids[start : start + _AT_ONCE])
        if answer.status != 0 and "already" not in answer.error.lower():
            raise InputError(
                f"SLURM did not cancel all of them: {answer.error}",
                remedy="`aga jobs list` shows which are left",
            )
