"""A search of any size for the benchmark of the database: documents shaped like real ones.

The numbers in them are random; what stands where, and how much, is as a search leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from aga.config import Settings
from aga.rng import stream
from aga.store.documents import Document, Step
from aga.store.layout import Stage, committee_part, reference_part, structure_document
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Relaxed

__all__ = ["SHARES", "fill"]

SHARES: dict[Stage, float] = {
    "labelled": 0.01,
    "picked": 0.005,
    "proposed": 0.005,
    "failed": 0.12,
    "relaxed": 0.86,
}
"""Stages in which a search leaves its structures."""

GENERATION, ITERATION, POPULATION, MEMBERS = 200, 1000, 60, 4
"""Structures in a generation and in an iteration, individuals of a population, members."""

FINGERPRINT = 3 * 79
"""Numbers in a fingerprint of two elements: three pairs, a point every 0.1 Å below 8 Å."""

_BATCH = 500

Rng = np.random.Generator


def fill(repository: Repository, number: int, say: Callable[[str], None]) -> str:
    """Store a search with so many structures, and give its identifier.

    Parameters
    ----------
    repository
        An empty database.
    number
        Structures of 12 to 48 atoms, one in a hundred labelled.
    say
        Told now and then how far it is.
    """
    settings = Settings.model_validate({"search": {"composition": "TiO2", "name": "volume"}})
    repository.create_search(settings)
    search_id, rng = settings.search_id(), stream(0, "volume")
    stages = rng.choice(list(SHARES), number, p=list(SHARES.values()))
    labelled: list[tuple[int, Candidate, Label]] = []
    batch: list[Document] = []
    for place, stage in enumerate(stages.tolist()):
        candidate = _candidate(place, rng)
        document = _document(search_id, place, candidate, stage, rng)
        if stage == "labelled":
            labelled.append((place // ITERATION, candidate, _label(candidate, rng)))
        batch.append(document)
        if len(batch) == _BATCH or place + 1 == number:
            repository.insert_new("structures", batch)
            batch = []
        if (place + 1) % 10_000 == 0:
            say(f"stored {place + 1} of {number} structures")
    _learn(repository, search_id, labelled)
    _work(repository, search_id, number, labelled)
    last = -(-number // GENERATION)
    population = [_relaxed(_candidate(k, rng, units=16), rng) for k in range(POPULATION)]
    repository.put_population(search_id, last, last // 5, 0, population)
    repository.update_search(search_id, {"generation": last, "iteration": number // ITERATION})
    return search_id


def _candidate(place: int, rng: Rng, units: int | None = None) -> Candidate:
    """Give a random TiO₂ cell of 4 to 16 formula units."""
    count = int(rng.integers(4, 17)) if units is None else units
    atoms, generation = 3 * count, place // GENERATION
    side = (11.0 * atoms) ** (1 / 3)
    parents = tuple(f"g{max(generation - 1, 0):03d}-{k:03d}" for k in rng.integers(0, 200, 2))
    return Candidate(
        name=f"g{generation:03d}-{place % GENERATION:03d}",
        numbers=np.array([8] * (2 * count) + [22] * count),
        positions=rng.random((atoms, 3)) * side,
        cell=np.eye(3) * side + rng.normal(0, 0.1, (3, 3)),
        lineage=Lineage(
            operator="crossover",
            parents=parents if generation else (),
            generation=generation,
            stream=f"{generation}/crossover/{place % GENERATION}",
        ),
    )


def _document(search_id: str, place: int, candidate: Candidate, stage: Stage, rng: Rng) -> Document:
    document = structure_document(search_id, place // ITERATION, candidate, stage)
    if stage == "failed":
        return document | {"failure": {"reason": "exploded", "message": "the relaxation exploded"}}
    if stage == "proposed":
        return document
    number = int(rng.integers(1, 231))
    document |= {
        "committee": committee_part(0, _relaxed(candidate, rng)),
        "space_group": {"number": number, "symbol": "P2_1/c"},
        "fingerprint": rng.normal(0, 0.1, FINGERPRINT).tolist(),
    }
    if stage in {"picked", "labelled"}:
        document["pick"] = {"score": float(rng.normal(-8.9, 0.1)), "why": "low energy − κ·spread"}
    if stage == "labelled":
        document["reference"] = reference_part(
            _label(candidate, rng), "espresso", len(candidate), 0.0
        )
    return document


def _relaxed(candidate: Candidate, rng: Rng) -> Relaxed:
    energy = float(rng.normal(-8.8, 0.1)) * len(candidate)
    return Relaxed(
        candidate=candidate,
        energy=energy,
        enthalpy=energy,
        energy_spread=float(rng.random() * 0.05),
        force_spread=float(rng.random() * 0.5),
        max_force=float(rng.random() * 0.02),
        steps=int(rng.integers(20, 200)),
        reason="converged",
    )


def _label(candidate: Candidate, rng: Rng) -> Label:
    return Label(
        energy=float(rng.normal(-8.8, 0.1)) * len(candidate),
        forces=rng.normal(0, 0.3, (len(candidate), 3)),
        stress=rng.normal(0, 0.01, 6),
    )


def _learn(
    repository: Repository, search_id: str, labelled: list[tuple[int, Candidate, Label]]
) -> None:
    """Store frames, datasets of each iteration, and the weights of its members."""
    by_iteration: dict[int, list[Frame]] = {}
    for iteration, candidate, label in labelled:
        frame = Frame(
            candidate=candidate, energy=label.energy, forces=label.forces, stress=label.stress
        )
        by_iteration.setdefault(iteration, []).append(frame)
    parent = None
    for iteration, frames in by_iteration.items():
        repository.put_frames(search_id, iteration, frames)
        names = [frame.name for frame in frames]
        repository.commit_dataset(search_id, iteration, parent, names)
        for member in range(MEMBERS):
            repository.record_weights(search_id, iteration, member, dict.fromkeys(names, 1.0))
        parent = iteration


def _work(
    repository: Repository,
    search_id: str,
    number: int,
    labelled: list[tuple[int, Candidate, Label]],
) -> None:
    """Store the steps and events that led there."""
    steps = list(_steps(search_id, number, labelled))
    for first in range(0, len(steps), _BATCH):
        repository.plan_steps(steps[first : first + _BATCH])
    for iteration in range(number // ITERATION + 1):
        repository.log(search_id, "assessed", "the committee is good enough", iteration=iteration)


def _steps(
    search_id: str, number: int, labelled: list[tuple[int, Candidate, Label]]
) -> Iterator[Step]:
    for generation in range(number // GENERATION):
        iteration = generation * GENERATION // ITERATION
        result = {"population": generation, "relaxed": GENERATION, "best": -8.9}
        yield Step(
            search_id=search_id,
            kind="breed",
            iteration=iteration,
            key=str(generation),
            generation=generation,
            state="done",
            result=result,
        )
    for iteration, candidate, _ in labelled:
        yield Step(
            search_id=search_id,
            kind="label",
            iteration=iteration,
            key=candidate.name,
            state="done",
            result={"frame": candidate.name, "evaluations": 1},
        )
