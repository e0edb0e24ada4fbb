"""Repair what a crash left: the fireworks that are missing follow from the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aga.errors import StaleAttemptError
from aga.store.documents import KINDS, Attempt, Step
from aga.store.repository import Repository
from aga.tasks.dispatch import add_fireworks, advance
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.schedule import MAY_FAIL

__all__ = ["Recovered", "recover", "retry_failed"]


MAX_DEATHS = 10
"""Workers that a step may outlive before it counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was repaired: steps taken from dead workers, fireworks added, steps planned anew."""

    released: tuple[str, ...] = ()
    handed_out: tuple[str, ...] = ()
    planned: int = 0

    def __bool__(self) -> bool:
        """Say whether anything needed repair."""
        return bool(self.released or self.handed_out or self.planned)


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
    released = []
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
    planned = advance(repository, launchpad, search_id)
    found = Recovered(
        released=tuple(released), handed_out=tuple(s.id for s in lost), planned=planned
    )
    if found:
        repository.log(
            search_id,
            "recovered",
            f"{len(released)} steps taken from dead workers, {len(lost)} handed out again, "
            f"{planned} planned",
        )
    return found


def _take_away(repository: Repository, step: Step) -> bool:
    """Take a step from its dead worker; False where somebody else was quicker.

    The attempt counts: a step that kills its worker every time must not go on for ever.
    """
    worker = step.worker
    place = f"{worker.host}, process {worker.pid}" if worker else "unknown"
    error = {
        "error": "WorkerDied",
        "kind": "retry",
        "message": f"the worker ({place}) died during attempt {step.attempts}",
        "remedy": "look for a lack of memory or a time limit where it ran",
    }
    attempt = Attempt(step=step, token=step.token or "")
    try:
        repository.fail(attempt, error, retry=step.attempts < MAX_DEATHS)
    except StaleAttemptError:
        return False
    return True


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

    Steps whose failure cost one candidate alone stay as they are.
    """
    fields = {"state": "running", "reason": None, "finished": None}
    if repository.update_search(search_id, fields, expect={"state": "failed"}):
        repository.replan(search_id, [kind for kind in KINDS if kind not in MAY_FAIL])
    return recover(repository, launchpad, search_id, grace=0.0)
