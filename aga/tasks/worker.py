"""A worker: takes fireworks from the launchpad until there is nothing left to do."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from fireworks.core.fworker import FWorker
from fireworks.core.rocket_launcher import launch_rocket

from aga.errors import UnavailableError
from aga.store.repository import Repository
from aga.tasks.launchpad import SearchLaunchPad, reachable
from aga.tasks.recovery import recover

__all__ = ["WorkerOptions", "work"]

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
    recover_every: float = 30.0
    poll: float = 0.2
    follow_parent: bool = False


@dataclass(slots=True)
class _State:
    """What the loop remembers."""

    stop: threading.Event = field(default_factory=threading.Event)
    performed: int = 0
    idle_since: float = field(default_factory=time.monotonic)
    recovered_at: float = field(default_factory=time.monotonic)


def work(repository: Repository, launchpad: SearchLaunchPad, options: WorkerOptions) -> int:
    """Serve the launchpad; give the number of fireworks performed.

    Ends when the search has ended, after ``max_idle`` seconds without work, or on SIGTERM once
    the step in hand is finished.
    """
    state = _State()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: state.stop.set())
    if options.follow_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(),), daemon=True).start()
    options.launch_dir.mkdir(parents=True, exist_ok=True)
    os.chdir(options.launch_dir)
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
        except UnavailableError as error:
            log.warning("%s; trying again in 10 s", error)
            state.stop.wait(10.0)
    return state.performed


def _round(
    repository: Repository,
    launchpad: SearchLaunchPad,
    fworker: FWorker,
    options: WorkerOptions,
    state: _State,
) -> bool:
    """Perform one firework or wait a moment; give False when the work is over."""
    with reachable():
        ran = launch_rocket(launchpad, fworker, strm_lvl="CRITICAL")
    if ran:
        state.performed += 1
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
