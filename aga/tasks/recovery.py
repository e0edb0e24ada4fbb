"""Repair what a crash left: the fireworks that are missing follow from the store."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aga.errors import StaleAttemptError
from aga.store.documents import Attempt, Step
from aga.store.repository import Repository
from aga.tasks.dispatch import add_fireworks, advance, give_up
from aga.tasks.jobs import release_ended
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.schedule import MAY_FAIL

__all__ = ["Recovered", "recover", "retry_failed"]

log = logging.getLogger(__name__)

MAX_DEATHS = 10
"""Workers that a step may outlive before it counts as failed, and the search with it."""

MAX_DEATHS_OF_CANDIDATE = 5
"""The same of a step whose failure costs one candidate alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was repaired.

    ``released`` are the steps taken from dead workers and ended jobs, ``handed_out`` those that
    got a new firework, ``archived`` the fireworks that still ran for a step that has ended;
    ``planned`` counts the new steps.
    """

    released: tuple[str, ...] = ()
    handed_out: tuple[str, ...] = ()
    archived: tuple[int, ...] = ()
    planned: int = 0

    def __bool__(self) -> bool:
        """Say whether anything needed repair."""
        return bool(self.released or self.handed_out or self.archived or self.planned)


def recover(
    repository: Repository, launchpad: SearchLaunchPad, search_id: str, *, grace: float = 30.0
) -> Recovered:
    """Bring a search back to work after any crash; does nothing to a healthy one.

    Parameters
    ----------
    repository, launchpad
        Store and launchpad of the search.
    search_id
        The search.
    grace
        Seconds that a planned step may be without a firework before it counts as lost: its
        planner may be about to add it.

    Notes
    -----
    May run anywhere and at any time. A firework too many does no harm: the attempt token lets
    a step be performed once.
    """
    if repository.get_search(search_id)["state"] != "running":
        return Recovered()
    released = release_ended(repository, search_id)
    for step in repository.overdue(search_id):
        if _take_away(repository, step):
            released.append(step.id)
            if step.fw_id is not None:
                launchpad.abandon(step.fw_id)
    lost = _without_firework(repository, launchpad, search_id, grace=grace)
    for step in lost:
        if step.fw_id is not None:
            launchpad.abandon(step.fw_id)
    add_fireworks(repository, launchpad, lost)
    found = Recovered(
        released=tuple(released),
        handed_out=tuple(s.id for s in lost),
        archived=_archive_ended(repository, launchpad, search_id, grace=grace),
        planned=advance(repository, launchpad, search_id),
    )
    if found:
        repository.log(
            search_id,
            "recovered",
            f"{len(released)} steps taken from dead workers, {len(lost)} handed out again, "
            f"{found.planned} planned, {len(found.archived)} old fireworks archived",
        )
    return found


def _take_away(repository: Repository, step: Step) -> bool:
    """Take a step from its dead worker; False where somebody else was quicker.

    The attempt counts: a step that kills its worker every time must not go on for ever.
    """
    worker, limit = step.worker, MAX_DEATHS
    if step.kind in MAY_FAIL:
        limit = MAX_DEATHS_OF_CANDIDATE
    place = f"{worker.host}, process {worker.pid}" if worker else "unknown"
    error = {
        "error": "WorkerDied",
        "kind": "worker_died",
        "message": f"the worker ({place}) died during attempt {step.attempts}",
        "remedy": "look for a lack of memory or a time limit where it ran",
    }
    log.warning("%s: %s", step.id, error["message"])
    attempt = Attempt(step=step, token=step.token or "")
    try:
        repository.fail(attempt, error, retry=step.attempts < limit)
    except StaleAttemptError:
        return False
    if step.attempts >= limit:
        give_up(repository, step, error)
    return True


def _archive_ended(
    repository: Repository, launchpad: SearchLaunchPad, search_id: str, *, grace: float
) -> tuple[int, ...]:
    """Archive the fireworks left running by workers that died between our commit and theirs."""
    running = launchpad.running(search_id, grace=grace)
    if not running:
        return ()
    steps = repository.list_steps(search_id, _id=sorted(set(running.values())))
    ended = {step.id for step in steps if step.state in {"done", "failed", "cancelled"}}
    left = tuple(sorted(fw_id for fw_id, step_id in running.items() if step_id in ended))
    for fw_id in left:
        launchpad.abandon(fw_id)
    return left


def _without_firework(
    repository: Repository, launchpad: SearchLaunchPad, search_id: str, *, grace: float
) -> list[Step]:
    before = datetime.now(UTC) - timedelta(seconds=grace)
    planned = repository.list_steps(search_id, state="planned")
    live = launchpad.live([s.fw_id for s in planned if s.fw_id is not None], grace=grace)
    lost = []
    for step in planned:
        if step.fw_id in live or (step.planned_at is not None and step.planned_at > before):
            continue
        lost.append(step)
    return lost


def retry_failed(repository: Repository, launchpad: SearchLaunchPad, search_id: str) -> Recovered:
    """Give a failed search another chance: its failed steps are planned again.

    Steps whose failure cost one candidate alone stay as they are, unless it was for their
    labels that the search failed: then these are computed again.
    """
    if repository.get_search(search_id)["state"] == "failed":
        for step in repository.list_steps(search_id, kind="collect", state="failed"):
            if (step.error or {}).get("facts", {}).get("retry") == "label":
                _label_again(repository, step)
        repository.reopen(search_id)
        repository.log(search_id, "reopened", "the failed search goes on")
    return recover(repository, launchpad, search_id, grace=0.0)


def _label_again(repository: Repository, collect: Step) -> None:
    """Plan the labels again that a failed collect step missed; what failed is forgotten."""
    labels = repository.list_steps(
        collect.search_id, kind="label", iteration=collect.iteration, state=["done", "failed"]
    )
    missing = [step for step in labels if not (step.result or {}).get("frame")]
    repository.forgive(collect.search_id, [step.key for step in missing])
    repository.unsettle(collect.search_id, collect.iteration)
    for step in missing:
        repository.plan_again(step)
    repository.withdraw(collect)  # last: a crash before it leaves the search failed as it was
