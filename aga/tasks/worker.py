"""A worker: takes fireworks from the launchpad until there is nothing left to do."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from fireworks.core.fworker import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from aga.errors import AgaError, DiskFullError, SiteError, UnavailableError
from aga.oracle.base import disk_full_as_error
from aga.store.repository import Repository
from aga.tasks.dispatch import note_trouble
from aga.tasks.launchpad import SearchLaunchPad, reachable
from aga.tasks.recovery import recover

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
    """

    categories: Sequence[str] = ()
    search_id: str | None = None
    launch_dir: Path
    max_idle: float | None = None
    patience: float = 600.0
    recover_every: float = 30.0
    poll: float = 0.2
    follow_parent: bool = False


@dataclass(slots=True)
class _State:
    """What the loop remembers."""

    stop: threading.Event = field(default_factory=threading.Event)
    interrupted: bool = False
    full_since: float | None = None
    performed: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    recovered_at: float = field(default_factory=time.monotonic)


def work(repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions) -> int:
    """Serve the launchpad; give the number of fireworks performed.

    Ends when the search has ended, after ``max_idle`` seconds without work, or on SIGTERM once
    the step in hand is finished. While the database is away it waits.

    Raises
    ------
    aga.errors.SiteError
        This machine lacks what a step needs; the step is left to others.
    aga.errors.DiskFullError
        The disk was full for ``patience`` seconds; the step is left to others.
    KeyboardInterrupt
        Ctrl-C; the step in hand is given back.
    """
    state = _State()
    if threading.current_thread() is threading.main_thread():
        _handle_signals(state, launchpad)
    if options.follow_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    options = replace(options, launch_dir=options.launch_dir.absolute())
    query = {"spec.search_id": options.search_id} if options.search_id else {}
    fworker = FWorker(
        name=f"{os.uname().nodename}-{os.getpid()}",
        category=list(options.categories) or "",
        query=query,
    )
    while not state.stop.is_set():
        try:
            if not _round(repository, launchpad, fworker, options, state):
                break
        except DiskFullError as error:
            _wait_for_space(repository, error, options, state)
        except UnavailableError as error:
            log.warning("%s; trying again in %g s", error, AWAY)
            state.stop.wait(AWAY)
    if state.interrupted:
        raise KeyboardInterrupt
    return state.performed


def _handle_signals(state: _State, launchpad: SearchLaunchPad) -> None:
    def interrupt(*_: object) -> None:
        # FireWorks swallows the exception once the step is given back: remember it.
        state.interrupted = True
        state.stop.set()
        if launchpad.computing:
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, lambda *_: state.stop.set())
    signal.signal(signal.SIGINT, interrupt)


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
    state.stop.wait(pause)


def _tell(repository: Repository, search_id: str, error: AgaError) -> None:
    try:
        note_trouble(repository, search_id, error)
    except UnavailableError:  # the database shares the full disk
        log.warning("can't note in the search: %s", error)


def _round(
    repository: Repository,
    launchpad: SearchLaunchPad,
    fworker: FWorker,
    options: WorkerOptions,
    state: _State,
) -> bool:
    """Perform one firework or wait a moment; give False when the work is over."""
    _enter(options.launch_dir)
    with reachable():
        ran = launch_rocket(launchpad, fworker, strm_lvl="CRITICAL")
    if ran:
        if launchpad.trouble is not None:
            raise launchpad.trouble
        state.performed += 1
        state.full_since = None
        state.idle_since = time.monotonic()
        return True
    if options.search_id and repository.get_search(options.search_id)["state"] != "running":
        return False
    now = time.monotonic()
    if now - state.recovered_at > options.recover_every:
        state.recovered_at = now
        for search_id in _searches(repository, options):
            recover(repository, launchpad, search_id)
    if options.max_idle is not None and now - state.idle_since > options.max_idle:
        return False
    state.stop.wait(min(options.poll * (1 + (now - state.idle_since) / 10), 5.0))
    return True


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
