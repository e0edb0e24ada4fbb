"""Perform a plan: record the steps in the store, then hand them to FireWorks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aga.config import Settings
from aga.config.load import settings_from_dict
from aga.store.documents import Step
from aga.store.repository import Repository
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.schedule import plan_next
from aga.tasks.workflows import step_workflow

__all__ = ["add_fireworks", "advance", "search_settings"]


def search_settings(search: dict[str, Any]) -> Settings:
    """Give the settings stored with a search."""
    return settings_from_dict(search["settings"])


def advance(repository: Repository, launchpad: SearchLaunchPad, search_id: str) -> int:
    """Plan and hand out whatever the search needs next; give the number of new steps.

    Safe to call at any time by any number of workers: a step is recorded once, by its
    identifier, and only the one who recorded it adds its firework.
    """
    search = repository.get_search(search_id)
    if search["state"] != "running":
        return 0
    iteration = int(search["iteration"])
    steps = [
        s for i in (iteration, iteration + 1) for s in repository.list_steps(search_id, iteration=i)
    ]
    plan = plan_next(search_id, steps, search_settings(search))
    if plan.failure is not None:
        _end(repository, search_id, state="failed", reason=plan.failure)
        return 0
    repository.update_search(
        search_id,
        {"phase": plan.phase, "iteration": plan.iteration, "generation": plan.generation},
        expect={"state": "running"},
    )
    new = repository.plan_steps(list(plan.steps)) if plan.steps else []
    add_fireworks(repository, launchpad, new)
    return len(new)


def add_fireworks(repository: Repository, launchpad: SearchLaunchPad, steps: list[Step]) -> None:
    """Add one workflow per step and note its firework in the store."""
    for step in steps:
        ids = launchpad.add_wf(step_workflow(step))
        repository.set_firework(step.id, next(iter(ids.values())))


def _end(repository: Repository, search_id: str, *, state: str, reason: str) -> None:
    fields = {"state": state, "reason": reason, "finished": datetime.now(UTC)}
    if repository.update_search(search_id, fields, expect={"state": "running"}):
        repository.log(search_id, state, reason)
