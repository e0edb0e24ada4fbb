"""What is chosen of a relaxation's path: a part of it, spread out, whatever the optimizer did."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aga.rng import stream
from aga.structure.candidate import FloatArray
from aga.structure.protocols import PathPoint
from aga.structure.relaxation_path import ALIKE, distance, thinned

seeds = st.integers(0, 10_000)
numbers = st.integers(0, 12)


def point(positions: FloatArray, cell: FloatArray, energy: float = 0.0) -> PathPoint:
    return PathPoint(positions=positions, cell=cell, energy=energy, forces=np.zeros_like(positions))


def way(seed: int, steps: int = 15) -> list[PathPoint]:
    """Walk towards a place: in a straight line but for some noise, ever shorter steps."""
    rng = stream(seed, "way")
    n = int(rng.integers(1, 7))
    cell = 4.0 * np.eye(3) + rng.normal(0, 0.4, (3, 3))
    positions, strain = rng.uniform(0, 1, (n, 3)) @ cell, rng.normal(0, 0.05, (3, 3))
    there = rng.normal(0, 0.3, (n, 3))
    found = []
    for k in range(steps):
        left = 0.7**k + 0.02 * rng.normal()
        deformed = np.eye(3) + left * strain
        found.append(point((positions + left * there) @ deformed, cell @ deformed, energy=left))
    return found


@given(seeds, numbers)
def test_a_part_of_the_path_in_its_order_and_no_two_alike(seed: int, number: int) -> None:
    path = way(seed)
    known = [path[-1]]
    chosen = thinned(path, number, known=known)
    places = [next(k for k, one in enumerate(path) if one is point) for point in chosen]
    assert places == sorted(set(places))
    assert len(chosen) <= number
    kept = [*chosen, *known]
    for k, one in enumerate(kept):
        assert all(distance(one, other) >= 0.9 * ALIKE for other in kept[:k])
    left_out = [one for one in path if not any(one is other for other in kept)]
    if len(chosen) < number:  # nothing was left out that had been worth a place
        assert all(min(distance(other, one) for other in kept) < ALIKE for one in left_out)


@given(seeds, numbers)
def test_fewer_are_among_more(seed: int, number: int) -> None:
    path = way(seed)
    fewer = thinned(path, number, known=[path[-1]])
    more = thinned(path, number + 1, known=[path[-1]])
    assert all(any(one is other for other in more) for one in fewer)


@given(seeds)
def test_a_path_walked_more_slowly_gives_the_same(seed: int) -> None:
    """Steps that stay where they are, or come back, are no reason to choose them."""
    path = way(seed)
    slow = [one for one in path for _ in range(3)] + path[::-1]
    for number in (1, 3, 6):
        one = thinned(path, number, known=[path[-1]])
        two = thinned(slow, number, known=[path[-1]])
        assert {id(p) for p in one} == {id(p) for p in two}


@given(seeds)
def test_how_a_structure_lies_in_space_does_not_matter(seed: int) -> None:
    """Turned, shifted as a whole, atoms in another order, atoms wrapped into the cell."""
    rng, path = stream(seed, "turn"), way(seed)
    order = rng.permutation(len(path[0].positions))
    other = []
    for one in path:
        turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
        inside = (one.positions @ np.linalg.inv(one.cell) + rng.uniform(-2, 2, 3)) % 1.0
        other.append(point((inside @ one.cell)[order] @ turn, one.cell @ turn))
    for k in range(1, len(path)):
        assert distance(other[0], other[k]) == pytest.approx(distance(path[0], path[k]), abs=1e-7)
    for number in (1, 3, 6):
        one, two = (thinned(p, number, known=[p[-1]]) for p in (path, other))
        assert [path.index(x) for x in one] == [other.index(x) for x in two]


@given(seeds, st.floats(0.5, 2.0))
def test_distance_is_measured_in_angstroms(seed: int, scale: float) -> None:
    path = way(seed)
    large = [point(scale * one.positions, scale * one.cell) for one in path]
    told = scale * distance(path[0], path[3])
    assert distance(large[0], large[3]) == pytest.approx(told, rel=1e-9)
    assert distance(path[2], path[2]) == pytest.approx(0, abs=1e-9)
