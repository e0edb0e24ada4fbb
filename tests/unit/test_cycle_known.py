"""What is labelled counts where it has a cell of the search; the rest teaches alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aga.config import SearchSettings
from aga.cycle import choose, finalists, judge, known_structures
from aga.structure.candidate import Candidate
from aga.structure.fingerprint import fingerprint
from aga.structure.protocols import Frame, Prediction, Relaxed

SETTINGS = SearchSettings(composition="Si2")


def frame(name: str, atoms: Atoms, energy_per_atom: float) -> Frame:
    candidate = Candidate.from_ase(atoms, name=name)
    return Frame(
        candidate=candidate,
        energy=energy_per_atom * len(atoms),
        forces=np.zeros((len(atoms), 3)),
        stress=np.zeros(6),
    )


def shaken() -> Atoms:
    atoms = bulk("Si", cubic=True, a=5.6)
    atoms.rattle(0.2, seed=1)
    return atoms


REPEATED = frame("i000-000", bulk("Si", cubic=True), -4.6)
SHAKEN = frame("i000-001", shaken(), -4.9)
SMALL = frame("g001-000", bulk("Si", a=5.0), -4.1)
ALLOY = frame("theirs", bulk("SiC", "zincblende", a=4.4), -7.0)
EVERYTHING = [ALLOY, REPEATED, SHAKEN, SMALL]


class Agreed:
    """A committee of one mind."""

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        return [
            Prediction(
                energy=-4.0 * len(one),
                energies=np.full(len(one), -4.0),
                energy_spread=0.0,
                forces=np.zeros((len(one), 3)),
                forces_spread=np.zeros(len(one)),
                force_spread=0.0,
                stress=np.zeros(6),
            )
            for one in candidates
        ]


def relaxed(atoms: Atoms, name: str = "g001-001") -> Relaxed:
    return Relaxed(
        candidate=Candidate.from_ase(atoms, name=name),
        energy=-4.0 * len(atoms),
        enthalpy=-4.0 * len(atoms),
        energy_spread=0.1,
        force_spread=0.1,
        max_force=0.0,
        steps=1,
        reason="converged",
    )


def test_a_crystal_that_repeats_a_cell_of_the_search_counts_in_that_cell() -> None:
    known = known_structures(EVERYTHING, SETTINGS).known
    assert [(one.name, len(one.candidate)) for one in known] == [("i000-000", 2), ("g001-000", 2)]
    assert known[0].enthalpy_per_atom == pytest.approx(-4.6)
    assert known[0].candidate.volume == pytest.approx(REPEATED.candidate.volume / 4)
    assert known[1].candidate is SMALL.candidate


def test_pressure_weighs_the_volume_of_an_atom_whatever_the_cell() -> None:
    pressed = SETTINGS.model_copy(update={"pressure": 100.0})
    lowest = {
        one.name: one.enthalpy_per_atom for one in known_structures(EVERYTHING, pressed).known
    }
    gpa = 1 / 160.21766
    assert lowest["i000-000"] == pytest.approx(-4.6 + 100 * gpa * REPEATED.candidate.volume / 8)


def test_what_repeats_none_is_known_and_no_rival() -> None:
    (print_,) = known_structures(EVERYTHING, SETTINGS).others
    assert print_ is fingerprint(SHAKEN.candidate)
    told = {SHAKEN.name: np.ones(3)}
    assert known_structures(EVERYTHING, SETTINGS, told).others[0] is told[SHAKEN.name]
    record, _ = judge([], EVERYTHING, [], Agreed(), SETTINGS, calls=3, hours=0.0)
    assert [one.name for one in record.best] == ["i000-000"]
    ends = finalists(EVERYTHING, [], Agreed(), SETTINGS)
    assert [(one.candidate.name, len(one.candidate)) for one in ends] == [
        ("i000-000", 2), ("g001-000", 2),
    ]  # fmt: skip


def test_a_search_goes_on_before_anything_of_its_own_size_is_labelled() -> None:
    record, verdict = judge([], [SHAKEN, ALLOY], [], Agreed(), SETTINGS, calls=2, hours=0.0)
    assert record.best == ()
    assert verdict.state == "continue"


def test_what_is_like_a_crystal_of_another_size_is_no_novelty_and_not_refused() -> None:
    small = bulk("Si", "bct", a=3.4, c=4.0)
    one = relaxed(small)
    larger = small * (2, 2, 1)
    larger.rattle(0.02, seed=3)
    alike = frame("i000-001", larger, -4.9)

    def distance(frames: Sequence[Frame]) -> float:
        (pick,) = choose([one], frames, SETTINGS, calls=2).picks
        return float(pick.why.split(", ")[-1].split()[0])

    assert distance([SMALL]) > 0.1
    assert distance([SMALL, alike]) < SETTINGS.fingerprint_tolerance


def test_larger_cells_that_the_search_allows_stay_as_they_are() -> None:
    settings = SearchSettings(composition="Si2", formula_units=(1, 4))
    labelled = known_structures(EVERYTHING, settings)
    assert [len(one.candidate) for one in labelled.known] == [8, 8, 2]
    assert labelled.others == []
