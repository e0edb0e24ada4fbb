"""A search in one process says of its results what a stored one does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aga.config import SearchSettings, Settings
from aga.cycle import Trained, run_search
from aga.cycle.telling import told
from aga.oracle.registry import build_oracle
from aga.search.convergence import record_iteration
from aga.search.individual import describe
from aga.search.results import rank
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Frame, Label, Oracle, Prediction, Relaxed

SEARCH = SearchSettings(composition="Si8")


def silicon(
    name: str, operator: str = "random", *, noise: float = 0.0, a: float = 5.432
) -> Relaxed:
    atoms = bulk("Si", cubic=True, a=a)
    atoms.rattle(noise, seed=len(name))
    lineage = Lineage(operator=operator, generation=int(name[1:4]))
    return relaxed(Candidate.from_ase(atoms, name=name, lineage=lineage), -37.0)


def wurtzite(name: str, operator: str = "random") -> Relaxed:
    atoms = bulk("ZnS", "wurtzite", a=3.841, c=6.272) * (2, 1, 1)
    atoms.set_chemical_symbols(["Si"] * 8)
    lineage = Lineage(operator=operator, generation=int(name[1:4]))
    return relaxed(Candidate.from_ase(atoms, name=name, lineage=lineage), -36.9)


def relaxed(candidate: Candidate, energy: float, reason: str = "converged") -> Relaxed:
    return Relaxed(
        candidate=candidate,
        energy=energy,
        enthalpy=energy,
        energy_spread=0.0,
        force_spread=0.0,
        max_force=0.0,
        steps=1,
        reason=reason,
    )


def test_results_say_how_often_and_when_they_were_found() -> None:
    first = [
        wurtzite("g001-003", "crossover"),
        silicon("g002-007", "rattle", noise=0.004),
        silicon("g003-001", noise=0.03),
        relaxed(silicon("g003-002").candidate, -37.0, "exploded"),
    ]
    again = wurtzite("g001-003", "relaxation")
    renewed = relaxed(again.candidate.renamed("g001-003.v001"), -36.9)
    second = [renewed, wurtzite("g004-000"), silicon("g005-002"), silicon("g005-004", a=6.3)]
    ends = [
        (one.candidate, Label(energy=one.energy, forces=np.zeros((8, 3)), stress=np.zeros(6)))
        for one in (silicon("g005-002"), wurtzite("g004-000"))
    ]
    history = [
        record_iteration(k, [], [], {}, SEARCH, reference_calls=calls)
        for k, calls in enumerate((12, 17, 22))
    ]
    bred = [[describe(one, SEARCH) for one in part] for part in (first, second)]
    cubic, hexagonal = told(rank(ends, SEARCH), bred, [], history, SEARCH)
    assert cubic.found is not None
    assert hexagonal.found is not None
    assert cubic.found.to_dict() == {
        "times": 3,
        "first": "g002-007",
        "iteration": 1,
        "generation": 2,
        "operator": "rattle",
        "reference_calls": 12,
    }
    assert (hexagonal.found.times, hexagonal.found.first) == (2, "g001-003"), (
        "a structure that is relaxed anew is not found again"
    )
    assert cubic.prototype is not None
    assert (cubic.prototype.name, cubic.prototype.strukturbericht) == ("diamond", "A4")
    assert hexagonal.prototype is not None
    assert hexagonal.prototype.name == "Lonsdaleite"


def test_a_result_that_was_labelled_and_never_bred_has_no_discovery() -> None:
    start = silicon("i000-001").candidate
    label = Label(energy=-37.0, forces=np.zeros((8, 3)), stress=np.zeros(6))
    frame = Frame(candidate=start, energy=-37.0, forces=label.forces, stress=None, source="x")
    (only,) = told(rank([(start, label)], SEARCH), [], [frame], [], SEARCH)
    assert only.found is None
    assert only.prototype is not None


class Perfect:
    """Knows the reference method's own energies, and relaxes on them."""

    def __init__(self, oracle: Oracle, folder: Path) -> None:
        self.oracle, self.folder = oracle, folder

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        return [self._prediction(one) for one in candidates]

    def _prediction(self, one: Candidate) -> Prediction:
        label = self.oracle.label(one, self.folder)
        return Prediction(
            energy=label.energy,
            energies=np.full(len(one), label.energy / len(one)),
            energy_spread=0.0,
            forces=label.forces,
            forces_spread=np.zeros(len(one)),
            force_spread=0.0,
            stress=np.zeros(6) if label.stress is None else label.stress,
        )

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        found = []
        for one in candidates:
            end, label = self.oracle.relax(one, self.folder, pressure=0.0)
            found.append(relaxed(end.renamed(one.name, one.lineage), label.energy))
        return found


def test_a_whole_search_tells_it(tmp_path: Path) -> None:
    settings = Settings.model_validate(
        {
            "search": {
                "composition": "Si2",
                "formula_units": 1,
                "seed": 7,
                "initial_structures": 4,
                "offspring": 6,
                "population_size": 4,
                "generations_per_iteration": 1,
                "final_relaxations": 2,
                "operators": {"soft_mode": 0},
                "budget": {"iterations": 2, "reference_calls": 10},
            },
            "oracle": {"engine": "tersoff"},
        }
    )
    oracle = build_oracle(settings.oracle, settings.machine, {"Si": 2})
    perfect = Perfect(oracle, tmp_path)
    outcome = run_search(
        settings, oracle, lambda *_: Trained(committee=perfect, relaxer=perfect), tmp_path
    )
    best = outcome.results[0]
    assert best.energy_per_atom == pytest.approx(-4.6296, abs=1e-3)
    assert best.prototype is not None
    assert best.prototype.name == "diamond"
    assert best.found is not None
    assert 1 <= best.found.times <= 12
    assert best.found.first.startswith(f"g{best.found.generation:03d}-")
    spent = {record.iteration: record.reference_calls for record in outcome.history}
    assert best.found.reference_calls == spent[best.found.iteration - 1]
