"""Workflow builders: ids in the spec, data in the store.

Every step is a workflow of its own. FireWorks rewrites a workflow document whole, under a lock,
at each completion; with one firework per workflow that cost is constant, two workers never wait
for each other, and the lock of a killed worker concerns nobody else.
"""

from __future__ import annotations

from typing import Any

from fireworks import Firework, Workflow

from aga.config import Settings
from aga.store.documents import CATEGORIES, PRIORITIES, Step
from aga.tasks.firetasks import TASKS, StartTask

__all__ = ["start_workflow", "step_workflow"]


def step_workflow(step: Step) -> Workflow:
    """Build the workflow of one step."""
    name = f"{step.search_id} {step.kind} {step.iteration:03d} {step.key}"
    spec = _spec(step.search_id, CATEGORIES[step.kind]) | {
        "step_id": step.id,
        "_priority": PRIORITIES[step.kind],
    }
    firework = Firework([TASKS[step.kind](step_id=step.id)], spec=spec, name=name)
    metadata = {
        "search_id": step.search_id,
        "step_id": step.id,
        "kind": step.kind,
        "iteration": step.iteration,
    }
    return Workflow([firework], name=name, metadata=metadata)


def start_workflow(settings: Settings) -> Workflow:
    """Build the workflow that starts a search: the one a user adds with ``lpad add``.

    It carries the settings, because stock ``lpad`` knows nothing of our collections; everything
    after it carries ids alone.
    """
    search_id = settings.search_id()
    task = StartTask(settings=settings.model_dump(mode="json"))
    firework = Firework([task], spec=_spec(search_id, "ga"), name=f"{search_id} start")
    return Workflow([firework], name=f"{search_id} start", metadata={"search_id": search_id})


def _spec(search_id: str, category: str) -> dict[str, Any]:
    return {"search_id": search_id, "_category": category, "_add_launchpad_and_fw_id": True}
