"""The step that ends a search: its results."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aga.search.results import rank
from aga.store.documents import ResultDoc
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label
from aga.tasks.context import StepContext
from aga.units import ev_per_a3_from_gpa

__all__ = ["finish"]


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
