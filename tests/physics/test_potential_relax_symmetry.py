"""Relaxations that keep the space group, and both optimizers, on an ASE calculator."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from aga.config import SearchSettings
from aga.potential.batch import Batch, Evaluation
from aga.potential.relax.minimise import Optimizer
from aga.potential.relax.relaxer import BatchedRelaxer, Limits
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Prediction
from aga.structure.symmetry import space_group
from aga.structure.symmetry_operations import Operations, symmetrised
from aga.units import ev_per_a3_from_gpa

TIGHT = Limits(max_force=1e-4, max_steps=2000, volume_range=(0.1, 10.0))


def lennard_jones() -> LennardJones:
    return LennardJones(sigma=2.6, epsilon=0.4, rc=6.5, ro=5.2, smooth=True)


@dataclass
class AseModel:
    """An ASE calculator as an energy model."""

    calculator: Calculator = field(default_factory=lennard_jones)

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        said = []
        for candidate in candidates:
            atoms = candidate.to_ase()
            atoms.calc = self.calculator
            said.append(
                Prediction(
                    energy=float(atoms.get_potential_energy()),
                    energy_spread=0.0,
                    forces=atoms.get_forces(),
                    force_spread=0.0,
                    stress=atoms.get_stress(),
                    energies=np.zeros(len(atoms)),
                    forces_spread=np.zeros(len(atoms)),
                )
            )
        return said

    def evaluate(self, batch: Batch) -> Evaluation:
        ends = zip(batch.offsets[:-1], batch.offsets[1:], strict=True)
        said = self.predict(
            [
                Candidate(
                    name=batch.names[b],
                    numbers=batch.numbers[i:j],
                    positions=batch.positions[i:j],
                    cell=batch.cells[b],
                )
                for b, (i, j) in enumerate(ends)
            ]
        )
        stress = np.array([one.stress[[[0, 5, 4], [5, 1, 3], [4, 3, 2]]] for one in said])
        return Evaluation(
            energies=np.array([one.energy for one in said]),
            energy_spread=np.zeros(len(batch)),
            gradient=-np.concatenate([one.forces for one in said]),
            strain=stress * batch.volumes[:, None, None],
        )


def crystal(fractions: Sequence[Sequence[float]], cell: FloatArray, noise: float) -> Candidate:
    rng = np.random.default_rng(1)
    scaled = np.array(fractions)
    return Candidate(
        name="c",
        numbers=np.full(len(scaled), 18),
        positions=scaled @ cell + rng.normal(0, noise, scaled.shape),
        cell=cell + rng.normal(0, noise, (3, 3)),
    )


def rutile(noise: float = 0.0) -> Candidate:
    """P4_2/mnm: the axes' ratio and one coordinate are free."""
    u = 0.29
    fractions = [
        (0, 0, 0), (0.5, 0.5, 0.5), (u, u, 0), (-u, -u, 0),
        (0.5 + u, 0.5 - u, 0.5), (0.5 - u, 0.5 + u, 0.5),
    ]  # fmt: skip
    return crystal(fractions, np.diag([5.3, 5.3, 3.1]), noise)


def quartz(noise: float = 0.0) -> Candidate:
    """The Si of quartz, P3_121: a hexagonal cell, no mirror, one coordinate."""
    u = 0.44
    cell = np.array([[4.0, 0, 0], [-2.0, np.sqrt(12), 0], [0, 0, 5.0]])
    return crystal([(u, 0, 1 / 3), (0, u, 2 / 3), (-u, -u, 0)], cell, noise)


def diamond(noise: float = 0.0) -> Candidate:
    """Conventional cell: 192 operations, three quarters of them with centring translations."""
    quarter = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
    fractions = [*quarter, *((a + 0.25, b + 0.25, c + 0.25) for a, b, c in quarter)]
    return crystal(fractions, 5.6 * np.eye(3), noise)


def broken(candidate: Candidate, operations: Operations) -> float:
    """Largest distance in Å of an image of an atom to the atom it should be."""
    worst = 0.0
    inverse = np.linalg.inv(candidate.cell)
    x = candidate.positions
    for turn, images in zip(operations.rotations, operations.images, strict=True):
        apart = (x @ turn.T - x[images]) @ inverse
        # the same translation for all atoms, up to lattice vectors
        apart -= apart[0]
        worst = max(worst, np.abs((apart - np.round(apart)) @ candidate.cell).max())
        turned = candidate.cell @ turn.T @ inverse
        worst = max(worst, np.abs(turned - np.round(turned)).max())
    return worst


@pytest.mark.parametrize("make", [rutile, quartz, diamond])
def test_a_structure_is_moved_onto_its_symmetry(make: object) -> None:
    assert callable(make)
    ideal, noisy = make(), make(noise=0.01)
    assert space_group(noisy, 1e-5).number < space_group(ideal, 1e-5).number
    found, operations = symmetrised(noisy, 0.1)
    assert space_group(found, 1e-7) == space_group(ideal, 1e-5)
    assert np.abs(found.positions - noisy.positions).max() < 0.06
    assert broken(found, operations) < 1e-12
    np.testing.assert_allclose(
        operations.rotations @ operations.rotations.swapaxes(1, 2),
        np.broadcast_to(np.eye(3), operations.rotations.shape),
        atol=1e-12,
    )
    again, _ = symmetrised(found, 1e-5)
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-12)


@pytest.mark.parametrize("optimizer", ["lbfgs", "fire"])
def test_the_space_group_is_kept_exactly(optimizer: Optimizer) -> None:
    starts = [make(noise=0.01) for make in (rutile, diamond)]
    kept = BatchedRelaxer(AseModel(), TIGHT, optimizer=optimizer, symmetry_tolerance=0.1)
    free = BatchedRelaxer(AseModel(), TIGHT, optimizer=optimizer)
    for start, one, other in zip(starts, kept.relax(starts), free.relax(starts), strict=True):
        assert one.reason == "converged"
        _, operations = symmetrised(start, 0.1)
        assert len(operations) > 1
        assert broken(one.candidate, operations) < 1e-9
        assert broken(other.candidate, operations) > 1e-2  # left alone, it goes elsewhere
        assert other.energy < one.energy - 1e-3


@pytest.mark.parametrize("make", [rutile, quartz])
def test_the_symmetric_minimum_is_the_one_ase_finds(make: object) -> None:
    assert callable(make)
    relaxer = BatchedRelaxer(AseModel(), TIGHT, symmetry_tolerance=0.01, pressure=0.02)
    ours = relaxer.relax([make()])[0]
    atoms = make().to_ase()
    atoms.calc = lennard_jones()
    atoms.set_constraint(FixSymmetry(atoms))
    FIRE(FrechetCellFilter(atoms, scalar_pressure=0.02), logfile=None).run(1e-4, 2000)
    assert ours.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    assert ours.candidate.volume == pytest.approx(atoms.get_volume(), rel=1e-4)


def test_what_has_no_symmetry_relaxes_as_ever() -> None:
    start = rutile(noise=0.2)
    free = BatchedRelaxer(AseModel(), TIGHT).relax([start])[0]
    kept = BatchedRelaxer(AseModel(), TIGHT, symmetry_tolerance=1e-3).relax([start])[0]
    np.testing.assert_array_equal(free.candidate.positions, kept.candidate.positions)
    assert free.steps == kept.steps


@pytest.mark.parametrize("optimizer", ["lbfgs", "fire"])
@pytest.mark.parametrize("pressure", [-0.01, 0.2])
def test_the_pressure_is_minus_the_slope_of_the_energy(
    optimizer: Optimizer, pressure: float
) -> None:
    relaxer = BatchedRelaxer(AseModel(), TIGHT, pressure=pressure, optimizer=optimizer)
    found = relaxer.relax([rutile(noise=0.1)])[0]
    assert found.reason == "converged"
    model, volume, final = AseModel(), found.candidate.volume, found.candidate
    h = 1e-3
    scaled = [
        final.moved(final.positions * factor, final.cell * factor)
        for factor in ((1 - h) ** (1 / 3), (1 + h) ** (1 / 3))
    ]
    low, high = (one.energy for one in model.predict(scaled))
    assert -(high - low) / (2 * h * volume) == pytest.approx(pressure, abs=2e-4)


def test_settings_name_optimizer_symmetry_and_pressure() -> None:
    search = SearchSettings.model_validate(
        {
            "composition": "TiO2",
            "pressure": 10,
            "relax_optimizer": "fire",
            "relax_symmetry": True,
            "symmetry_tolerance": 0.03,
            "relax_steps": 7,
        }
    )
    relaxer = BatchedRelaxer.from_settings(AseModel(), search)
    assert relaxer.optimizer == "fire"
    assert relaxer.symmetry_tolerance == 0.03
    assert relaxer.pressure == pytest.approx(ev_per_a3_from_gpa(10))
    assert relaxer.limits.max_steps == 7
    plain = BatchedRelaxer.from_settings(
        AseModel(), SearchSettings.model_validate({"composition": "TiO2"})
    )
    assert (plain.optimizer, plain.symmetry_tolerance) == ("lbfgs", None)
