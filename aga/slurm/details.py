"""Everything the controller tells of one job: `scontrol show job`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from aga.slurm.command import run
from aga.slurm.states import JobState, normalise
from aga.slurm.times import read_time

__all__ = ["JobDetails", "parse_details", "show_job"]

_KEY = re.compile(r"(?:^|\s)([A-Z][A-Za-z/:]*)=")
_ALONE = ("Command", "WorkDir", "StdErr", "StdIn", "StdOut", "Comment")
"""Keys with a line of their own, whose values may hold spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails:
    """One job; ``restarts`` counts requeues, ``exit_code`` is ``code:signal``."""

    id: str
    name: str
    state: JobState
    reason: str | None
    partition: str | None
    cores: int | None
    restarts: int
    exit_code: str | None
    submitted: datetime | None
    started: datetime | None
    ends: datetime | None
    nodes: str | None
    stdout: str | None
    stderr: str | None


def show_job(job_id: str) -> JobDetails | None:
    """Ask the controller after one job; None where it no longer knows it.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.MissingExecutableError
        As :func:`aga.slurm.command.run`.
    """
    answer = run("scontrol", "show", "job", job_id)
    return parse_details(answer.output) if answer.status == 0 else None


def parse_details(text: str) -> JobDetails | None:
    """Read what `scontrol show job ID` prints; None where it is no job."""
    values = _values(text)
    if not values.get("JobId", "").isdigit():
        return None
    state = normalise(values.get("JobState", ""))
    cores = values.get("NumCPUs", "").partition("-")[0]

    def known(key: str) -> str | None:
        value = values.get(key, "")
        return None if value in {"", "(null)", "None", "N/A"} else value

    return JobDetails(
        id=values["JobId"],
        name=values.get("JobName", ""),
        state=state,
        reason=known("Reason"),
        partition=known("Partition"),
        cores=int(cores) if cores.isdigit() else None,
        restarts=int(values.get("Restarts", "0") or 0),
        exit_code=known("ExitCode"),
        submitted=read_time(values.get("SubmitTime", "")),
        started=None if state == "pending" else read_time(values.get("StartTime", "")),
        ends=None if state == "pending" else read_time(values.get("EndTime", "")),
        nodes=known("NodeList"),
        stdout=known("StdOut"),
        stderr=known("StdErr"),
    )


def _values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        alone = line.strip().partition("=")
        if alone[0] in _ALONE:
            values[alone[0]] = alone[2]
            continue
        marks = list(_KEY.finditer(line))
        ends = [mark.start() for mark in marks[1:]] + [len(line)]
        for mark, end in zip(marks, ends, strict=False):  # a line without keys has an end too
            values.setdefault(mark[1], line[mark.end() : end].strip())
    return values
