"""The analytic TiO₂ potential against its published energies and its own derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase import Atoms
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.spacegroup import crystal

from aga.oracle.matsui_akaogi import WALL, MatsuiAkaogiCalculator
from aga.rng import stream


def rutile() -> Atoms:
    return crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        spacegroup=136,
        cellpar=[4.59, 4.59, 2.96, 90, 90, 90],
    )


def anatase() -> Atoms:
    return crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0, 0, 0.208)],
        spacegroup=141,
        cellpar=[3.78, 3.78, 9.51, 90, 90, 90],
    )


def triclinic(seed: int = 0, units: int = 2) -> Atoms:
    """A random skewed cell, with some atoms inside the wall."""
    rng = stream(seed, "triclinic")
    cell = np.diag([4.6, 4.6, 3.0]) + rng.normal(0, 0.5, (3, 3))
    positions = rng.random((3 * units, 3))
    return Atoms("TiO2" * units, scaled_positions=positions, cell=cell, pbc=True)


def evaluate(atoms: Atoms, **options: float) -> tuple[float, np.ndarray, np.ndarray]:
    atoms = atoms.copy()
    atoms.calc = MatsuiAkaogiCalculator(**options)
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)


@pytest.mark.parametrize(
    ("phase", "published", "cell"),
    [(rutile, -39.80, (4.493, 4.493, 3.008)), (anatase, -39.50, (3.770, 3.770, 9.568))],
)
def test_relaxed_phases_have_their_published_energy_and_lattice(
    phase: Callable[[], Atoms], published: float, cell: tuple[float, ...]
) -> None:
    atoms = phase()
    atoms.calc = MatsuiAkaogiCalculator()
    assert BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.002, steps=100)
    assert atoms.get_potential_energy() / len(atoms) * 3 == pytest.approx(published, abs=0.02)
    np.testing.assert_allclose(atoms.cell.lengths(), cell, atol=0.01)


def test_energy_forces_and_stress_do_not_depend_on_how_the_ewald_sum_is_split() -> None:
    reference = evaluate(triclinic(), real_cutoff=12.0, accuracy=1e-13)
    for options in ({}, {"real_cutoff": 6.0, "accuracy": 1e-11}, {"accuracy": 1e-12}):
        for value, expected in zip(evaluate(triclinic(), **options), reference, strict=True):
            np.testing.assert_allclose(value, expected, atol=1e-6, rtol=1e-7)


def test_the_madelung_constant_of_a_cscl_lattice_is_known() -> None:
    """The Coulomb part alone, against a number that owes nothing to this code."""
    from aga.oracle import ewald

    cell, kappa = np.eye(3) * 1.0, 3.0
    positions = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    species = np.array([0, 1])
    charges, none = np.array([1.0, -1.0]), np.zeros((2, 2))
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    energy = ewald.coulomb_self(charges, kappa)
    for i in range(2):
        for j in range(2):
            r = np.linalg.norm(positions[j] - positions[i] + shifts, axis=1)
            value, _ = ewald.coulomb_pair(r[r > 0], kappa)
            energy += 0.5 * ewald.COULOMB * charges[i] * charges[j] * value.sum()
    energy += ewald.reciprocal_sum(
        positions, cell, species, (charges, none), kappa=kappa, cutoff=40.0
    ).energy
    nearest = np.sqrt(3) / 2
    assert -energy * nearest / ewald.COULOMB == pytest.approx(1.76267477, abs=1e-7)


def test_the_dispersion_sum_equals_a_large_direct_sum() -> None:
    from aga.oracle import ewald

    cell, kappa = np.eye(3) * 3.0, 1.2
    shifts = np.stack(np.meshgrid(*[np.arange(-40, 41)] * 3, indexing="ij"), -1).reshape(-1, 3)
    r = np.linalg.norm(shifts @ cell, axis=1)
    inside = r[(r > 0) & (r < 120)]
    tail = 4 * np.pi / 27 / (3 * 120.0**3)  # of a homogeneous density beyond 120 Å
    direct = -0.5 * ((inside**-6.0).sum() + tail)
    pair, _ = ewald.dispersion_pair(inside[inside < 12], kappa)
    none, one = np.zeros(1), np.ones((1, 1))
    energy = -0.5 * pair.sum() + ewald.dispersion_self(np.ones(1), kappa)
    energy += ewald.reciprocal_sum(
        np.zeros((1, 3)), cell, np.array([0]), (none, one), kappa=kappa, cutoff=16.0
    ).energy
    assert energy == pytest.approx(direct, rel=1e-7)


@pytest.mark.parametrize("seed", [0, 1])
def test_forces_are_minus_the_derivative_of_the_energy(seed: int) -> None:
    atoms, h = triclinic(seed), 1e-5
    _, forces, _ = evaluate(atoms)
    numeric = np.zeros_like(forces)
    for index in np.ndindex(forces.shape):
        moved = []
        for sign in (1, -1):
            other = atoms.copy()
            other.positions[index] += sign * h
            moved.append(evaluate(other)[0])
        numeric[index] = -(moved[0] - moved[1]) / (2 * h)
    np.testing.assert_allclose(forces, numeric, atol=1e-5, rtol=1e-6)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-8)


def test_stress_is_the_strain_derivative_of_the_energy() -> None:
    atoms, h = triclinic(2), 1e-6
    _, _, stress = evaluate(atoms)
    numeric = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        moved = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * h / 2
            strain[j, i] += sign * h / 2
            other = atoms.copy()
            other.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            moved.append(evaluate(other)[0])
        numeric[i, j] = (moved[0] - moved[1]) / (2 * h) / atoms.get_volume()
    np.testing.assert_allclose(stress, numeric, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pair", ["TiTi", "TiO", "OO"])
def test_the_wall_is_smooth_and_only_repels(pair: str) -> None:
    """Two ions approach within a neutral cell: no step in energy or force, no hole."""
    si, sj = {"TiTi": (0, 0), "TiO": (0, 1), "OO": (1, 1)}[pair]
    elements = {"TiTi": "Ti2O4", "TiO": "TiO2", "OO": "O2Ti"}[pair]
    atoms = Atoms(elements, cell=[30, 30, 30], pbc=True)
    rest = len(atoms) - 2
    atoms.positions[2:] = [[12.0 + 4 * k, 15, 9 + 5 * k] for k in range(rest)]
    wall = WALL[si, sj]

    def at(r: float) -> tuple[float, float]:
        atoms.positions[1] = [r, 0, 0]
        energy, forces, _ = evaluate(atoms)
        return energy, forces[1, 0]

    (e1, f1), (e2, f2) = at(wall - 1e-7), at(wall + 1e-7)
    assert e1 == pytest.approx(e2, abs=1e-3)
    assert f1 == pytest.approx(f2, abs=1e-2)
    radii = np.linspace(0.05, 0.95 * wall, 60)
    assert all(at(r)[1] > 0 for r in radii)


def test_a_cell_that_is_not_neutral_or_not_tio2_is_refused() -> None:
    with pytest.raises(ValueError, match="not neutral"):
        evaluate(Atoms("TiO", positions=[[0, 0, 0], [2, 0, 0]], cell=[4, 4, 4], pbc=True))
    with pytest.raises(ValueError, match="not Si"):
        evaluate(Atoms("SiO2", positions=np.eye(3), cell=[4, 4, 4], pbc=True))
