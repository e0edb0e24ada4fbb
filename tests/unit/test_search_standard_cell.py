"""The symmetrised cell, and the estimate of what symmetrising costs."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
    Tersoff_PRB_39_5566_Si_C,
)

from aga.search.standard_cell import UNCHANGED, energy_of_moving, standard_cell
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label
from aga.structure.symmetry import space_group
from aga.structure.symmetry_operations import symmetrised


def silicon(noise: float, strain: float = 0.0, seed: int = 0) -> Candidate:
    atoms = bulk("Si", cubic=True, a=5.432)
    rng = np.random.default_rng(seed)
    change = np.eye(3) + rng.normal(0, strain, (3, 3)) if strain else np.eye(3)
    atoms.set_cell(atoms.cell.array @ (change + change.T) / 2, scale_atoms=True)
    atoms.rattle(noise, seed=seed)
    return Candidate.from_ase(atoms, name="Si8")


def label(candidate: Candidate) -> Label:
    atoms = candidate.to_ase()
    atoms.calc = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
    return Label(
        energy=atoms.get_potential_energy(), forces=atoms.get_forces(), stress=atoms.get_stress()
    )


@pytest.mark.parametrize(("noise", "strain"), [(0.001, 0.0), (0.003, 0.001), (0.01, 0.003)])
def test_the_estimate_is_an_upper_bound(noise: float, strain: float) -> None:
    for seed in range(5):
        before = silicon(noise, strain, seed)
        after, operations = symmetrised(before, 0.1)
        assert len(operations) > 1
        change = abs(label(after).energy - label(before).energy) / len(before)
        estimate = energy_of_moving(before, after, label(before))
        assert change <= estimate
        assert estimate < 40 * change + 1e-9, "and of the right order"


def test_a_relaxed_crystal_gets_its_conventional_cell() -> None:
    relaxed = silicon(0.001, 0.0005)
    cell = standard_cell(relaxed, label(relaxed), 0.05)
    assert cell is not None
    assert space_group(cell, 1e-5).number == 227
    assert len(cell) == 8
    assert abs(label(cell).energy - label(relaxed).energy) / 8 < UNCHANGED


def test_symmetry_that_costs_energy_is_not_imposed() -> None:
    rough = silicon(0.02)
    assert space_group(rough, 0.2).number == 227
    assert standard_cell(rough, label(rough), 0.2) is None


def test_without_symmetry_there_is_nothing_to_do() -> None:
    shapeless = silicon(0.3, 0.05)
    quiet = Label(energy=0.0, forces=np.zeros((8, 3)))
    assert standard_cell(shapeless, quiet, 0.01) is None
