"""Steps: small documents that workers claim, one attempt at a time.

A worker may die at any moment and a worker thought dead may come back. So a step is worked on
under an attempt token, and every change of its state compares the token and the state in the
same database operation: exactly one attempt can complete a step, and the late ones are refused.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from aga.errors import StaleAttemptError
from aga.store.documents import (
    Attempt,
    Document,
    Step,
    StepKind,
    Worker,
    plain,
    utcnow,
)
from aga.store.step_queries import StepQueries

__all__ = ["Steps"]

_TRIES = 3  # at a step that changes hands while it is looked at


class Steps(StepQueries):
    """The collection ``aga_steps``."""

    def plan_steps(self, steps: Sequence[Step]) -> list[Step]:
        """Plan steps; those that exist already stay as they are.

        Returns
        -------
        list of Step
            Those that this call planned, in the order given.
        """
        if not steps:
            return []
        # The mark tells our inserts from another planner's, even when an acknowledgement got
        # lost and the insert was repeated.
        mark, now = uuid.uuid4().hex, utcnow()
        fresh = [
            step.to_dict() | {"planned_at": step.planned_at or now, "planned_by": mark}
            for step in steps
        ]
        self.insert_new("steps", fresh)
        query = {"_id": {"$in": [step.id for step in steps]}, "planned_by": mark}
        ours = {doc["_id"]: Step.from_dict(doc) for doc in self.find("steps", query)}
        return [ours[step.id] for step in steps if step.id in ours]

    def fix_args(self, attempt: Attempt, args: Mapping[str, Any]) -> Step:
        """Add arguments that are decided when a step begins; the next attempt finds them.

        Raises
        ------
        aga.errors.StaleAttemptError
            The step was given to another worker meanwhile, or has ended.
        """
        change = {f"args.{key}": plain(value) for key, value in args.items()}
        if not self._update(_ours(attempt), change):
            raise self._stale(attempt)
        return self.get_step(attempt.step_id)

    def cancel_planned(self, search_id: str, kinds: Sequence[StepKind]) -> list[Step]:
        """Give up the steps of some kinds that nobody has begun; give those given up here."""
        cancelled = []
        for step in self.list_steps(search_id, state="planned", kind=list(kinds)):
            query = {"_id": step.id, "state": "planned", "token": step.token}
            if self._update(query, {"state": "cancelled", "ended_at": utcnow()}):
                cancelled.append(step)
        return cancelled

    def set_firework(self, step_id: str, fw_id: int | None) -> bool:
        """Remember which firework carries the step; False if there is no such step."""
        return self._update({"_id": step_id}, {"fw_id": fw_id})

    def claim(
        self, step_id: str, *, worker: Worker, lease: float, seen: Step | None = None
    ) -> Attempt | None:
        """Begin an attempt at a step that is planned or whose worker is gone.

        Parameters
        ----------
        step_id
            The step.
        worker
            Who asks.
        lease
            Seconds for which the step is the worker's; :meth:`renew` prolongs it.
        seen
            The step as it was a moment ago, where that is known.

        Returns
        -------
        Attempt or None
            None where the step is done, failed, or in another worker's hands.

        Raises
        ------
        aga.errors.NotFoundError
            There is no such step.
        """
        token = uuid.uuid4().hex
        for _ in range(_TRIES):
            seen = seen or self.get_step(step_id)
            if not _is_free(seen):
                return None
            step = self._take(seen, token, worker, lease)
            if step.token == token:
                return Attempt(step=step, token=token)
            seen = step
        return None

    def renew(self, attempt: Attempt, lease: float) -> bool:
        """Prolong the lease to ``lease`` seconds from now; False if the step is not ours."""
        change = {"lease": utcnow() + timedelta(seconds=lease)}
        return self._update(_ours(attempt), change)

    def complete(self, attempt: Attempt, result: Mapping[str, Any]) -> None:
        """End an attempt with its result: identifiers and small numbers.

        Raises
        ------
        aga.errors.StaleAttemptError
            The step was given to another worker meanwhile, or has ended.
        """
        self._end(attempt, {"state": "done", "result": plain(dict(result)), "error": None})

    def fail(self, attempt: Attempt, error: Mapping[str, Any], *, retry: bool) -> None:
        """End an attempt with an error; with ``retry`` the step is planned again.

        Raises
        ------
        aga.errors.StaleAttemptError
            The step was given to another worker meanwhile, or has ended.
        """
        state = "planned" if retry else "failed"
        self._end(attempt, {"state": state, "error": plain(dict(error))})

    def release(self, attempt: Attempt) -> None:
        """Give a step back untouched: it is planned again and the attempt does not count.

        Raises
        ------
        aga.errors.StaleAttemptError
            The step was given to another worker meanwhile, or has ended.
        """
        self._end(attempt, {"state": "planned", "attempts": attempt.step.attempts - 1})

    def plan_again(self, step: Step) -> bool:
        """Plan an ended step anew as if it had never been begun; False if it has changed."""
        change = {
            **dict.fromkeys(("token", "fw_id", "result", "error", "ended_at")),
            "state": "planned",
            "attempts": 0,
        }
        return self._update({"_id": step.id, "state": step.state, "token": step.token}, change)

    def withdraw(self, step: Step) -> bool:
        """Remove a failed step, to be planned later; False if it has changed."""
        query = {"_id": step.id, "state": "failed", "token": step.token}
        target = self.collection("steps")
        return self.write(lambda: target.delete_one(query)).deleted_count == 1

    def overdue(self, search_id: str | None = None) -> list[Step]:
        """Give the running steps whose lease ran out or whose local process is gone."""
        return [step for step in self.list_steps(search_id, state="running") if _is_overdue(step)]

    def _take(self, seen: Step, token: str, worker: Worker, lease: float) -> Step:
        """Take a step if it still is as it was seen; give it as it is then."""
        now = utcnow()
        change = {
            "$set": {
                "state": "running",
                "token": token,
                "worker": worker.to_dict(),
                "lease": now + timedelta(seconds=lease),
                "started_at": now,
                "ended_at": None,
            },
            "$inc": {"attempts": 1},
        }
        # Plain equalities: small servers look up the identifier then, where an `$or` over
        # states would make them read all steps. A lease renewed meanwhile is another lease.
        query = {
            "_id": seen.id,
            "state": seen.state,
            "token": seen.token,
            "lease": seen.lease,
        }
        target = self.collection("steps")
        self.write(lambda: target.update_one(query, change))
        # Read back rather than trust the count: a repeated update whose acknowledgement got
        # lost matches nothing although the step is ours.
        return self.get_step(seen.id)

    def _end(self, attempt: Attempt, change: Document) -> None:
        ended = change["state"] != "planned"
        # The token stays with the step, so that a repeated call can tell its own work.
        change = change | {"lease": None, "ended_at": utcnow() if ended else None}
        if not ended:  # who did what is asked long afterwards
            change["worker"] = None
        if self._update(_ours(attempt), change):
            return
        now = self.get_step(attempt.step_id)
        if now.token == attempt.token and now.state == change["state"]:
            return
        raise self._stale(attempt)

    def _stale(self, attempt: Attempt) -> StaleAttemptError:
        now = self.get_step(attempt.step_id)
        return StaleAttemptError(
            f"step {attempt.step_id} is {now.state} and no longer this attempt's; "
            "its result is discarded",
            step=attempt.step_id,
            state=now.state,
        )

    def _update(self, query: Document, change: Document) -> bool:
        target = self.collection("steps")
        return self.write(lambda: target.update_one(query, {"$set": change})).matched_count == 1


def _ours(attempt: Attempt) -> Document:
    return {"_id": attempt.step_id, "state": "running", "token": attempt.token}


def _is_free(step: Step) -> bool:
    return step.state == "planned" or (step.state == "running" and _is_overdue(step))


def _is_overdue(step: Step) -> bool:
    expired = step.lease is not None and step.lease < utcnow()
    return expired or (step.worker is not None and step.worker.is_dead())
