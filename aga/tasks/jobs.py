"""Jobs of the queue as they are now, and the steps that an ended one still holds."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aga.errors import AgaError, StaleAttemptError
from aga.slurm.accounting import past_jobs
from aga.slurm.command import is_installed
from aga.slurm.logs import end_in_log, tail
from aga.slurm.queue import QueueJob, list_jobs
from aga.slurm.states import ENDED
from aga.store.documents import Attempt, Document, Step, utcnow
from aga.store.jobs import Job
from aga.store.repository import Repository

__all__ = ["ended_jobs", "reconcile", "release_earlier", "release_ended"]

NOT_THE_STEPS_FAULT = frozenset({"timeout", "cancelled", "preempted", "node_fail", "pending"})
"""States of a job in which the attempt of the step in its hands does not count."""

ASK_EVERY = 60.0
"""Seconds for which what the queue said of a job stands, whichever worker asked."""

YOUNG = 60.0
"""Seconds after its submission in which the queue may not know a job yet."""

SLACK = 5.0
"""Seconds by which clocks of the cluster may differ."""

log = logging.getLogger(__name__)


def reconcile(repository: Repository, jobs: Sequence[Job]) -> list[Job]:
    """Ask the queue, then the accounting, after jobs; write down and give what they say.

    Where both have forgotten one, its own end mark and the end of its log decide.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.MissingExecutableError
        The queue does not answer, or this machine has none.
    """
    asked = [job.id for job in jobs if not job.settled]
    if not asked:
        return list(jobs)
    told = list_jobs(asked)
    forgotten = [job_id for job_id in asked if job_id not in told]
    told |= (past_jobs(forgotten) if forgotten else None) or {}
    current = []
    for job in jobs:
        fields = {} if job.settled else _learned(job, told.get(job.id))
        if fields and repository.change_job(job.id, fields, expect={"starts": job.starts}):
            current.append(replace(job, **fields))
        else:
            current.append(job)
    return current


def ended_jobs(repository: Repository, ids: Collection[str] | None = None) -> set[str]:
    """Give those jobs of which the queue has said that no process of theirs is left.

    They have ended, or were requeued and wait. The queue is asked once a minute at most,
    whoever asks; where it does not answer, what it said last stands.

    Parameters
    ----------
    repository
        Where the jobs are known.
    ids
        Jobs in question; all where None.
    """
    jobs = _some(repository, ids)
    if is_installed() and (due := _due(repository, jobs)):
        try:
            reconcile(repository, due)
        except AgaError as error:
            log.warning("states of jobs not known for now: %s", error)
        jobs = _some(repository, ids)
    return {job.id for job in jobs if job.settled or job.state == "pending"}


def release_ended(repository: Repository, search_id: str) -> list[str]:
    """Free the steps that are in the hands of jobs which the queue has ended.

    The attempt does not count where the step can't be to blame: walltime, scancel, preemption,
    a lost node. In all other cases the lease has to run out, and it counts.

    Returns
    -------
    list of str
        Identifiers of the steps that are planned again.
    """
    held = [
        s for s in repository.list_steps(search_id, state="running") if s.worker and s.worker.job
    ]
    if not held:
        return []
    ids = {step.worker.job for step in held if step.worker and step.worker.job}
    gone = ended_jobs(repository, ids)
    jobs = {job.id: job for job in _some(repository, ids)}
    return [
        step.id
        for step in held
        if step.worker
        and (job := jobs.get(step.worker.job or "")) is not None
        and (
            (job.id in gone and job.state in NOT_THE_STEPS_FAULT)
            or _is_earlier(step, job.begun if job.state == "running" else None)
        )
        and _release(repository, step)
    ]


def release_earlier(repository: Repository, job_id: str, begun: datetime | None) -> list[str]:
    """Free what an earlier start of a job, requeued since, had in hand.

    Parameters
    ----------
    repository, job_id
        The job, and where it is known.
    begun
        When it started this time; where that is not known nothing is freed.
    """
    held = repository.list_steps(None, state="running", **{"worker.job": job_id})
    return [s.id for s in held if _is_earlier(s, begun) and _release(repository, s)]


def _is_earlier(step: Step, begun: datetime | None) -> bool:
    worker = step.worker
    return worker is not None and begun is not None and worker.started < begun.timestamp() - SLACK


def _release(repository: Repository, step: Step) -> bool:
    try:
        repository.release(Attempt(step=step, token=step.token or ""))
    except StaleAttemptError:
        return False
    job_id = (step.worker.job if step.worker else None) or "?"
    log.info("%s: freed, its job %s is gone", step.id, job_id)
    repository.change_job(job_id, {"interrupted": [step.id]})  # for `aga jobs why`
    return True


def _some(repository: Repository, ids: Collection[str] | None) -> list[Job]:
    filters: dict[str, Any] = {} if ids is None else {"_id": {"$in": sorted(ids)}}
    return repository.list_jobs(**filters)


def _due(repository: Repository, jobs: Sequence[Job]) -> list[Job]:
    """Give the jobs whose turn it is, and that nobody else asks after at this moment."""
    now = utcnow()
    before = now - timedelta(seconds=ASK_EVERY)
    return [
        job
        for job in jobs
        if not job.settled
        and (job.seen is None or job.seen < before)
        and repository.change_job(job.id, {"seen": now}, expect={"seen": job.seen})
    ]


def _learned(job: Job, told: QueueJob | None) -> Document:
    """Give the fields of a job that change by what the queue or the accounting tells."""
    now = utcnow()
    if told is None:
        young = job.submitted is not None and now - job.submitted < timedelta(seconds=YOUNG)
        return {} if young else _forgotten(job, now)
    fields: Document = {
        "seen": now,
        "partition": told.partition or job.partition,
        "cores": told.cores or job.cores,
        "nodes": told.nodes or job.nodes,
        "submitted": job.submitted or told.submitted,
        "started": job.started or told.started,
        "begun": told.started or job.begun,
    }
    if told.state in ENDED:
        return fields | {
            "state": told.state,
            "ended": job.ended or told.ends or now,
            "reason": job.reason or told.reason,
            "exit_code": told.exit_code or job.exit_code,
            "settled": True,
        }
    if told.state == "running" and job.state in ENDED:  # its worker has ended, the script ends
        return fields
    waits = told.state == "pending"
    return fields | {
        "state": told.state,
        "ended": None,
        "reason": told.reason if waits else None,
        "ends_by": job.ends_by if waits else told.ends or job.ends_by,
    }


def _forgotten(job: Job, now: datetime) -> Document:
    """Give the end of a job that neither the queue nor the accounting knows."""
    fields: Document = {"seen": now, "settled": True, "ended": job.ended or now}
    said = end_in_log(tail(Path(job.stderr))) if job.stderr else None
    if said is not None:
        return fields | {"state": said[0], "reason": said[1]}
    if job.state in ENDED:
        return fields
    reason = "it ended without a word: the queue has forgotten it, and its log says nothing"
    return fields | {"state": "unknown", "reason": reason}
