"""Random lattices: of the right volume, mostly compact, some long or flat."""

from __future__ import annotations

import numpy as np
import pytest

from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import neighbour_pairs
from aga.structure.lattices import FLATTEST, random_lattice
from aga.structure.supercells import random_supercell


def flatness(cell: FloatArray) -> float:
    edges = np.linalg.norm(cell, axis=1)
    return float(edges.max() / edges.min())


@pytest.mark.parametrize("group", [1, 14, 62, 139])
def test_most_cells_are_compact_and_some_are_long(group: int) -> None:
    rng = np.random.default_rng(0)
    cells = [random_lattice(group, 50.0, rng) for _ in range(400)]
    assert np.linalg.det(cells) == pytest.approx(50.0)
    shapes = np.array([flatness(cell) for cell in cells])
    assert shapes.max() < FLATTEST
    assert np.median(shapes) < 3.0
    assert 0.02 < (shapes > 4.0).mean() < 0.4


def test_who_asks_for_compact_cells_gets_them() -> None:
    rng = np.random.default_rng(1)
    assert all(flatness(random_lattice(1, 50.0, rng, flattest=2.0)) < 2.0 for _ in range(50))


def test_copies_are_the_same_crystal_in_every_lattice_of_their_number() -> None:
    one = Candidate(
        name="one",
        numbers=np.array([22, 8, 8]),
        positions=np.array([[0.1, 0.2, 0.3], [2.0, 0.4, 0.1], [0.5, 2.1, 1.7]]),
        cell=np.array([[4.0, 0.0, 0.0], [0.3, 4.4, 0.0], [0.1, 0.5, 5.1]]),
    )
    wanted = np.sort(neighbour_pairs(one, 5.0)[2])
    metrics = set()
    for seed in range(80):
        copy = random_supercell(one, 2, np.random.default_rng(seed))
        assert copy.numbers.tolist() == [22, 22, 8, 8, 8, 8]
        assert copy.volume == pytest.approx(2 * one.volume)
        assert np.sort(neighbour_pairs(copy, 5.0)[2]) == pytest.approx(np.repeat(wanted, 2))
        metrics.add(tuple(np.round(np.linalg.norm(copy.cell, axis=1), 4)))
    assert len(metrics) == 7, "a lattice has seven sublattices of index 2"
