"""The ASE calculator passes on what the committee says."""

from collections.abc import Sequence

import numpy as np
from ase.build import bulk

from aga.potential.calculator import CommitteeCalculator
from aga.structure.candidate import Candidate
from aga.structure.protocols import Prediction


class Counting:
    """A committee of one constant, which counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        self.calls += 1
        return [
            Prediction(
                energy=-4.0 * len(c),
                energies=np.full(len(c), -4.0),
                energy_spread=0.01,
                forces=np.full((len(c), 3), 0.5),
                forces_spread=np.full(len(c), 0.2),
                force_spread=0.2,
                stress=np.arange(6.0),
            )
            for c in candidates
        ]


def test_results_and_caching() -> None:
    committee = Counting()
    atoms = bulk("Si")
    atoms.calc = CommitteeCalculator(committee)
    assert atoms.get_potential_energy() == -8.0
    assert atoms.get_potential_energy(force_consistent=True) == -8.0
    np.testing.assert_array_equal(atoms.get_forces(), 0.5)
    np.testing.assert_array_equal(atoms.get_stress(), np.arange(6.0))
    assert atoms.calc.results["energy_spread"] == 0.01
    assert atoms.calc.results["force_spread"] == 0.2
    assert committee.calls == 1
    atoms.rattle(0.1)
    atoms.get_forces()
    assert committee.calls == 2


def test_names_of_the_shares_are_those_of_ase() -> None:
    atoms = bulk("Si")
    atoms.calc = CommitteeCalculator(Counting())
    np.testing.assert_array_equal(atoms.get_potential_energies(), [-4.0, -4.0])
    np.testing.assert_array_equal(atoms.calc.results["forces_spread"], [0.2, 0.2])
