"""A worker's shift: what it is asked to do, how it begins, how it ends."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aga.errors import SiteError, UnavailableError
from aga.slurm.environment import JobEnvironment
from aga.store.documents import Step, utcnow
from aga.store.repository import Repository
from aga.tasks.dispatch import add_fireworks, note_trouble
from aga.tasks.job_record import JobRecord, ask_queue
from aga.tasks.jobs import release_earlier
from aga.tasks.launchpad import SearchLaunchPad, reachable
from aga.tasks.recovery import recover
from aga.tasks.stopping import Stopping
from aga.tasks.time_limit import Durations, TimeLimit

__all__ = ["Shift", "WorkerOptions", "fworker_name", "open_shift", "repair"]

MOST = 0.8
"""Share of a job's walltime; a step that has had more of it and was not done never will be."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker works.

    Parameters
    ----------
    categories
        Kinds of steps served: ``ga``, ``oracle``, ``train``; all where empty.
    search_id
        Serve this search alone; every search of the database where None.
    launch_dir
        Folder in which FireWorks keeps its launch files.
    max_idle
        Seconds without work after which the worker ends; None waits until its search has ended.
    patience
        Seconds to wait for space on a full disk before the worker gives up.
    recover_every
        Seconds between repairs.
    poll
        Seconds between looks at the launchpad while there is nothing to do.
    follow_parent
        End at once, with everything started from here, when the parent process is gone.
    walltime
        Seconds that the worker may take; that of its job in the queue where None.
    margin
        Seconds before the end of the walltime within which no step is begun.
    """

    categories: Sequence[str] = ()
    search_id: str | None = None
    launch_dir: Path
    max_idle: float | None = None
    patience: float = 600.0
    recover_every: float = 30.0
    poll: float = 0.2
    follow_parent: bool = False
    walltime: float | None = None
    margin: float = 60.0


@dataclass(slots=True, kw_only=True)
class Shift:
    """What the loop of a worker remembers; ``reason`` says why it ended."""

    stopping: Stopping
    limit: TimeLimit
    record: JobRecord
    durations: Durations
    reason: str | None = None
    full_since: float | None = None
    performed: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    recovered_at: float = field(default_factory=time.monotonic)


@contextmanager
def open_shift(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions
) -> Iterator[Shift | None]:
    """Begin and end a worker's work: signals, the walltime, the document of its job.

    Gives None where the job has been started again since: this worker is late.

    Raises
    ------
    KeyboardInterrupt
        At the end, after Ctrl-C.
    """
    job = JobEnvironment.current()
    details = ask_queue(job)
    limit = TimeLimit.find(options.walltime, options.margin, job, details)
    record = JobRecord(repository=repository, job=job, details=details)
    shift = Shift(
        stopping=Stopping(launchpad=launchpad, limit=limit, in_job=job is not None),
        limit=limit,
        record=record,
        durations=Durations(repository=repository, search_id=options.search_id),
    )
    if not record.begin(options.categories, options.search_id, limit.moment):
        log.warning("this job has been started again since: the worker is late and ends")
        yield None
        return
    shift.stopping.listen()
    try:
        with record.ended(shift):
            if record.starts > 1:
                _take_over(repository, launchpad, options, shift)
            yield shift
            if shift.stopping.gave_back:
                _hand_out_again(repository, launchpad, shift)
            shift.reason = shift.reason or shift.stopping.reason
            if shift.stopping.interrupted:
                raise KeyboardInterrupt
    finally:
        shift.stopping.end()


def fworker_name() -> str:
    """Name this worker for FireWorks."""
    return f"{os.uname().nodename}-{os.getpid()}"


def repair(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, shift: Shift
) -> None:
    """Free the steps of dead workers and ended jobs; hand out again what got lost."""
    shift.recovered_at = time.monotonic()
    searches = [options.search_id] if options.search_id else _running(repository)
    for search_id in searches:
        recover(repository, launchpad, search_id)


def _running(repository: Repository) -> list[str]:
    return [s["_id"] for s in repository.list_searches() if s["state"] == "running"]


def _take_over(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, shift: Shift
) -> None:
    """Free what an earlier start of our job, requeued since, had in hand."""
    record = shift.record
    if record.job and record.details:
        freed = release_earlier(repository, record.job.id, record.details.started)
        log.info("freed from the earlier start of this job: %s", ", ".join(freed) or "nothing")
        repair(repository, launchpad, options, shift)


def _hand_out_again(repository: Repository, launchpad: SearchLaunchPad, shift: Shift) -> None:
    """See that others get at once what we have given back, and write it down."""
    try:
        step = _last_step(repository, launchpad)
        if step is None or step.state != "planned":  # done after all, or in other hands already
            return
        add_fireworks(repository, launchpad, [step])
        shift.record.note(interrupted=[step.id])
        _tell_if_hopeless(repository, step, shift)
    except UnavailableError as error:  # others will find it
        log.warning("not handed out again: %s", error)


def _last_step(repository: Repository, launchpad: SearchLaunchPad) -> Step | None:
    """Give the step that this worker launched last."""
    order = [("launch_id", -1)]
    with reachable():
        launch = launchpad.launches.find_one({"fworker.name": fworker_name()}, sort=order)
        found = launch and launchpad.fireworks.find_one({"fw_id": launch["fw_id"]})
    name = found["spec"].get("step_id") if found else None
    return None if name is None else repository.get_step(name)


def _tell_if_hopeless(repository: Repository, step: Step, shift: Shift) -> None:
    """Say in the search that a step needs more time than a whole job has."""
    details, end = shift.record.details, shift.limit.moment
    if details is None or details.started is None or end is None or step.started_at is None:
        return
    had, whole = utcnow() - step.started_at, end - details.started
    if step.kind != "train" and had > MOST * whole:  # a training goes on from its checkpoint
        message = (
            f"{step.id} was given back after {had.total_seconds():.0f} s: job "
            f"{details.id} ends after {whole.total_seconds():.0f} s"
        )
        remedy = (
            "it can't be done in jobs of this walltime: raise `walltime` in the adapter and "
            "submit again, or give it more cores"
        )
        note_trouble(repository, step.search_id, SiteError(message, remedy=remedy))
