"""What must not change the descriptor: translation, rotation, order, choice of cell."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aga.potential.batch import Batch
from aga.potential.descriptor import Descriptor
from aga.potential.presets import automatic
from aga.structure.candidate import Candidate, FloatArray

DESCRIPTOR = Descriptor(automatic(["O", "Ti"], 4.0))
SEEDS = st.integers(0, 10**6)


def values(structure: Candidate) -> FloatArray:
    return DESCRIPTOR.values(DESCRIPTOR.pairs(Batch.pack([structure])))


def crystal(seed: int) -> tuple[Candidate, np.random.Generator]:
    """One to six atoms on a jittered grid of a triclinic cell."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    cell = np.diag(rng.uniform(3.0, 6.0, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    grid = np.array([[a, b, c] for a in (0, 0.5) for b in (0, 0.5) for c in (0, 0.5)])
    fractions = rng.permutation(grid)[:n] + rng.uniform(-0.08, 0.08, (n, 3))
    numbers = rng.choice([8, 22], n)
    return Candidate(name="x", numbers=numbers, positions=fractions @ cell, cell=cell), rng


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_translation_and_images_change_nothing(seed: int) -> None:
    structure, rng = crystal(seed)
    shifts = rng.integers(-2, 3, (len(structure), 3)) @ structure.cell
    moved = structure.moved(structure.positions + rng.normal(size=3) + shifts)
    np.testing.assert_allclose(values(moved), values(structure), rtol=1e-8, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_rotation_changes_nothing(seed: int) -> None:
    structure, rng = crystal(seed)
    Q = Rotation.random(rng=rng).as_matrix()
    turned = structure.moved(structure.positions @ Q, structure.cell @ Q)
    np.testing.assert_allclose(values(turned), values(structure), rtol=1e-8, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_order_of_atoms_is_carried_along(seed: int) -> None:
    structure, rng = crystal(seed)
    order = rng.permutation(len(structure))
    other = Candidate(
        name="x",
        numbers=structure.numbers[order],
        positions=structure.positions[order],
        cell=structure.cell,
    )
    np.testing.assert_allclose(values(other), values(structure)[order], rtol=1e-8, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_another_cell_of_the_lattice_changes_nothing(seed: int) -> None:
    structure, rng = crystal(seed)
    M = np.eye(3, dtype=int)
    M[0, 1], M[1, 2], M[2, 0] = rng.integers(-2, 3, 3) * np.array([1, 1, 0])
    sheared = structure.moved(structure.positions, M @ structure.cell)
    np.testing.assert_allclose(values(sheared), values(structure), rtol=1e-8, atol=1e-9)
    doubled = Candidate(
        name="x",
        numbers=np.tile(structure.numbers, 2),
        positions=np.vstack([structure.positions, structure.positions + structure.cell[1]]),
        cell=structure.cell * np.array([[1.0], [2.0], [1.0]]),
    )
    np.testing.assert_allclose(
        values(doubled), np.tile(values(structure), (2, 1)), rtol=1e-8, atol=1e-9
    )


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_forces_balance_and_rotations_cost_nothing(seed: int) -> None:
    structure, rng = crystal(seed)
    pairs = DESCRIPTOR.pairs(Batch.pack([structure]))
    gradient, _ = DESCRIPTOR.vjp(pairs, rng.normal(size=(len(structure), DESCRIPTOR.size)))
    np.testing.assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-8)
    A = rng.normal(size=(3, 3))
    spin = DESCRIPTOR.jvp(pairs, np.zeros((len(structure), 3)), (A - A.T)[None])
    np.testing.assert_allclose(spin, 0.0, atol=1e-8)
