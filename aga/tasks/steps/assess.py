"""The steps that judge: the verdict of an iteration, the results of a search."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aga.cycle import finalists, judge
from aga.search.convergence import IterationRecord
from aga.search.results import rank
from aga.store.documents import ResultDoc
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label, Relaxed
from aga.tasks.context import StepContext
from aga.tasks.steps.acquire import candidates_of
from aga.tasks.steps.learn import commit_members, load_committee
from aga.units import ev_per_a3_from_gpa

__all__ = ["assess_iteration", "finish"]


def assess_iteration(context: StepContext) -> dict[str, Any]:
    """Put the new committee into service and decide whether the search goes on."""
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    search = context.settings.search
    version = commit_members(context)
    machine = context.settings.machine
    committee = load_committee(
        repository,
        search_id,
        version,
        device=machine.device,
        precision=machine.precision,
        threads=machine.threads,
    )
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


def finish(context: StepContext) -> dict[str, Any]:
    """Rank what the reference method relaxed and end the search."""
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    settings = context.settings
    steps = repository.list_steps(search_id, kind="refine", iteration=iteration)
    names = [name for step in steps if (name := (step.result or {}).get("frame"))]
    frames = repository.frames(search_id, names)
    pairs = [(_as_before(frame.candidate), _label(frame)) for frame in frames]
    results = rank(pairs, settings.search)
    engines = {_as_before(frame.candidate).name: frame.source for frame in frames}
    pressure = ev_per_a3_from_gpa(settings.search.pressure)
    repository.put_results(
        search_id,
        [
            ResultDoc(
                rank=one.rank,
                candidate=_as_before(one.candidate),
                label=one.label,
                engine=engines[_as_before(one.candidate).name],
                pressure=pressure,
                iteration=iteration,
                space_group=one.space_group.to_dict(),
                fingerprint=one.fingerprint.tolist(),
            )
            for one in results
        ],
    )
    (assessed,) = repository.list_steps(search_id, kind="assess", iteration=iteration)
    verdict = assessed.result or {}
    fields = {
        "state": "finished",
        "verdict": verdict["verdict"],
        "reason": verdict["reason"],
        "remedy": None,
        "finished": datetime.now(UTC),
    }
    repository.update_search(search_id, fields, expect={"state": "running"})
    return {"results": len(results), "failed": len(steps) - len(names)}


def _as_before(candidate: Candidate) -> Candidate:
    """Give a relaxed structure the name it was relaxed under."""
    return candidate.renamed(candidate.lineage.parents[0])


def _label(frame: Frame) -> Label:
    if frame.forces is None:
        raise ValueError(f"{frame.name}: a result without forces")
    return Label(energy=frame.energy, forces=frame.forces, stress=frame.stress)
