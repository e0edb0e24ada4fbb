"""The step that judges: the verdict of an iteration."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aga.cycle import finalists, judge
from aga.search.convergence import IterationRecord
from aga.structure.protocols import Relaxed
from aga.tasks.context import StepContext
from aga.tasks.steps.acquire import candidates_of
from aga.tasks.steps.learn import commit_members, committee_of

__all__ = ["assess_iteration"]


def assess_iteration(context: StepContext) -> dict[str, Any]:
    """Put the new committee into service and decide whether the search goes on."""
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    search = context.settings.search
    version = commit_members(context)
    committee = committee_of(context, version)
    frames = repository.frames(search_id)
    pool = candidates_of(context, iteration) if iteration else []
    record, verdict = judge(
        _history(context),
        frames,
        pool,
        committee,
        search,
        calls=repository.count_reference(search_id),
        hours=_hours(context),
        picked=_newly_labelled(context) if iteration else None,
    )
    repository.log(
        search_id, "verdict", f"iteration {iteration}: {verdict.state}: {verdict.reason}"
    )
    result: dict[str, Any] = {
        "committee": version,
        "verdict": verdict.state,
        "reason": verdict.reason,
        "evidence": dict(verdict.evidence),
        "record": record.to_dict(),
        "refine": [],
    }
    if verdict.state == "continue":
        return result
    chosen = finalists(frames, pool, committee, search)
    return result | {"refine": sorted(one.candidate.name for one in chosen)}


def _newly_labelled(context: StepContext) -> list[Relaxed]:
    """Give what joined the data in this iteration, as the committees of its time relaxed it."""
    repository, search_id = context.repository, context.search_id
    newest = repository.latest_dataset(search_id)
    if newest is None or newest["version"] != context.step.iteration:
        return []
    return repository.relaxed_structures(search_id, _id=list(newest["added"]))


def _history(context: StepContext) -> list[IterationRecord]:
    steps = context.repository.list_steps(context.search_id, kind="assess", state="done")
    records = [IterationRecord.from_dict((step.result or {})["record"]) for step in steps]
    earlier = [r for r in records if r.iteration < context.step.iteration]
    return sorted(earlier, key=lambda record: record.iteration)


def _hours(context: StepContext) -> float:
    created: datetime = context.repository.get_search(context.search_id)["created"]
    return (datetime.now(UTC) - created).total_seconds() / 3600
