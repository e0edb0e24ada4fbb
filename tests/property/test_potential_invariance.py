"""What must not change the descriptor: translation, rotation, order, choice of cell."""

import numpy as np
import pytest
from ase.build import niggli_reduce
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aga.potential.batch import Batch
from aga.potential.symmetry.descriptor import Descriptor
from aga.potential.symmetry.functions import Angular, CutoffFunction, FunctionSet, Radial
from aga.potential.symmetry.presets import automatic
from aga.structure.candidate import Candidate, FloatArray

SEEDS = st.integers(0, 10**6)
PAIRS = (("O", "O"), ("O", "Ti"), ("Ti", "Ti"))
BY_TRIPLETS = FunctionSet(
    elements=("O", "Ti"),
    cutoff=4.0,
    cutoff_function="polynomial5",
    radial=(Radial("O", 0.5, 1.0), Radial("Ti", 0.5, cutoff=3.5)),
    angular=(
        *(Angular(pair, 0.05, 2, -1.0, narrow=True) for pair in PAIRS),
        *(Angular(pair, 0.05, 3.3, 0.8, shift=0.3) for pair in PAIRS),
        Angular(("O", "Ti"), 0.1, 7, -1.0, cutoff=3.6, centre="Ti"),
    ),
)
DESCRIPTORS = {
    "automatic": Descriptor(automatic(["O", "Ti"], 4.0)),
    "by triplets": Descriptor(BY_TRIPLETS),
}
EACH = pytest.mark.parametrize("kind", DESCRIPTORS)


def values(kind: str, structure: Candidate) -> FloatArray:
    descriptor = DESCRIPTORS[kind]
    return descriptor.values(descriptor.pairs(Batch.pack([structure])))


def crystal(seed: int) -> tuple[Candidate, np.random.Generator]:
    """One to six atoms on a jittered grid of a triclinic cell."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    cell = np.diag(rng.uniform(3.0, 6.0, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    grid = np.array([[a, b, c] for a in (0, 0.5) for b in (0, 0.5) for c in (0, 0.5)])
    fractions = rng.permutation(grid)[:n] + rng.uniform(-0.08, 0.08, (n, 3))
    numbers = rng.choice([8, 22], n)
    return Candidate(name="x", numbers=numbers, positions=fractions @ cell, cell=cell), rng


@EACH
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_translation_and_images_change_nothing(kind: str, seed: int) -> None:
    structure, rng = crystal(seed)
    shifts = rng.integers(-2, 3, (len(structure), 3)) @ structure.cell
    moved = structure.moved(structure.positions + rng.normal(size=3) + shifts)
    np.testing.assert_allclose(values(kind, moved), values(kind, structure), rtol=1e-8, atol=1e-9)


@EACH
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_rotation_changes_nothing(kind: str, seed: int) -> None:
    structure, rng = crystal(seed)
    Q = Rotation.random(rng=rng).as_matrix()
    turned = structure.moved(structure.positions @ Q, structure.cell @ Q)
    np.testing.assert_allclose(values(kind, turned), values(kind, structure), rtol=1e-8, atol=1e-9)


@EACH
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_order_of_atoms_is_carried_along(kind: str, seed: int) -> None:
    structure, rng = crystal(seed)
    order = rng.permutation(len(structure))
    other = Candidate(
        name="x",
        numbers=structure.numbers[order],
        positions=structure.positions[order],
        cell=structure.cell,
    )
    np.testing.assert_allclose(
        values(kind, other), values(kind, structure)[order], rtol=1e-8, atol=1e-9
    )


@EACH
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_another_cell_of_the_lattice_changes_nothing(kind: str, seed: int) -> None:
    structure, rng = crystal(seed)
    M = np.eye(3, dtype=int)
    M[0, 1], M[1, 2], M[2, 0] = rng.integers(-2, 3, 3) * np.array([1, 1, 0])
    sheared = structure.moved(structure.positions, M @ structure.cell)
    np.testing.assert_allclose(values(kind, sheared), values(kind, structure), rtol=1e-8, atol=1e-9)
    reduced = structure.to_ase()
    niggli_reduce(reduced)
    same = Candidate.from_ase(reduced, name="x")
    np.testing.assert_allclose(values(kind, same), values(kind, structure), rtol=1e-8, atol=1e-9)
    doubled = Candidate(
        name="x",
        numbers=np.tile(structure.numbers, 2),
        positions=np.vstack([structure.positions, structure.positions + structure.cell[1]]),
        cell=structure.cell * np.array([[1.0], [2.0], [1.0]]),
    )
    np.testing.assert_allclose(
        values(kind, doubled), np.tile(values(kind, structure), (2, 1)), rtol=1e-8, atol=1e-9
    )


@EACH
@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_forces_balance_and_rotations_cost_nothing(kind: str, seed: int) -> None:
    structure, rng = crystal(seed)
    descriptor = DESCRIPTORS[kind]
    pairs = descriptor.pairs(Batch.pack([structure]))
    gradient, _ = descriptor.vjp(pairs, rng.normal(size=(len(structure), descriptor.size)))
    np.testing.assert_allclose(gradient.sum(axis=0), 0.0, atol=1e-8)
    A = rng.normal(size=(3, 3))
    spin = descriptor.jvp(pairs, np.zeros((len(structure), 3)), (A - A.T)[None])
    np.testing.assert_allclose(spin, 0.0, atol=1e-8)


SMOOTH: list[tuple[CutoffFunction, int]] = [
    ("cosine", 1),
    ("tanh3", 2),
    ("polynomial3", 1),
    ("polynomial5", 2),
    ("polynomial7", 3),
]
"""Continuous derivatives at the cutoff."""


@pytest.mark.parametrize(("form", "order"), SMOOTH)
@pytest.mark.parametrize("angles", ["wide", "narrow"])
@settings(max_examples=20, deadline=None)
@given(st.floats(0.3, 3.0), st.floats(0.0, np.pi))
def test_functions_fade_at_the_cutoff(
    form: CutoffFunction, order: int, angles: str, other: float, angle: float
) -> None:
    """A neighbour that comes in by d changes values by about d^(order + 1), slopes by d^order."""
    narrow = angles == "narrow"
    functions = FunctionSet(
        elements=("Si",),
        cutoff=4.0,
        cutoff_function=form,
        radial=(Radial("Si", 0.02),),
        angular=(
            Angular(("Si", "Si"), 0.01, 2, 1.0, narrow=narrow),
            Angular(("Si", "Si"), 0.01, 1.5, -1.0, narrow=narrow),
        ),
    )
    descriptor = Descriptor(functions)
    second = other * np.array([np.cos(angle), np.sin(angle), 0.0])

    def at(distance: float) -> tuple[FloatArray, FloatArray]:
        structure = Candidate(
            name="x",
            numbers=np.full(3, 14),
            positions=np.array([[0.0, 0.0, 0.0], [distance, 0.0, 0.0], second]),
            cell=30.0 * np.eye(3),
        )
        pairs = descriptor.pairs(Batch.pack([structure]))
        step = np.zeros((3, 3))
        step[1, 0] = 1.0
        return descriptor.values(pairs)[0], descriptor.jvp(pairs, step)[0]

    beyond, _ = at(4.0 + 1e-9)
    for depth in (1e-2, 1e-3):
        value, slope = at(4.0 - depth)
        assert np.abs(value - beyond).max() < 40.0 * depth ** (order + 1)
        assert np.abs(slope).max() < 200.0 * depth**order
