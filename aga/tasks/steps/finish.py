"""The step that ends a search: its results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from aga.search.discovery import Sighting
from aga.search.results import Result, discovered, rank
from aga.store.documents import Document, ResultDoc
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Label
from aga.tasks.context import StepContext
from aga.units import ev_per_a3_from_gpa

__all__ = ["finish"]


def finish(context: StepContext) -> dict[str, Any]:
    """Rank what the reference method relaxed, tell how it was found, and end the search."""
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    settings = context.settings.search
    steps = repository.list_steps(search_id, kind="refine", iteration=iteration)
    names = [name for step in steps if (name := (step.result or {}).get("frame"))]
    frames = repository.frames(search_id, names)
    pairs = [(_as_before(frame.candidate), _label(frame)) for frame in frames]
    results = _told(context, rank(pairs, settings))
    engines = {_as_before(frame.candidate).name: frame.source for frame in frames}
    documents = [
        _document(context, one, engines[_as_before(one.candidate).name]) for one in results
    ]
    repository.put_results(search_id, documents)
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


def _document(context: StepContext, one: Result, engine: str) -> ResultDoc:
    return ResultDoc(
        rank=one.rank,
        candidate=_as_before(one.candidate),
        label=one.label,
        engine=engine,
        pressure=ev_per_a3_from_gpa(context.settings.search.pressure),
        iteration=context.step.iteration,
        space_group=one.space_group.to_dict(),
        space_group_strict=one.space_group_strict.to_dict(),
        fingerprint=one.fingerprint.tolist(),
        symmetrised=one.symmetrised,
        prototype=None if one.prototype is None else one.prototype.to_dict(),
        found=None if one.found is None else one.found.to_dict(),
        twins=one.twins,
    )


def _told(context: StepContext, results: Sequence[Result]) -> list[Result]:
    """Go through all candidates of the search, one iteration at a time."""
    repository, search_id = context.repository, context.search_id
    parts = (
        [_sighting(document) for document in repository.sightings(search_id, iteration)]
        for iteration in range(context.step.iteration + 2)  # islands are ahead of the verdict
    )
    judged = repository.list_steps(search_id, kind="assess", state="done")
    calls = {step.iteration: (step.result or {})["record"]["reference_calls"] for step in judged}

    def geometries(names: Sequence[str]) -> dict[str, Candidate]:
        return repository.geometries(search_id, names)

    return discovered(results, parts, geometries, context.settings.search, calls)


def _sighting(document: Document) -> Sighting:
    return Sighting(
        name=document["name"],
        iteration=document["iteration"],
        generation=document["generation"],
        operator=document["lineage"]["operator"],
        fingerprint=np.array(document["fingerprint"]),
    )


def _as_before(candidate: Candidate) -> Candidate:
    """Give a relaxed structure the name it was relaxed under."""
    return candidate.renamed(candidate.lineage.parents[0])


def _label(frame: Frame) -> Label:
    if frame.forces is None:
        raise ValueError(f"{frame.name}: a result without forces")
    return Label(energy=frame.energy, forces=frame.forces, stress=frame.stress)
