"""The end of a search: what its results say of themselves, stored once and read at once."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from aga.config import Settings
from aga.search.individual import describe
from aga.store.documents import Step, StepKind, Worker
from aga.store.handle import Found, SearchHandle
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.geometry import reduced
from aga.structure.protocols import Frame, Relaxed
from aga.structure.symmetry import space_groups
from aga.tasks.context import StepContext
from aga.tasks.steps.finish import finish

pytestmark = pytest.mark.embedded

TREE = {"search": {"composition": "Si8", "name": "ending", "seed": 3}}
SETTINGS = Settings.model_validate(TREE)


def silicon(
    name: str, kind: str = "cubic", operator: str = "random", noise: float = 0.0
) -> Candidate:
    atoms = bulk("Si", cubic=True, a=5.432)
    if kind == "hexagonal":
        atoms = bulk("ZnS", "wurtzite", a=3.841, c=6.272) * (2, 1, 1)
        atoms.set_chemical_symbols(["Si"] * 8)
    if kind == "simple":
        atoms = bulk("Si", "sc", a=2.53) * (2, 2, 2)
    atoms.rattle(noise, seed=len(name))
    generation = int(name[1:4]) if name.startswith("g") else 0
    stream = f"{generation}/{operator}/{name[-3:]}"
    lineage = Lineage(operator=operator, generation=generation, stream=stream)
    return Candidate.from_ase(atoms, name=name, lineage=lineage)


class Ending:
    """A search of which only the last step is missing."""

    def __init__(self, repository: Repository) -> None:
        self.repository, self.id = repository, SETTINGS.search_id()
        repository.create_search(SETTINGS)

    def attempt(self, kind: StepKind, iteration: int, key: str = "0") -> Any:
        step = Step(search_id=self.id, kind=kind, iteration=iteration, key=key)
        self.repository.plan_steps([step])
        return self.repository.claim(step.id, worker=Worker.current(), lease=60)

    def done(self, kind: StepKind, iteration: int, key: str = "0", **result: Any) -> None:
        self.repository.complete(self.attempt(kind, iteration, key), result)

    def bred(self, iteration: int, *candidates: Candidate) -> None:
        relaxed = [
            Relaxed(
                candidate=one,
                energy=-37.0,
                enthalpy=-37.0,
                energy_spread=0.0,
                force_spread=0.0,
                max_force=0.0,
                steps=1,
                reason="converged",
            )
            for one in candidates
        ]
        individuals = [describe(one, SETTINGS.search) for one in relaxed]
        groups = {one.name: space_groups(reduced(one.candidate), 0.05) for one in individuals}
        extras = {
            one.name: {
                "space_group": groups[one.name].loose.to_dict(),
                "space_group_strict": groups[one.name].strict.to_dict(),
                "fingerprint": one.fingerprint.tolist(),
            }
            for one in individuals
        }
        self.repository.put_relaxed(self.id, iteration, iteration - 1, relaxed, extras)

    def refined(self, iteration: int, start: Candidate, energy: float) -> None:
        lineage = Lineage(operator="reference_relaxation", parents=(start.name,))
        frame = Frame(
            candidate=start.renamed(f"{start.name}.ref", lineage),
            energy=energy,
            forces=np.zeros((8, 3)),
            stress=np.zeros(6),
            source="tersoff",
        )
        self.repository.put_frame(self.id, iteration, frame, pending=False)
        self.done("refine", iteration, start.name, frame=frame.name, evaluations=9)

    def end(self, iteration: int) -> dict[str, Any]:
        attempt = self.attempt("finish", iteration, "results")
        return finish(
            StepContext(
                repository=self.repository, settings=SETTINGS, step=attempt.step, attempt=attempt
            )
        )


@pytest.fixture
def ended(repository: Repository) -> SearchHandle:
    """Bred: diamond four times, hexagonal diamond twice, a simple cubic one; three refined."""
    search = Ending(repository)
    for iteration, calls in enumerate((16, 22, 28)):
        record = {"iteration": iteration, "reference_calls": calls}
        search.done("assess", iteration, verdict="converged", reason="unchanged", record=record)
    search.bred(
        1,
        silicon("g001-003", "hexagonal", "crossover"),
        silicon("g002-007", operator="rattle", noise=0.004),
        silicon("g003-001", noise=0.03),
    )
    again = silicon("g001-003.v001", "hexagonal", "relaxation")
    search.bred(
        2,
        again,
        silicon("g004-000", "hexagonal"),
        silicon("g004-001", operator="strain"),
        silicon("g005-002"),
        silicon("g005-003", "simple"),
    )
    search.refined(2, silicon("g005-002"), -37.0368)
    search.refined(2, silicon("g004-001"), -37.0368)
    search.refined(2, silicon("g004-000", "hexagonal"), -37.0367)
    assert search.end(2) == {"results": 2, "failed": 0}
    return SearchHandle(repository, search.id)


def test_results_say_how_often_and_when_they_were_found(ended: SearchHandle) -> None:
    cubic, hexagonal = ended.best()
    assert cubic.found == {
        "times": 4,
        "first": "g002-007",
        "iteration": 1,
        "generation": 2,
        "operator": "rattle",
        "reference_calls": 16,
    }
    assert hexagonal.found is not None
    assert (hexagonal.found["times"], hexagonal.found["first"]) == (2, "g001-003"), (
        "a structure that is relaxed anew is not found again"
    )
    assert hexagonal.found["operator"] == "crossover"


def test_results_say_what_they_are(ended: SearchHandle) -> None:
    cubic, hexagonal = ended.best()
    assert cubic.prototype is not None
    assert cubic.prototype["strukturbericht"] == "A4"
    assert hexagonal.prototype is not None
    assert hexagonal.prototype["name"] == "Lonsdaleite"
    assert cubic.space_group == cubic.space_group_strict == {"number": 227, "symbol": "Fd-3m"}
    assert hexagonal.space_group_strict == {"number": 194, "symbol": "P6_3/mmc"}
    assert hexagonal.symmetrised is not None
    assert len(hexagonal.symmetrised) == 4
    assert len(hexagonal.candidate) == 8
    assert cubic.stored["twins"] == ["g005-002"]
    json.dumps(ended.best_document(), allow_nan=False)


def test_results_can_be_filtered_by_it(ended: SearchHandle) -> None:
    assert [one.rank for one in ended.structures("prototype == Lonsdaleite")] == [1]
    assert [one.rank for one in ended.structures("found > 3")] == [0]
    strict = ended.structures("space_group_strict == 194 and stage == relaxed", "name")
    assert [one.name for one in strict] == ["g001-003", "g001-003.v001", "g004-000"]


def test_what_made_a_structure_is_stored(ended: SearchHandle) -> None:
    lineage = ended.structure("g002-007").candidate.lineage
    assert lineage == Lineage(operator="rattle", generation=2, stream="2/rattle/007")


def test_documents_of_earlier_versions_are_read(ended: SearchHandle) -> None:
    stored = dict(ended.best()[0].stored)
    for key in ("space_group_strict", "symmetrised", "prototype", "found", "twins"):
        del stored[key]
    old = Found.from_document(stored)
    assert (old.found, old.prototype, old.space_group_strict, old.symmetrised) == (None,) * 4
    assert old.to_dict()["space_group"] == {"number": 227, "symbol": "Fd-3m"}
