"""The FireWorks LaunchPad that the workers of a search use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from fireworks.core.firework import Firework
from fireworks.core.launchpad import LaunchPad
from pymongo import DESCENDING, ReturnDocument
from pymongo.errors import PyMongoError

from aga.errors import AgaError, DatabaseUnavailableError
from aga.store.documents import StepKind
from aga.tasks.collections import CarefulCollection, fits, is_plain
from aga.tasks.steps import STEPS, StepFunction

__all__ = ["LIVE_STATES", "SearchLaunchPad", "reachable"]

LIVE_STATES = ("READY", "WAITING", "RESERVED", "RUNNING")
"""Firework states in which somebody has it in hand or will take it."""


HELD = frozenset({"DEFUSED", "PAUSED", "ARCHIVED"})
"""States in which a user, or a repair, has put a firework aside."""

FIRST = 100
"""Ready fireworks among which a worker looks for one that fits, before it asks the server to."""


SHORT = 60.0
"""Seconds within which a launch is not pinged."""


@contextmanager
def reachable() -> Iterator[None]:
    """Turn a lost connection inside FireWorks into ours.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        The database did not answer.
    """
    try:
        yield
    except PyMongoError as error:
        raise DatabaseUnavailableError(
            f"FireWorks can't reach the database: {error}",
            remedy="`aga db status` tells whether the server is up; workers try again",
        ) from error


class SearchLaunchPad(LaunchPad):  # type: ignore[misc] # FireWorks is untyped
    """A LaunchPad that is right on every server that speaks MongoDB's protocol.

    Stock FireWorks draws its ids from the *old* document of ``find_one_and_update``. Servers
    on which that one operation is not atomic hand out the same id twice; the *new* document is
    atomic everywhere, so ids are drawn from it and the increment is subtracted again. The other
    collections are :class:`~aga.tasks.collections.CarefulCollection` for the same reason.

    ``trouble`` is what kept the last step launched here from being performed although nothing
    is wrong with it (FireWorks swallows whatever a Firetask raises); None where it went well.
    ``computing`` says that a step computes and may be interrupted: neither FireWorks nor a
    commit is at a point that must not be left. ``steps`` names the functions of the steps; only
    benchmarks of the schedule replace some of them.
    """

    trouble: AgaError | None = None
    computing: bool = False
    steps: Mapping[StepKind, str | StepFunction] = STEPS
    _looked_at_all: bool = False
    _launched: tuple[int, float] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - FireWorks' own
        super().__init__(*args, **kwargs)
        self.fireworks: Any = CarefulCollection(self.db.fireworks)
        self.launches: Any = CarefulCollection(self.db.launches)
        self.workflows: Any = CarefulCollection(self.db.workflows)

    @classmethod
    def of(cls, launchpad: LaunchPad) -> Self:
        """Take over the connection of a stock LaunchPad."""
        if isinstance(launchpad, cls):
            return launchpad
        return cls(**launchpad.to_dict())

    def ensure_ready(self) -> None:
        """Create the id counter and the indexes of a new database; change nothing in an old one."""
        if self.fw_id_assigner.find_one({}) is None:
            self.fw_id_assigner.update_one(
                {"_id": -1},
                {"$setOnInsert": {"next_fw_id": 1, "next_launch_id": 1}},
                upsert=True,
            )
            self.tuneup(bkground=False)

    def _get_a_fw_to_run(
        self,
        query: dict[str, Any] | None = None,
        fw_id: int | None = None,
        checkout: bool = True,  # noqa: FBT001, FBT002 - FireWorks' signature
    ) -> Any:  # noqa: ANN401 - a Firework or None
        """Take the next firework for a worker: one of the first that are ready, if it fits.

        FireWorks' own query has alternatives (``$or``), which keep small servers from using an
        index; it decides where none of the first fits.
        """
        if fw_id is None and checkout and is_plain(query or {}):
            for document in self._first_ready():
                if fits(document, query or {}) and self._reserve(document):
                    try:
                        return self.get_fw_by_id(document["fw_id"])
                    except ValueError:  # deleted in the meantime
                        continue
            if self._looked_at_all:
                return None
        return super()._get_a_fw_to_run(query, fw_id, checkout)

    def _first_ready(self) -> list[dict[str, Any]]:
        fields = ["fw_id", "spec"]
        order = [("spec._priority", DESCENDING)]
        found = list(self.fireworks.find({"state": "READY"}, fields, sort=order, limit=FIRST))
        self._looked_at_all = len(found) < FIRST
        return found

    def _reserve(self, document: dict[str, Any]) -> bool:
        change = {"$set": {"state": "RESERVED", "updated_on": datetime.now(UTC)}}
        ready = {"_id": document["_id"], "state": "READY"}
        return bool(self.fireworks.update_one(ready, change).matched_count)

    def _refresh_wf(self, fw_id: int) -> None:
        """Bring firework and workflow of a step to the state of its launches.

        A workflow of one firework needs neither FireWorks' lock nor the documents rewritten; it
        takes a third of the commands.
        """
        fields = ["state", "launches", "spec.step_id"]
        firework = self.fireworks.find_one({"fw_id": fw_id}, fields)
        if firework is None or "step_id" not in firework["spec"] or firework["state"] in HELD:
            super()._refresh_wf(fw_id)
            return
        launches = self.launches.find({"launch_id": {"$in": firework["launches"]}}, ["state"])
        states = [launch["state"] for launch in launches]
        state = max(states, key=lambda one: Firework.STATE_RANKS[one], default="READY")
        change = {"state": state, "updated_on": datetime.now(UTC).isoformat()}
        self.fireworks.update_one({"fw_id": fw_id}, {"$set": change})
        self.workflows.update_one(
            {"nodes": fw_id}, {"$set": {**change, f"fw_states.{fw_id}": state}}
        )

    def ping_launch(self, launch_id: int, ptime: Any = None, checkpoint: Any = None) -> None:  # noqa: ANN401 - FireWorks' signature
        """Note that a launch is alive, unless it has only just begun.

        Whether a worker lives is told by the lease of its step; FireWorks' pings, of which every
        launch has three at least, matter to ``lpad detect_lostruns`` alone.
        """
        now = time.monotonic()
        if self._launched is None or self._launched[0] != launch_id:
            self._launched = (launch_id, now)
        if now - self._launched[1] >= SHORT:
            super().ping_launch(launch_id, ptime, checkpoint)

    def get_new_fw_id(self, quantity: int = 1) -> int:
        """Draw ``quantity`` firework ids and give the first."""
        return self._draw("next_fw_id", quantity)

    def get_new_launch_id(self) -> int:
        """Draw one launch id."""
        return self._draw("next_launch_id", 1)

    def _draw(self, counter: str, quantity: int) -> int:
        document = self.fw_id_assigner.find_one_and_update(
            {}, {"$inc": {counter: quantity}}, return_document=ReturnDocument.AFTER
        )
        if document is None:
            self.ensure_ready()
            return self._draw(counter, quantity)
        return int(document[counter]) - quantity

    def live(self, fw_ids: list[int], *, grace: float) -> set[int]:
        """Give those fireworks of unclaimed steps that somebody has in hand or will take.

        A step is claimed at the start of its launch; a firework that has been running longer
        than ``grace`` seconds with its step unclaimed lost its worker in between. One that is
        reserved without a launch lost it even earlier. One without a workflow is the remains of
        a crash between the two writes of ``add_wf`` and can't complete.
        """
        before = datetime.now(UTC) - timedelta(seconds=grace)
        found = self.fireworks.find(
            {"fw_id": {"$in": fw_ids}, "state": {"$in": list(LIVE_STATES)}},
            {"fw_id": 1, "state": 1, "updated_on": 1},
        )
        queued = {
            d["fw_id"]
            for d in self.launches.find(
                {"fw_id": {"$in": fw_ids}, "state": "RESERVED"}, {"fw_id": 1}
            )
        }
        alive = {
            d["fw_id"]
            for d in found
            if d["state"] in {"READY", "WAITING"}
            or d["fw_id"] in queued
            or _utc(d["updated_on"]) > before
        }
        held = self.workflows.find({"nodes": {"$in": sorted(alive)}}, {"nodes": 1})
        return alive & {node for w in held for node in w["nodes"]}

    def running(self, search_id: str, *, grace: float) -> dict[int, str]:
        """Give the step of each firework of a search that is in hand longer than ``grace`` s."""
        before = datetime.now(UTC) - timedelta(seconds=grace)
        found = self.fireworks.find(
            {"spec.search_id": search_id, "state": {"$in": ["RESERVED", "RUNNING"]}},
            {"fw_id": 1, "spec.step_id": 1, "updated_on": 1},
        )
        return {
            d["fw_id"]: d["spec"]["step_id"]
            for d in found
            if "step_id" in d["spec"] and _utc(d["updated_on"]) <= before
        }

    def abandon(self, fw_id: int) -> None:
        """Archive a firework whose worker died, and free its workflow's lock.

        Written directly: FireWorks' own way waits for a lock that the dead worker may hold.
        """
        now = datetime.now(UTC).isoformat()
        archived: dict[str, Any] = {"state": "ARCHIVED", "updated_on": now}
        self.launches.update_many({"fw_id": fw_id, "state": "RUNNING"}, {"$set": archived})
        self.fireworks.update_one({"fw_id": fw_id}, {"$set": archived})
        self.workflows.update_one(
            {"nodes": fw_id},
            {"$set": {**archived, f"fw_states.{fw_id}": "ARCHIVED"}, "$unset": {"locked": True}},
        )


def _utc(moment: datetime | str) -> datetime:
    """Read a time as FireWorks keeps it: text, or a datetime with or without zone."""
    read = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return read if read.tzinfo else read.replace(tzinfo=UTC)
