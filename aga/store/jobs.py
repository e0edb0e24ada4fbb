"""Jobs of the queue: who was submitted, runs or ran workers of a search, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from pymongo import ASCENDING, DESCENDING

from aga.errors import NotFoundError
from aga.slurm.states import JobState
from aga.store.base import Store
from aga.store.documents import SCHEMA, Document, plain, utcnow

__all__ = ["Job", "Jobs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job of the queue.

    ``id`` is SLURM's; ``kind`` the categories of steps that it serves, joined by ``+``;
    ``search_id`` None where it serves every search. ``started`` is its first start, ``begun``
    the latest (a job that was requeued starts again), ``starts`` how often; ``ends_by`` the end
    of its walltime. ``steps`` were performed since its latest start, ``interrupted`` those that
    it gave back because its time was over. ``reason`` says why it ended, ``exit_code`` how.
    ``settled``: nothing more is to be learned from the queue, asked last at ``seen``.
    """

    id: str
    kind: str
    name: str
    state: JobState
    search_id: str | None = None
    reason: str | None = None
    partition: str | None = None
    cores: int | None = None
    nodes: str | None = None
    host: str | None = None
    submitted: datetime | None = None
    started: datetime | None = None
    begun: datetime | None = None
    ended: datetime | None = None
    ends_by: datetime | None = None
    starts: int = 0
    folder: str | None = None
    script: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    steps: int = 0
    interrupted: Sequence[str] = ()
    exit_code: str | None = None
    settled: bool = False
    seen: datetime | None = None

    @property
    def wait(self) -> float | None:
        """Seconds between submission and first start, so far where it still waits."""
        if self.submitted is None:
            return None
        until = self.started or (utcnow() if self.state == "pending" else None)
        return None if until is None else max(0.0, (until - self.submitted).total_seconds())

    def to_dict(self) -> Document:
        """Give the document that is stored."""
        document: Document = {"_id": self.id, "schema": SCHEMA}
        for name in self.__dataclass_fields__:
            if name != "id":
                document[name] = getattr(self, name)
        return document | {"interrupted": list(self.interrupted)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        values["interrupted"] = tuple(values.get("interrupted", ()))
        return cls(id=str(data["_id"]), **values)


class Jobs(Store):
    """The collection ``aga_jobs``."""

    def put_job(self, job: Job, told: Iterable[str] = ()) -> bool:
        """Add a job, or add to one that has made itself known already.

        Parameters
        ----------
        job
            The job.
        told
            Fields that are written even where it exists.

        Returns
        -------
        bool
            True if it is new.
        """
        document = job.to_dict()
        new = self.insert_new("jobs", [document]) == 1
        fields = {name: document[name] for name in told}
        if not new and fields:
            self.change_job(job.id, fields)
        return new

    def change_job(
        self, job_id: str, fields: Mapping[str, Any], *, expect: Mapping[str, Any] | None = None
    ) -> bool:
        """Change fields of a job if it is as expected; False if it was not, or isn't there."""
        target, change = self.collection("jobs"), plain(dict(fields))
        query = {"_id": job_id, **(expect or {})}
        return self.write(lambda: target.update_one(query, {"$set": change})).matched_count == 1

    def get_job(self, job_id: str) -> Job:
        """Give a job.

        Raises
        ------
        aga.errors.NotFoundError
            No job of this database has the identifier.
        """
        found = self.get("jobs", job_id)
        if found is None:
            raise NotFoundError(
                f"no job {job_id!r} is known here",
                remedy="`aga jobs list --all` lists those of this database; a job shows itself "
                "once its worker starts",
                job=job_id,
            )
        return Job.from_dict(found)

    def list_jobs(
        self,
        search_id: str | None = None,
        *,
        kind: str | None = None,
        since: datetime | None = None,
        **filters: object,
    ) -> list[Job]:
        """Give jobs, those submitted first at the top.

        Parameters
        ----------
        search_id
            Those that serve this search alone, and those that serve every one; None for all.
        kind
            Those that serve steps of this category.
        since
            Those that have not ended, or ended later than this.
        **filters
            Values of other fields.
        """
        query: Document = dict(filters)
        if search_id is not None:
            query["search_id"] = {"$in": [search_id, None]}
        if since is not None:
            query["$or"] = [{"ended": None}, {"ended": {"$gt": since}}]
        order = [("submitted", ASCENDING), ("_id", ASCENDING)]
        jobs = [Job.from_dict(doc) for doc in self.find("jobs", query, order)]
        return [job for job in jobs if kind is None or kind in job.kind.split("+")]

    def longest_step(self, search_id: str, category: str, *, latest: int = 20) -> float | None:
        """Give the seconds that the longest of the latest done steps took; None without any."""
        source, order = self.collection("steps"), [("ended_at", DESCENDING)]
        query = {"search_id": search_id, "state": "done", "category": category}
        wanted = {"started_at": 1, "ended_at": 1}
        found = self.read(lambda: list(source.find(query, wanted, sort=order, limit=latest)))
        spans: list[timedelta] = [
            doc["ended_at"] - doc["started_at"]
            for doc in found
            if doc.get("ended_at") and doc.get("started_at")
        ]
        return max((span.total_seconds() for span in spans), default=None)
