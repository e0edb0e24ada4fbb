"""Reduction describes the same crystal, whatever the cell; nothing is lost on the way."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aga.config import SearchSettings
from aga.search.initial import begin
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.cell_limits import CellLimits, angles_of
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.geometry import reduced
from aga.structure.supercells import of_size, smallest_cell, supercell

SHAPES: dict[str, FloatArray] = {
    "cubic": np.eye(3),
    "hexagonal": np.array([[1.0, 0, 0], [-0.5, 0.75**0.5, 0], [0, 0, 1.3]]),
    "face-centred": np.array([[0, 0.7, 0.7], [0.7, 0, 0.7], [0.7, 0.7, 0]]),
    "body-centred": np.array([[-0.6, 0.6, 0.6], [0.6, -0.6, 0.6], [0.6, 0.6, -0.6]]),
    "monoclinic": np.array([[1.0, 0, 0], [0, 1.2, 0], [-0.5, 0, 0.9]]),
    "flat": np.array([[1.0, 0, 0], [0.5, 1.0, 0], [0.5, 0.5, 0.3]]),
    "long": np.array([[0.5, 0, 0], [0, 0.55, 0], [0.1, 0.2, 3.0]]),
}
NOISE = [0.0, 1e-12, 1e-9, 1e-7, 1e-5, 1e-3]


def unimodular(rng: np.random.Generator, steps: int) -> FloatArray:
    matrix = np.eye(3)
    for _ in range(steps):
        i, j = rng.choice(3, 2, replace=False)
        matrix[i] += rng.choice([-1, 1]) * matrix[j]
    return matrix


def crystal(shape: str, noise: float, seed: int, steps: int) -> Candidate:
    """Some atoms in a cell of a shape, nearly of a higher symmetry, described awkwardly."""
    rng = np.random.default_rng(seed)
    cell = 4.0 * SHAPES[shape] + noise * rng.normal(size=(3, 3))
    number = int(rng.integers(1, 6))
    numbers = rng.choice([8, 22], number)
    positions = rng.random((number, 3)) @ cell
    return Candidate(
        name="x", numbers=numbers, positions=positions, cell=unimodular(rng, steps) @ cell
    )


CRYSTALS = st.builds(
    crystal,
    shape=st.sampled_from(sorted(SHAPES)),
    noise=st.sampled_from(NOISE),
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(0, 6),
)


@settings(max_examples=200, deadline=None)
@given(one=CRYSTALS)
def test_reduction_changes_nothing(one: Candidate) -> None:
    small = reduced(one)
    assert Counter(small.symbols) == Counter(one.symbols)
    assert small.volume == pytest.approx(one.volume, rel=1e-9)
    assert np.linalg.det(small.cell) > 0
    # a distance right at the fingerprint's cutoff may count in one cell and not in the other
    assert cosine_distance(fingerprint(small), fingerprint(one)) < 1e-6
    change = np.linalg.solve(one.cell.T, small.cell.T).T
    assert np.abs(change - np.rint(change)).max() < 1e-6, "the vectors are lattice vectors"
    again = reduced(small)
    assert np.abs(np.linalg.norm(again.cell, axis=1) - np.linalg.norm(small.cell, axis=1)).max() < (
        1e-3
    )


@settings(max_examples=100, deadline=None)
@given(one=CRYSTALS)
def test_the_reduced_cell_is_the_shortest(one: Candidate) -> None:
    small = reduced(one)
    assert angles_of(small.cell).min() > 59.9
    assert angles_of(small.cell).max() < 120.1
    assert np.linalg.norm(small.cell, axis=1).sum() <= (
        np.linalg.norm(one.cell, axis=1).sum() * (1 + 1e-9)
    )


@settings(max_examples=60, deadline=None)
@given(one=CRYSTALS, seed=st.integers(0, 1000))
def test_limits_of_the_cell_do_not_depend_on_how_it_is_written(one: Candidate, seed: int) -> None:
    # near the limit rounding may decide; everywhere else only the lattice does
    small = reduced(one)
    lengths = np.linalg.norm(small.cell, axis=1)
    other = one.moved(one.positions, unimodular(np.random.default_rng(seed), 4) @ one.cell)
    roomy = CellLimits(lengths=(float(lengths.min()) - 0.01, float(lengths.max()) + 0.01))
    narrow = CellLimits(lengths=(float(lengths.min()) + 0.01, float(lengths.max()) + 0.01))
    for limits, allowed in ((roomy, True), (narrow, False)):
        assert limits.allows(one) is allowed
        assert limits.allows(other) is allowed


@settings(max_examples=60, deadline=None)
@given(one=CRYSTALS, copies=st.integers(1, 9))
def test_supercells_and_back(one: Candidate, copies: int) -> None:
    large = supercell(one, copies)
    assert len(large) == copies * len(one)
    assert large.volume == pytest.approx(copies * one.volume)
    assert cosine_distance(fingerprint(large), fingerprint(one)) < 1e-6
    back = smallest_cell(large, 1e-4)
    assert len(one) % len(back) == 0, "primitive, or smaller where the crystal repeats"
    assert cosine_distance(fingerprint(back), fingerprint(one)) < 1e-6
    found = of_size(large, [copies * len(one)], 1e-4)
    assert found is not None
    assert len(found) == len(large)
    assert of_size(one, [], 1e-4) is None


def test_supercells_are_compact() -> None:
    one = Candidate(
        name="x", numbers=np.array([14]), positions=np.zeros((1, 3)), cell=3.0 * np.eye(3)
    )
    large = supercell(one, 8)
    assert np.allclose(np.linalg.norm(large.cell, axis=1), 6.0)
    assert np.allclose(angles_of(large.cell), 90.0)


def test_first_structures_are_reduced() -> None:
    made = begin(SearchSettings(composition="TiO2", formula_units=(1, 3), prototypes=4)).candidates
    assert {one.lineage.operator for one in made} == {"prototype", "random"}
    for one in made:
        same = reduced(one)
        assert np.allclose(
            np.sort(np.linalg.norm(one.cell, axis=1)), np.sort(np.linalg.norm(same.cell, axis=1))
        )
        assert angles_of(one.cell).min() > 59.9
