"""A worker: takes fireworks from the launchpad until there is nothing left to do."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
from fireworks.core.fworker import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from aga.errors import AgaError, DiskFullError, SiteError, UnavailableError
from aga.oracle.base import disk_full_as_error
from aga.store.repository import Repository
from aga.tasks.dispatch import note_trouble
from aga.tasks.launchpad import SearchLaunchPad, reachable
from aga.tasks.shift import Shift, WorkerOptions, fworker_name, open_shift, repair
from aga.tasks.time_limit import KINDS_OF_STEPS

__all__ = ["WorkerOptions", "work"]

AWAY = 10.0
"""Seconds between looks for a database that is away."""

SHORTEST_WAIT, LONGEST_WAIT = 5.0, 60.0
"""Seconds between tries while the disk is full."""

log = logging.getLogger(__name__)


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
    with open_shift(repository, launchpad, options) as shift:
        while shift is not None and not shift.stopping.stop.is_set():
            try:
                if not _round(repository, launchpad, options, shift):
                    break
            except DiskFullError as error:
                _wait_for_space(repository, error, options, shift)
            except UnavailableError as error:
                log.warning("%s; trying again in %g s", error, AWAY)
                shift.stopping.stop.wait(AWAY)
    return 0 if shift is None else shift.performed


def _wait_for_space(
    repository: Repository, error: DiskFullError, options: WorkerOptions, shift: Shift
) -> None:
    """Wait a while, longer each time; give up when the patience is at its end."""
    now = time.monotonic()
    shift.full_since = now if shift.full_since is None else shift.full_since
    waited = now - shift.full_since
    if options.search_id:
        _tell(repository, options.search_id, error)
    if waited >= options.patience:
        raise error
    pause = min(max(SHORTEST_WAIT, waited), LONGEST_WAIT, options.patience - waited)
    log.warning("%s; trying again in %.0f s", error, pause)
    shift.stopping.stop.wait(pause)


def _tell(repository: Repository, search_id: str, error: AgaError) -> None:
    try:
        note_trouble(repository, search_id, error)
    except UnavailableError:  # the database shares the full disk
        log.warning("can't note in the search: %s", error)


def _round(
    repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions, shift: Shift
) -> bool:
    """Perform one firework or wait a moment; give False when the work is over."""
    categories = _may_begin(options, shift)
    if not categories:
        return False
    _enter(options.launch_dir)
    with reachable():
        ran = launch_rocket(launchpad, _fworker(options, categories), strm_lvl="CRITICAL")
    if ran:
        if shift.stopping.gave_back:
            return False
        if launchpad.trouble is not None:
            raise launchpad.trouble
        shift.performed += 1
        shift.record.note(steps=shift.performed)
        shift.full_since = None
        shift.idle_since = time.monotonic()
        return True
    if options.search_id and repository.get_search(options.search_id)["state"] != "running":
        shift.reason = "the search has ended"
        return False
    now = time.monotonic()
    if now - shift.recovered_at > options.recover_every:
        repair(repository, launchpad, options, shift)
    if options.max_idle is not None and now - shift.idle_since > options.max_idle:
        shift.reason = f"nothing to do for {options.max_idle:g} s"
        return False
    pause = min(options.poll * (1 + (now - shift.idle_since) / 10), 5.0)
    shift.stopping.stop.wait(pause)
    return True


def _may_begin(options: WorkerOptions, shift: Shift) -> list[str]:
    """Give the kinds of steps that may be begun now: what is likely to fit into the time left.

    A worker that has done nothing yet tries whatever comes: no other has more time.
    """
    if shift.limit.is_near():
        shift.reason = "the end of its walltime is near"
        return []
    if shift.performed == 0:
        return list(options.categories)
    fitting = shift.durations.fitting(options.categories, shift.limit.remaining())
    if not fitting:
        shift.reason = "no step is likely to fit into the rest of its walltime"
    return fitting


def _fworker(options: WorkerOptions, categories: list[str]) -> FWorker:
    query = {"spec.search_id": options.search_id} if options.search_id else {}
    every = len(categories) == len(KINDS_OF_STEPS)
    return FWorker(name=fworker_name(), category="" if every else categories, query=query)


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


def _follow_parent(parent: int) -> None:
    """Kill this process and whatever it started when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(0.5)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os.killpg(os.getpgrp(), signal.SIGKILL)
