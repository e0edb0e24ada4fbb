"""Tersoff's potential: published diamond, and exact derivatives in the smallest cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle.tersoff import Tersoff
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label


def oracle(**settings: float) -> Tersoff:
    return Tersoff(OracleSettings(engine="tersoff", **settings), MachineSettings(), {"Si": 1})


def label(atoms: Atoms) -> Label:
    return oracle(max_force=1e6).label(Candidate.from_ase(atoms, name="a"), Path())


def small_cell(n: int, seed: int) -> Atoms:
    rng = stream(seed, n)
    cell = np.eye(3) * (n * 16.0) ** (1 / 3) + rng.normal(0, 0.3, (3, 3))
    return Atoms(f"Si{n}", scaled_positions=rng.random((n, 3)), cell=cell, pbc=True)


def test_relaxed_diamond_has_its_published_energy_and_lattice_constant() -> None:
    start = Candidate.from_ase(bulk("Si", a=5.2, cubic=True), name="diamond")
    relaxed, result = oracle(relax_force=1e-4).relax(start, Path(), pressure=0.0)
    assert result.energy / 8 == pytest.approx(-4.62960, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(relaxed.cell, axis=1), 5.432, atol=1e-3)


def test_hexagonal_diamond_is_degenerate_with_diamond() -> None:
    a = 5.432 / np.sqrt(2)
    c = a * np.sqrt(8 / 3)
    sites = [(1 / 3, 2 / 3, z) for z in (1 / 16, 7 / 16)]
    sites += [(2 / 3, 1 / 3, z) for z in (9 / 16, 15 / 16)]
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, c]]
    atoms = Atoms("Si4", scaled_positions=sites, cell=cell, pbc=True)
    assert label(atoms).energy / 4 == pytest.approx(-4.62960, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_cells_smaller_than_the_cutoff_equal_their_supercells(n: int) -> None:
    """The cutoff is 3 Å: an atom meets several images of itself and of each neighbour."""
    atoms = small_cell(n, 0)
    one, many = label(atoms), label(atoms.repeat(3))
    assert many.energy / 27 == pytest.approx(one.energy, abs=1e-8)
    np.testing.assert_allclose(many.forces[:n], one.forces, atol=1e-8)
    assert one.stress is not None
    assert many.stress is not None
    np.testing.assert_allclose(many.stress, one.stress, atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 8])
def test_forces_and_stress_are_derivatives_of_the_energy(n: int) -> None:
    atoms, h = small_cell(n, 1), 1e-5
    result = label(atoms)
    for index in np.ndindex(n, 3):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index] += sign * h
            energies.append(label(moved).energy)
        slope = (energies[0] - energies[1]) / (2 * h)
        assert result.forces[index] == pytest.approx(-slope, abs=1e-5, rel=1e-6)
    assert result.stress is not None
    voigt = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]
    for stress, (i, j) in zip(result.stress, voigt, strict=True):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * h / 2
            strain[j, i] += sign * h / 2
            moved = atoms.copy()
            moved.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
            energies.append(label(moved).energy)
        slope = (energies[0] - energies[1]) / (2 * h) / atoms.get_volume()
        assert stress == pytest.approx(slope, abs=1e-6, rel=1e-6)


def test_lonely_atoms_and_pairs_have_finite_numbers() -> None:
    """A single neighbour, or none: no bond angle, where other codes divide by zero."""
    alone = label(Atoms("Si", cell=[12] * 3, pbc=True))
    assert alone.energy == 0
    pair = Atoms("Si3", positions=[[0, 0, 0], [2.3, 0, 0], [7, 7, 7]], cell=[14] * 3, pbc=True)
    result = label(pair)
    assert result.energy == pytest.approx(-2.66588, abs=1e-4)
    assert np.isfinite(result.forces).all()
