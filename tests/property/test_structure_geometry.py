from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from aga.config import SearchSettings
from aga.errors import StructureError
from aga.structure.candidate import Candidate
from aga.structure.geometry import (
    DistanceLimits,
    fractional,
    neighbour_pairs,
    reduced,
    shortest_distances,
    too_close,
    wrapped,
)
from aga.structure.pushing import pushed_apart

SEEDS = st.integers(0, 2**32 - 1)


def crystal(rng: np.random.Generator, size: int = 3) -> Candidate:
    """Make a skewed crystal of sane volume, its atoms anywhere."""
    cell = np.diag(rng.uniform(1.8, 5.0, 3))
    cell[np.tril_indices(3, -1)] = rng.normal(0.0, 3.0, 3)
    return Candidate(
        name="x",
        numbers=rng.choice([8, 22], size),
        positions=rng.normal(size=(size, 3)) * 10,
        cell=cell,
    )


def brute_force(candidate: Candidate, reach: int) -> dict[tuple[str, str], float]:
    images = np.array(np.meshgrid(*[range(-reach, reach + 1)] * 3)).reshape(3, -1).T
    shifts = images @ candidate.cell
    inside = wrapped(candidate).positions
    symbols = candidate.symbols
    found: dict[tuple[str, str], float] = {}
    for i in range(len(candidate)):
        for j in range(len(candidate)):
            d = np.linalg.norm(inside[j] + shifts - inside[i], axis=1)
            key = tuple(sorted((symbols[i], symbols[j])))
            found[key] = min(found.get(key, np.inf), d[d > 1e-10].min())
    return found


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_shortest_distances_are_those_of_a_plain_sum_over_images(seed: int) -> None:
    one = crystal(np.random.default_rng(seed))
    assert shortest_distances(one) == pytest.approx(brute_force(one, 12))


def test_a_lone_atom_is_as_far_as_its_nearest_image() -> None:
    one = Candidate(name="x", numbers=[14], positions=[[9, 9, 9]], cell=np.diag([2.0, 3.0, 8.0]))
    assert shortest_distances(one) == {("Si", "Si"): pytest.approx(2.0)}
    assert too_close(one, DistanceLimits(factor=0.95, overrides={}))  # limit 2.11 Å
    assert not too_close(one, DistanceLimits(factor=0.85, overrides={}))  # limit 1.89 Å


@pytest.mark.parametrize("key", ["Ti-O", "O-Ti"])
def test_own_distances_replace_the_radii_in_either_order(key: str) -> None:
    search = SearchSettings(composition="TiO2", min_distances={key: 1.5})
    limits = DistanceLimits.from_settings(search)
    assert limits.limit(22, 8) == limits.limit(8, 22) == 1.5
    assert limits.limit(8, 8) == pytest.approx(0.65 * 2 * 0.66)
    table = limits.matrix(np.array([22, 8, 8]))
    assert table[0, 1] == table[2, 0] == 1.5
    assert table[1, 2] == pytest.approx(0.65 * 2 * 0.66)


def test_only_the_pair_that_is_too_close_counts() -> None:
    one = Candidate.from_ase(
        Atoms("TiO", positions=[[0, 0, 0], [1.6, 0, 0]], cell=[6, 6, 6], pbc=True), name="x"
    )
    allowed = DistanceLimits(factor=0.65, overrides={(8, 22): 1.5})
    refused = DistanceLimits(factor=0.65, overrides={(8, 22): 1.7})
    assert not too_close(one, allowed)
    assert too_close(one, refused)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, size=st.integers(1, 6))
def test_pushing_parts_all_atoms_or_changes_nothing(seed: int, size: int) -> None:
    one = crystal(np.random.default_rng(seed), size)
    limits = DistanceLimits(factor=0.65, overrides={})
    pushed = pushed_apart(one, limits)
    assert (pushed is one) or not too_close(pushed, limits)
    assert (pushed.cell == one.cell).all()
    assert (pushed.numbers == one.numbers).all()
    assert pushed.positions.mean(axis=0) == pytest.approx(one.positions.mean(axis=0), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_reduction_keeps_the_crystal_and_shortens_the_cell(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = crystal(rng)
    change = np.eye(3)
    change[0, 1], change[0, 2], change[1, 2] = rng.integers(-3, 4, 3)
    sheared = one.moved(one.positions, change @ one.cell)
    small = reduced(sheared)
    assert small.volume == pytest.approx(one.volume)
    assert np.linalg.det(small.cell) > 0
    assert np.linalg.norm(small.cell) <= np.linalg.norm(sheared.cell) + 1e-9
    for cutoff in (2.5, 5.0):
        before, after = (np.sort(neighbour_pairs(c, cutoff)[2]) for c in (one, small))
        assert after == pytest.approx(before, abs=1e-8)
    inside = fractional(small)
    assert ((inside >= 0) & (inside < 1)).all()


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_reduced_cells_are_not_skewed(seed: int) -> None:
    cell = reduced(crystal(np.random.default_rng(seed))).cell
    lengths = np.linalg.norm(cell, axis=1)
    cosines = (cell @ cell.T / np.outer(lengths, lengths))[np.triu_indices(3, 1)]
    assert np.abs(cosines).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("key", ["TiO", "Ti-", "Xx-O", "Ti-O-Ti"])
def test_a_key_that_is_no_pair_is_refused(key: str) -> None:
    search = SearchSettings.model_construct(
        min_distances={key: 1.5}, min_distance_factor=0.65, composition=None
    )
    with pytest.raises(StructureError, match="pair of elements"):
        DistanceLimits.from_settings(search)
