"""What a worker in a job of the queue writes down about it, in ``aga_jobs``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aga.errors import AgaError, UnavailableError
from aga.slurm.details import JobDetails, show_job
from aga.slurm.environment import JobEnvironment
from aga.store.documents import utcnow
from aga.store.jobs import Job
from aga.store.repository import Repository

__all__ = ["JobRecord", "ask_queue"]

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

    @property
    def starts(self) -> int:
        """Which start of the job this is, from 1."""
        return 1 if self.job is None else self.job.restarts + 1

    def begin(
        self,
        details: JobDetails | None,
        *,
        categories: Sequence[str],
        search_id: str | None,
        ends_by: datetime | None,
    ) -> bool:
        """Make the job known; False where it has been started again since."""
        if self.job is None:
            return True
        fresh = self._fresh(details, categories, search_id, ends_by)
        if self.repository.put_job(fresh):
            return True
        known = self.repository.get_job(fresh.id)
        fields = {
            name: getattr(fresh, name)
            for name in ("state", "begun", "ended", "starts", "host", "steps", "exit_code")
        }
        fields |= {"reason": None, "settled": False, "interrupted": []}
        for name in ("partition", "cores", "nodes", "ends_by", "stdout", "stderr", "folder"):
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
        """Write down the end; the queue may know better and is asked again later."""
        self.note(
            state="failed" if failed else "completed",
            reason=reason,
            exit_code=exit_code,
            ended=utcnow(),
        )

    def _fresh(
        self,
        details: JobDetails | None,
        categories: Sequence[str],
        search_id: str | None,
        ends_by: datetime | None,
    ) -> Job:
        job, now = self.job, utcnow()
        assert job is not None  # noqa: S101 - the caller has looked
        output = str(job.folder / f"{job.name}-{job.id}.out")
        error = str(job.folder / f"{job.name}-{job.id}.error")
        return Job(
            id=job.id,
            kind="+".join(categories),
            name=job.name,
            state="running",
            search_id=search_id,
            partition=job.partition,
            cores=(details.cores if details else None) or job.cores,
            nodes=details.nodes if details else None,
            host=os.uname().nodename,
            submitted=details.submitted if details else None,
            started=(details.started if details else None) or now,
            begun=(details.started if details else None) or now,
            ends_by=ends_by,
            starts=self.starts,
            folder=str(job.folder),
            stdout=(details.stdout if details else None) or output,
            stderr=(details.stderr if details else None) or error,
        )
