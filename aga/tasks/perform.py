"""Perform one step under an attempt token: claim, compute, commit, plan what follows."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import traceback
from types import TracebackType
from typing import Any, Self

from fireworks.core.launchpad import LaunchPad

from aga.config import Settings
from aga.config.load import settings_from_dict
from aga.errors import (
    AgaError,
    DatabaseUnavailableError,
    DiskFullError,
    SearchFailedError,
    SiteError,
    StaleAttemptError,
    UnavailableError,
)
from aga.store.documents import Attempt, Worker
from aga.store.repository import Repository
from aga.tasks.context import StepContext
from aga.tasks.dispatch import add_fireworks, advance, give_up, note_trouble, search_settings
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.steps import step_function

__all__ = ["MAX_ATTEMPTS", "RetryStepError", "perform", "start"]

MAX_ATTEMPTS = 3
"""Attempts at one step before it counts as failed."""

log = logging.getLogger(__name__)


class Heartbeat:
    """Renew the lease of an attempt in the background while its step computes."""

    def __init__(self, repository: Repository, attempt: Attempt, lease: float) -> None:
        self._repository = repository
        self._attempt = attempt
        self._lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(self._lease / 4):
            try:
                if not self._repository.renew(self._attempt, self._lease):
                    log.warning("%s: the lease is lost", self._attempt.step_id)
                    return
            except UnavailableError as error:
                log.warning("%s: lease not renewed: %s", self._attempt.step_id, error)


def start(settings: dict[str, Any], launchpad: LaunchPad) -> str:
    """Create a search (or find it) and plan its next step; give its identifier."""
    ours = SearchLaunchPad.of(launchpad)
    repository = Repository.from_database(ours.db)
    repository.ensure_indexes()
    tree = settings_from_dict(settings)
    ready = _with_full_paths(tree)
    if not repository.put_machine(ready):
        if tree.search.seed_searches:
            from aga.tasks.steps.seed import check_earlier  # noqa: PLC0415 - heavy, seldom

            check_earlier(repository, tree.search)  # what is wrong is told now, not by a step
        repository.create_search(ready)
    advance(repository, ours, tree.search_id())
    return tree.search_id()


def _with_full_paths(settings: Settings) -> Settings:
    """Let a relative run directory start where the search is created, not where steps run."""
    machine = settings.machine
    full = machine.run_dir.expanduser().resolve()
    return settings.model_copy(update={"machine": machine.model_copy(update={"run_dir": full})})


def perform(step_id: str, launchpad: LaunchPad) -> dict[str, Any]:
    """Perform a step, commit its result under its attempt token and plan what follows.

    Returns
    -------
    dict
        ``{"step_id", "state"}``; ``state`` is ``done``, ``failed``, or ``skipped`` where the
        step is done already or in somebody else's hands.

    Raises
    ------
    RetryStepError
        The attempt failed; the step is handed out again.
    aga.errors.SiteError, aga.errors.UnavailableError
        Not the step's fault: the machine lacks something, the disk is full, the database is
        away. The step is given back untouched and the launchpad's ``trouble`` tells the worker.
    """
    ours = SearchLaunchPad.of(launchpad)
    repository = Repository.from_database(ours.db)
    step = repository.get_step(step_id)
    search = repository.get_search(step.search_id)
    settings = search_settings(search)
    # A result of hours outlives a longer absence of the database than a question does.
    repository.patience = max(repository.patience, settings.machine.patience)
    lease = settings.machine.lease
    attempt = repository.claim(step_id, worker=Worker.current(), lease=lease, seen=step)
    if attempt is None:
        return {"step_id": step_id, "state": "skipped"}
    context = StepContext(repository=repository, settings=settings, step=step, attempt=attempt)
    began = time.monotonic()
    try:
        with Heartbeat(repository, attempt, lease):
            state = _attempt(context, ours)
    except StaleAttemptError:
        log.warning("%s: another worker took over; this result is discarded", step_id)
        return {"step_id": step_id, "state": "skipped"}
    except RetryStepError:
        add_fireworks(repository, ours, [step])
        raise
    except (SiteError, UnavailableError) as error:
        ours.trouble = error
        raise
    ours.trouble = None
    if search["reason"]:  # whatever held the workers up, it is over
        note_trouble(repository, step.search_id, None)
    log.info("%s: %s after %.1f s", step_id, state, time.monotonic() - began)
    if step.category == "oracle":
        repository.count_reference(step.search_id, refined=step.kind == "refine")
    advance(repository, ours, step.search_id)
    return {"step_id": step_id, "state": state}


class RetryStepError(AgaError):
    """The step is planned again; FireWorks sees this launch as fizzled."""

    kind = "retry"


def _attempt(context: StepContext, launchpad: SearchLaunchPad) -> str:
    repository, attempt = context.repository, context.attempt
    try:
        launchpad.computing = True
        try:
            result = step_function(context.step.kind, launchpad.steps)(context)
        finally:
            launchpad.computing = False
        repository.complete(attempt, result)
    except StaleAttemptError:
        raise
    except (KeyboardInterrupt, SystemExit):
        repository.release(attempt)
        raise
    except (SiteError, UnavailableError) as error:
        _give_back(context, error)
        raise
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            return _failed(context, error)
        full = _disk_full(context, error)
        _give_back(context, full)
        raise full from error
    except Exception as error:  # noqa: BLE001 - whatever a step raises, the search must know
        return _failed(context, error)
    return "done"


def _give_back(context: StepContext, error: AgaError) -> None:
    """Plan the step again as if it had never been begun: it is not to blame."""
    context.repository.release(context.attempt)
    if not isinstance(error, DatabaseUnavailableError):
        note_trouble(context.repository, context.step.search_id, error)


def _disk_full(context: StepContext, error: OSError) -> DiskFullError:
    place = error.filename or context.settings.machine.run_dir
    return DiskFullError(
        f"no space left on the disk at {place}",
        remedy="free some space; the search goes on by itself, or with the same command where "
        "its workers have given up waiting; nothing stored is lost",
        path=str(place),
    )


def _failed(context: StepContext, error: Exception) -> str:
    """Record a failure; the step is planned again until its attempts are used up."""
    facts = error.to_dict() if isinstance(error, AgaError) else _unexpected(error)
    # What makes the whole search fail follows from the store: trying again changes nothing.
    retry = context.attempt.number < MAX_ATTEMPTS and not isinstance(error, SearchFailedError)
    log.error("%s: %s", context.step.id, facts["message"])
    context.repository.log(
        context.step.search_id,
        "step_failed",
        f"{context.step.kind} {context.step.key}: {facts['message']}",
        step=context.step.id,
        attempt=context.attempt.number,
        remedy=facts.get("remedy"),
    )
    if not retry:
        give_up(context.repository, context.step, facts)
    context.repository.fail(context.attempt, facts, retry=retry)
    if retry:
        raise RetryStepError(facts["message"], remedy=facts.get("remedy")) from error
    return "failed"


def _unexpected(error: Exception) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "kind": "unexpected",
        "message": f"{type(error).__name__}: {error}",
        "remedy": "see the worker's log; please report it if the cause is not on this machine",
        "facts": {"traceback": traceback.format_exc(limit=20), "pid": os.getpid()},
    }
