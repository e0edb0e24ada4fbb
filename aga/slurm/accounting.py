"""What the accounting remembers of jobs that the queue has forgotten: `sacct`, where it is on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aga.errors import MissingExecutableError
from aga.slurm.command import run
from aga.slurm.queue import QueueJob
from aga.slurm.states import normalise
from aga.slurm.times import read_time

__all__ = ["parse_accounts", "past_jobs"]

_FIELDS = "JobIDRaw,State,Partition,AllocCPUS,Submit,Start,End,ExitCode,NodeList,JobName"
_AT_ONCE = 500


def past_jobs(ids: Sequence[str]) -> dict[str, QueueJob] | None:
    """Ask the accounting after jobs.

    Returns
    -------
    dict or None
        By identifier; None where the site keeps no accounts.

    Raises
    ------
    aga.errors.UnavailableError
        As :func:`aga.slurm.command.run`.
    """
    found: dict[str, QueueJob] = {}
    for start in range(0, len(ids), _AT_ONCE):
        chosen = ",".join(ids[start : start + _AT_ONCE])
        try:
            answer = run("sacct", "-n", "-P", "-X", "-j", chosen, "-o", _FIELDS)
        except MissingExecutableError:
            return None
        if answer.status != 0:
            return None
        found |= {job.id: job for job in parse_accounts(answer.output.splitlines())}
    return found


def parse_accounts(lines: Iterable[str]) -> list[QueueJob]:
    """Read the lines that `sacct` prints in our format; of a job's several runs the last."""
    jobs: dict[str, QueueJob] = {}
    for line in lines:
        parts = line.strip().split("|", 9)
        if len(parts) != 10 or not parts[0].isdigit():
            continue
        number, word, partition, cores, submitted, started, ends, code, nodes, name = parts
        jobs[number] = QueueJob(
            id=number,
            state=normalise(word),
            word=word,
            name=name,
            partition=partition,
            cores=int(cores) if cores.isdigit() else None,
            submitted=read_time(submitted),
            started=read_time(started),
            ends=read_time(ends),
            reason=word if " by " in word else None,
            nodes=None if nodes in {"", "None assigned"} else nodes,
            exit_code=code or None,
        )
    return list(jobs.values())
