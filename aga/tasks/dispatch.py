"""Perform a plan: record the steps in the store, then hand them to FireWorks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from aga.config import Settings
from aga.config.load import settings_from_dict
from aga.errors import AgaError
from aga.store.documents import Step, StepKind
from aga.store.repository import Repository
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.schedule import Plan, plan_concurrent, plan_next
from aga.tasks.situation import Heads, situation
from aga.tasks.workflows import step_workflow

__all__ = ["add_fireworks", "advance", "give_up", "note_trouble", "search_settings"]


def search_settings(search: Mapping[str, Any]) -> Settings:
    """Give the settings stored with a search."""
    return _settings(json.dumps(search["settings"], sort_keys=True))


@lru_cache(maxsize=16)
def _settings(text: str) -> Settings:
    """Read settings once: a worker needs the same ones several times a second."""
    return settings_from_dict(json.loads(text))


def advance(repository: Repository, launchpad: SearchLaunchPad, search_id: str) -> int:
    """Plan and hand out whatever the search needs next; give the number of new steps.

    Safe to call at any time by any number of workers: a step is recorded once, by its
    identifier, and only the one who recorded it adds its firework.
    """
    search = repository.get_search(search_id)
    if search["state"] != "running":
        return 0
    plan, heads = _plan(repository, search)
    if plan.failure is not None:
        _fail(repository, search_id, plan.failure, plan.remedy)
        return 0
    fields = {"phase": plan.phase, "iteration": plan.iteration, "generation": plan.generation}
    fields |= {} if heads is None else {"heads": heads}
    if any(search.get(key) != value for key, value in fields.items()):
        repository.update_search(search_id, fields, expect={"state": "running"})
    if plan.cancel:
        _cancel(repository, launchpad, search_id, plan.cancel)
    new = repository.plan_steps(list(plan.steps)) if plan.steps else []
    add_fireworks(repository, launchpad, new)
    return len(new)


def _plan(repository: Repository, search: Mapping[str, Any]) -> tuple[Plan, dict[str, int] | None]:
    """Decide what comes next, and what to remember for the next decision."""
    search_id, settings = str(search["_id"]), search_settings(search)
    if settings.search.schedule == "concurrent":
        at = situation(repository, search, settings)
        heads = Heads.seen(at, settings.search.islands)
        return plan_concurrent(search_id, at, settings), heads.to_dict()
    iteration = int(search["iteration"])
    steps = [
        s for i in (iteration, iteration + 1) for s in repository.list_steps(search_id, iteration=i)
    ]
    return plan_next(search_id, steps, settings), None


def _cancel(
    repository: Repository, launchpad: SearchLaunchPad, search_id: str, kinds: Sequence[StepKind]
) -> None:
    """Give up what nobody has begun; picks that are not labelled are candidates again."""
    cancelled = repository.cancel_planned(search_id, kinds)
    for step in cancelled:
        if step.fw_id is not None:
            launchpad.abandon(step.fw_id)
    repository.withdraw_picks(search_id, [s.key for s in cancelled if s.kind == "label"])
    if cancelled:
        message = f"{len(cancelled)} steps that nobody had begun are given up: the verdict is in"
        repository.log(search_id, "cancelled", message)


def add_fireworks(repository: Repository, launchpad: SearchLaunchPad, steps: list[Step]) -> None:
    """Add one workflow per step and note its firework in the store."""
    for step in steps:
        ids = launchpad.add_wf(step_workflow(step))
        repository.set_firework(step.id, next(iter(ids.values())))


def give_up(repository: Repository, step: Step, error: Mapping[str, Any]) -> None:
    """Note what a step failed for good means for its candidate, if it costs one."""
    if step.kind == "label":
        repository.mark_failed(step.search_id, step.key, str(error["kind"]), str(error["message"]))


def note_trouble(repository: Repository, search_id: str, error: AgaError | None) -> None:
    """Tell in a running search what holds its workers up; None when that is over.

    The search stays running: it goes on as soon as any worker can.
    """
    fields: dict[str, Any] = {"reason": None, "remedy": None}
    if error is not None:
        fields = {"reason": f"held up: {error.message}", "remedy": error.remedy}
    search = repository.get_search(search_id)
    if search["reason"] == fields["reason"]:
        return
    if repository.update_search(search_id, fields, expect={"state": "running"}):
        if error is None:
            repository.log(search_id, "resumed", "what held the search up is over")
        else:
            facts = {"error": type(error).__name__, "remedy": error.remedy}
            repository.log(search_id, "held_up", error.message, **facts)


def _fail(repository: Repository, search_id: str, reason: str, remedy: str | None) -> None:
    now = datetime.now(UTC)
    fields = {"state": "failed", "reason": reason, "remedy": remedy, "finished": now}
    if repository.update_search(search_id, fields, expect={"state": "running"}):
        repository.log(search_id, "failed", reason, remedy=remedy)
