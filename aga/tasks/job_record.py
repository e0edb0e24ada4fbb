"""What a worker in a job of the queue writes down about it, in ``aga_jobs``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aga.errors import AgaError, UnavailableError
from aga.slurm.details import JobDetails, show_job
from aga.slurm.environment import JobEnvironment
from aga.store.documents import utcnow
from aga.store.jobs import Job
from aga.store.repository import Repository

__all__ = ["JobRecord", "ask_queue"]

_ANEW = (
    *("state", "reason", "begun", "ended", "starts", "host", "steps", "interrupted"),
    *("exit_code", "settled"),
)
"""What each start of a job writes anew."""

log = logging.getLogger(__name__)


def ask_queue(job: JobEnvironment | None) -> JobDetails | None:
    """Ask the controller after our own job; a worker works on where it says nothing."""
    if job is None:
        return None
    try:
        return show_job(job.id)
    except AgaError as error:
        log.warning("job %s: %s", job.id, error)
        return None


@dataclass(slots=True, kw_only=True)
class JobRecord:
    """The document of our job; outside a job (``job`` None) nothing is written.

    A job that was requeued starts again under the same identifier: ``aga_jobs`` counts the
    starts, and a worker of an earlier start that is late changes nothing.
    """

    repository: Repository
    job: JobEnvironment | None
    details: JobDetails | None = None

    @property
    def starts(self) -> int:
        """Which start of the job this is, from 1."""
        return 1 if self.job is None else self.job.restarts + 1

    def begin(
        self, categories: Sequence[str], search_id: str | None, ends_by: datetime | None
    ) -> bool:
        """Make the job known; False where it has been started again since."""
        if self.job is None:
            return True
        fresh = _fresh(self.job, self.details)
        fresh = replace(
            fresh,
            kind="+".join(categories),
            search_id=search_id,
            ends_by=ends_by,
            starts=self.starts,
        )
        if self.repository.put_job(fresh):
            return True
        known = self.repository.get_job(fresh.id)
        fields = {name: getattr(fresh, name) for name in _ANEW}
        for name in ("partition", "cores", "nodes", "ends_by", "stdout", "stderr"):
            fields[name] = getattr(fresh, name) or getattr(known, name)
        fields["started"] = known.started or fresh.started
        fields["submitted"] = known.submitted or fresh.submitted
        expect = {"starts": {"$lte": self.starts}}
        return self.repository.change_job(fresh.id, fields, expect=expect)

    def note(self, **fields: Any) -> None:  # noqa: ANN401 - values of a document
        """Change fields; a database that is away is no reason to stop working."""
        if self.job is None:
            return
        try:
            self.repository.change_job(self.job.id, fields, expect={"starts": self.starts})
        except UnavailableError as error:
            log.warning("job %s: not written down: %s", self.job.id, error)

    @contextmanager
    def ended(self, state: Any) -> Iterator[None]:  # noqa: ANN401 - whatever has a reason
        """Write down how the worker ended: its ``state.reason``, or its error."""
        try:
            yield
        except AgaError as error:
            self.end(f"{error.message}", str(error.exit_code), failed=True)
            raise
        except BaseException as error:
            self.end(f"{type(error).__name__}: {error}".rstrip(": "), "1", failed=True)
            raise
        self.end(state.reason or "no work was left", "0", failed=False)

    def end(self, reason: str, exit_code: str, *, failed: bool) -> None:
        """Write down the end; the state is the queue's to say where it has said it already."""
        if self.job is None:
            return
        told = {"reason": reason, "exit_code": exit_code, "ended": utcnow()}
        state = {"state": "failed" if failed else "completed"}
        ours: dict[str, Any] = {"starts": self.starts}
        change, number = self.repository.change_job, self.job.id
        try:
            if not change(number, told | state, expect=ours | {"settled": False}):
                change(number, told, expect=ours)
        except UnavailableError as error:
            log.warning("job %s: its end is not written down: %s", number, error)


def _fresh(job: JobEnvironment, details: JobDetails | None) -> Job:
    """Describe a job that has just begun."""
    now = utcnow()
    begun = (details.started if details else None) or now
    return Job(
        id=job.id,
        kind="",
        name=job.name,
        state="running",
        partition=job.partition,
        cores=(details.cores if details else None) or job.cores,
        nodes=details.nodes if details else None,
        host=os.uname().nodename,
        submitted=details.submitted if details else None,
        started=begun,
        begun=begun,
        folder=str(job.folder),
        stdout=(details.stdout if details else None) or _output(job, "out"),
        stderr=(details.stderr if details else None) or _output(job, "error"),
    )


def _output(job: JobEnvironment, suffix: str) -> str:
    """Give where FireWorks' template for SLURM puts the output."""
    return str(job.folder / f"{job.name}-{job.id}.{suffix}")
