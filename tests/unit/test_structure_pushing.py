"""Atoms that are too close are pushed apart, where there is room."""

from __future__ import annotations

import numpy as np
import pytest

from aga.structure.candidate import Candidate
from aga.structure.geometry import DistanceLimits, shortest_distances, too_close
from aga.structure.pushing import pushed_apart

LIMITS = DistanceLimits(factor=0.65, overrides={})
LIMIT = LIMITS.of("Si", "Si")


def silicon(positions: object, edge: float) -> Candidate:
    places = np.array(positions, dtype=float)
    return Candidate(
        name="one",
        numbers=np.full(len(places), 14),
        positions=places,
        cell=edge * np.eye(3),
    )


def test_a_pair_parts_about_its_middle() -> None:
    pair = silicon([[1.0, 1.0, 1.0], [1.0, 1.0, 1.6]], 6.0)
    pushed = pushed_apart(pair, LIMITS)
    assert shortest_distances(pushed)["Si", "Si"] == pytest.approx(1.02 * LIMIT)
    assert np.allclose(pushed.positions.mean(axis=0), pair.positions.mean(axis=0))
    assert np.allclose(pushed.positions[:, :2], 1.0)


def test_images_count() -> None:
    pair = silicon([[0.1, 1.0, 1.0], [5.9, 1.0, 1.0]], 6.0)
    pushed = pushed_apart(pair, LIMITS)
    assert not too_close(pushed, LIMITS)
    assert (pushed.cell == pair.cell).all()


def test_what_is_apart_is_left_alone() -> None:
    pair = silicon([[1.0, 1.0, 1.0], [1.0, 1.0, 4.0]], 6.0)
    assert pushed_apart(pair, LIMITS) is pair


@pytest.mark.parametrize("seed", range(10))
def test_a_random_heap_becomes_a_structure(seed: int) -> None:
    # eight atoms in 160 Å³, as in silicon: a third of them overlaps when thrown in at random
    heap = silicon(np.random.default_rng(seed).random((8, 3)) * 160.0 ** (1 / 3), 160.0 ** (1 / 3))
    assert too_close(heap, LIMITS)
    assert not too_close(pushed_apart(heap, LIMITS), LIMITS)


@pytest.mark.parametrize(
    "hopeless",
    [
        silicon([[0.0, 0.0, 0.0]], 1.0),
        silicon(np.random.default_rng(0).random((8, 3)) * 2.4, 2.4),
        silicon([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], 6.0),
    ],
    ids=["thin cell", "small cell", "one place"],
)
def test_what_cannot_be_parted_comes_back_as_it_was(hopeless: Candidate) -> None:
    assert pushed_apart(hopeless, LIMITS) is hopeless
