"""A small finished search in the database, for tests that ask for it."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from ase.build import bulk

from aga.config import Settings
from aga.store.documents import ResultDoc, Step, StepKind, Worker, utcnow
from aga.store.repository import Repository
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Relaxed


class StoredSearch:
    """What a search of two iterations leaves in the database, with made-up energies."""

    ENERGIES: ClassVar[dict[str, float]] = {  # eV/atom
        "i000-000": -4.21,
        "i000-001": -4.38,
        "i000-002": -4.05,
        "g001-001": -4.51,
        "g002-000": -4.6284,
    }

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        tree = {"composition": "Si8", "name": "example", "seed": 7, "initial_structures": 4}
        self.settings = Settings.model_validate({"search": tree})
        self.id = self.settings.search_id()

    def candidate(self, name: str, operator: str = "random", *parents: str) -> Candidate:
        generation = int(name[1:4]) if name.startswith("g") else 0
        atoms = bulk("Si", "diamond", a=5.432, cubic=True)
        if name != "g002-000":
            atoms.rattle(0.3, seed=int(name[-3:]))
        stream = f"{generation}/{operator}/{name[-3:]}"
        lineage = Lineage(operator=operator, parents=parents, generation=generation, stream=stream)
        return Candidate.from_ase(atoms, name=name, lineage=lineage)

    def step(self, kind: StepKind, iteration: int, key: str = "0", **result: Any) -> None:
        step = Step(search_id=self.id, kind=kind, iteration=iteration, key=key)
        self.repository.plan_steps([step])
        attempt = self.repository.claim(step.id, worker=Worker.current(), lease=60)
        assert attempt is not None
        if "error" in result:
            self.repository.fail(attempt, result, retry=False)
        else:
            self.repository.complete(attempt, result)

    def label(self, iteration: int, candidate: Candidate) -> None:
        energy = self.ENERGIES[candidate.name] * len(candidate)
        forces = np.zeros((len(candidate), 3))
        label = Label(energy=energy, forces=forces, stress=np.zeros(6))
        self.repository.mark_labelled(self.id, candidate.name, label, engine="tersoff")
        frame = Frame(candidate=candidate, energy=energy, forces=forces, stress=label.stress)
        self.repository.put_frame(self.id, iteration, frame)
        self.step("label", iteration, candidate.name, structure=candidate.name, evaluations=1)

    def relaxed(self, candidate: Candidate, energy: float) -> Relaxed:
        return Relaxed(
            candidate=candidate,
            energy=energy * len(candidate),
            enthalpy=energy * len(candidate),
            energy_spread=0.004,
            force_spread=0.05,
            max_force=0.01,
            steps=42,
            reason="converged",
        )

    def train(self, version: int, names: list[str], iteration: int) -> None:
        self.repository.commit_dataset(self.id, version, version - 1 if version else None, names)
        members = [self.repository.put_blob(f"member {version}.{k}".encode()) for k in range(4)]
        card = {
            "dataset": version,
            "members": members,
            "metrics": {"energy_mae": 0.006, "force_mae": 0.09},
            "settings_digest": self.settings.digest(),
            "seed": 7,
            "code_version": "0.1.0",
        }
        self.repository.commit_committee(self.id, version, card)
        self.repository.record_weights(self.id, version, dict.fromkeys(names, 1.5))
        self.step("train", iteration, committee=version)

    def fill(self) -> str:
        store, diamond = self.repository, {"number": 227, "symbol": "Fd-3m"}
        store.create_search(self.settings)
        store.log(self.id, "created", "search example created")
        initial = [self.candidate(f"i000-{k:03d}") for k in range(4)]
        store.put_candidates(self.id, 0, initial)
        self.step("seed", 0, structures=4)
        for item in initial[:3]:
            self.label(0, item)
        store.mark_failed(self.id, "i000-003", "timeout", "no result within 3600 s")
        self.step("label", 0, "i000-003", error="OracleError", message="no result within 3600 s")
        self.train(0, ["i000-000", "i000-001", "i000-002"], 0)
        first = self.candidate("g001-000", "rattle", "i000-001")
        second = self.candidate("g001-001", "crossover", "i000-000", "i000-001")
        third = self.candidate("g002-000", "strain", "g001-001")
        bred = [(first, -4.30), (second, -4.49), (third, -4.62)]
        relaxed = [self.relaxed(item, energy) for item, energy in bred]
        extras = {"g002-000": {"space_group": diamond, "fingerprint": [0.0, 0.5, 1.0]}}
        store.put_relaxed(self.id, 1, 0, relaxed, extras)
        store.put_population(self.id, 1, 1, 0, relaxed[1::-1])
        store.put_population(self.id, 2, 1, 0, relaxed[::-1])
        self.step("breed", 1, "1", generation=1)
        self.step("breed", 1, "2", generation=2)
        picks = {"g002-000": -4.624, "g001-001": -4.494}
        why = "low energy − κ·spread"
        store.mark_picked(self.id, {n: {"score": s, "why": why} for n, s in picks.items()})
        self.step("acquire", 1, picks=list(picks))
        self.label(1, second)
        self.label(1, third)
        self.train(1, list(picks), 1)
        self.step("assess", 1, verdict="converged")
        perfect = Label(energy=-4.6296 * 8, forces=np.zeros((8, 3)), evaluations=9)
        store.put_results(
            self.id,
            [
                ResultDoc(
                    rank=0,
                    candidate=third,
                    label=perfect,
                    engine="tersoff",
                    iteration=1,
                    space_group=diamond,
                )
            ],
        )
        self.step("refine", 1, "g002-000", evaluations=9)
        store.count_reference(self.id)
        fields = {
            "state": "finished",
            "verdict": "converged",
            "reason": "the best structure is unchanged for 2 iterations",
            "iteration": 1,
            "generation": 2,
            "phase": "finish",
            "finished": utcnow(),
        }
        store.update_search(self.id, fields, expect={"state": "running"})
        store.log(self.id, "finished", "converged", best="r000-g002-000")
        return self.id


@pytest.fixture
def filled_search(repository: Repository) -> str:
    """Store a small finished search for Si8 through the repository; gives its identifier."""
    return StoredSearch(repository).fill()
