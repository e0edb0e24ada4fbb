"""A worker: takes fireworks from the launchpad until there is nothing left to do."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from fireworks.core.fworker import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from aga.errors import AgaError, DiskFullError, SiteError, UnavailableError
from aga.oracle.base import disk_full_as_error
from aga.slurm.environment import JobEnvironment
from aga.store.repository import Repository
from aga.tasks.dispatch import note_trouble
from aga.tasks.job_record import JobRecord, ask_queue
from aga.tasks.jobs import release_ended, release_earlier
from aga.tasks.launchpad import SearchLaunchPad, reachable
from aga.tasks.recovery import recover
from aga.tasks.stopping import Stopping
from aga.tasks.time_limit import KINDS_OF_STEPS, Durations, TimeLimit

__all__ = ["WorkerOptions", "work"]

AWAY = 10.0
"""Seconds between looks for a database that is away."""

SHORTEST_WAIT, LONGEST_WAIT = 5.0, 60.0
"""Seconds between tries while the disk is full."""

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
class _State:
    """What the loop remembers."""

    stopping: Stopping
    limit: TimeLimit
    record: JobRecord
    durations: Durations
    reason: str | None = None
    full_since: float | None = None
    performed: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    recovered_at: float = field(default_factory=time.monotonic)


def work(repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions) -> int:
    """Serve the launchpad; give the number of fireworks performed.

    Ends when the search has ended, after ``max_idle`` seconds without work, when its walltime
    is nearly over, or when it is asked to (:mod:`aga.tasks.stopping` tells what becomes of the
    step in hand). While the database is away it waits. In a job of the queue it keeps the job's
    document in ``aga_jobs``.

    Raises
    ------
    aga.errors.SiteError
        This machine lacks what a step needs; the step is left to others.
    aga.errors.DiskFullError
        The disk was full for ``patience`` seconds; the step is left to others.
    KeyboardInterrupt
        Ctrl-C; the step in hand is given back.
    """
    if options.follow_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    categories = tuple(options.categories) or KINDS_OF_STEPS
    options = replace(
        options, launch_dir=options.launch_dir.absolute(), categories=tuple(sorted(categories))
    )
    with _shift(repository, launchpad, options) as state:
        while state is not None and not state.stopping.stop.is_set():
            try:
                if not _round(repository, launchpad, options, state):
                    break
            except DiskFullError as error:
                _wait_for_space(repository, error, options, state)
            except UnavailableError as error:
                log.warning("%s; trying again in %g s", error, AWAY)
                state.stopping.stop.wait(AWAY)
    return 0 if state is None else state.performed


@contextmanager
def _shift(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions
) -> Iterator[_State | None]:
    """Begin and end the work: signals, the walltime, the document of our job.

    Gives None where the job has been started again since: this worker is late.
    """
    job = JobEnvironment.current()
    details = ask_queue(job)
    limit = TimeLimit.find(options.walltime, options.margin, job, details)
    record = JobRecord(repository=repository, job=job)
    stopping = Stopping(launchpad=launchpad, limit=limit, in_job=job is not None)
    state = _State(
        stopping=stopping,
        limit=limit,
        record=record,
        durations=Durations(repository=repository, search_id=options.search_id),
    )
    stopping.listen()
    if not record.begin(
        details,
        categories=options.categories,
        search_id=options.search_id,
        ends_by=limit.moment,
    ):
        log.warning("job %s has been started again: this worker is late and ends", record.job)
        yield None
        return
    try:
        with record.ended(state):
            if record.starts > 1:
                _take_over(repository, launchpad, options, state)
            yield state
            if stopping.gave_back:
                _hand_out_again(repository, launchpad, options, state)
            state.reason = state.reason or stopping.reason
            if stopping.interrupted:
                raise KeyboardInterrupt
    finally:
        stopping.end()


def _take_over(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, state: _State
) -> None:
    """Free what an earlier start of our job, requeued since, had in hand."""
    if freed := release_earlier(repository, state.record.job):
        log.info("freed from the earlier start of this job: %s", ", ".join(freed))
        _recover(repository, launchpad, options, state)


def _hand_out_again(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, state: _State
) -> None:
    """See that others get at once what we have given back, and write it down."""
    try:
        job = state.record.job
        given = repository.list_steps(options.search_id, state="planned") if job else []
        ours = [s.id for s in given if s.worker is not None and job and s.worker.job == job.id]
        state.record.note(interrupted=ours)
        _recover(repository, launchpad, options, state)
    except UnavailableError as error:  # others will find it
        log.warning("not handed out again: %s", error)


def _recover(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, state: _State
) -> None:
    state.recovered_at = time.monotonic()
    for search_id in _searches(repository, options):
        release_ended(repository, search_id)
        recover(repository, launchpad, search_id)


def _wait_for_space(
    repository: Repository, error: DiskFullError, options: WorkerOptions, state: _State
) -> None:
    """Wait a while, longer each time; give up when the patience is at its end."""
    now = time.monotonic()
    state.full_since = now if state.full_since is None else state.full_since
    waited = now - state.full_since
    if options.search_id:
        _tell(repository, options.search_id, error)
    if waited >= options.patience:
        raise error
    pause = min(max(SHORTEST_WAIT, waited), LONGEST_WAIT, options.patience - waited)
    log.warning("%s; trying again in %.0f s", error, pause)
    state.stopping.stop.wait(pause)


def _tell(repository: Repository, search_id: str, error: AgaError) -> None:
    try:
        note_trouble(repository, search_id, error)
    except UnavailableError:  # the database shares the full disk
        log.warning("can't note in the search: %s", error)


def _round(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, state: _State
) -> bool:
    """Perform one firework or wait a moment; give False when the work is over."""
    categories = _may_begin(options, state)
    if not categories:
        return False
    _enter(options.launch_dir)
    with reachable():
        ran = launch_rocket(launchpad, _fworker(options, categories), strm_lvl="CRITICAL")
    if ran:
        if state.stopping.gave_back:
            return False
        if launchpad.trouble is not None:
            raise launchpad.trouble
        state.performed += 1
        state.record.note(steps=state.performed)
        state.full_since = None
        state.idle_since = time.monotonic()
        return True
    if options.search_id and repository.get_search(options.search_id)["state"] != "running":
        state.reason = "the search has ended"
        return False
    now = time.monotonic()
    if now - state.recovered_at > options.recover_every:
        _recover(repository, launchpad, options, state)
    if options.max_idle is not None and now - state.idle_since > options.max_idle:
        state.reason = f"nothing to do for {options.max_idle:g} s"
        return False
    pause = min(options.poll * (1 + (now - state.idle_since) / 10), 5.0)
    state.stopping.stop.wait(pause)
    return True


def _may_begin(options: WorkerOptions, state: _State) -> list[str]:
    """Give the kinds of steps that may be begun now: what is likely to fit into the time left.

    A worker that has done nothing yet tries whatever comes: no other has more time.
    """
    if state.limit.is_near():
        state.reason = "the end of its walltime is near"
        return []
    if state.performed == 0:
        return list(options.categories)
    fitting = state.durations.fitting(options.categories, state.limit.remaining())
    if not fitting:
        state.reason = "no step is likely to fit into the rest of its walltime"
    return fitting


def _fworker(options: WorkerOptions, categories: list[str]) -> FWorker:
    query = {"spec.search_id": options.search_id} if options.search_id else {}
    name = f"{os.uname().nodename}-{os.getpid()}"
    return FWorker(name=name, category=categories, query=query)


def _enter(folder: Path) -> None:
    """See that FireWorks can write its launch files: it takes a firework before it tries."""
    try:
        with disk_full_as_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            os.chdir(folder)
            (folder / "writable").write_bytes(bytes(4096))
    except OSError as error:
        raise SiteError(
            f"{folder}: {error.strerror}", remedy="choose another folder with --launch-dir"
        ) from error


def _searches(repository: Repository, options: WorkerOptions) -> list[str]:
    if options.search_id:
        return [options.search_id]
    return [s["_id"] for s in repository.list_searches() if s["state"] == "running"]


def _follow_parent(parent: int) -> None:
    """Kill this process and whatever it started when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os.killpg(os.getpgrp(), signal.SIGKILL)
