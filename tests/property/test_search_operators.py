from __future__ import annotations

from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aga.errors import GenerationError
from aga.search.operators import OPERATORS, OperatorContext
from aga.structure.candidate import Candidate
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.geometry import DistanceLimits, neighbour_pairs
from aga.structure.random_crystal import random_atoms
from aga.structure.volume import estimated_volume_per_atom

SEEDS = st.integers(0, 2**32 - 1)
LIMITS = DistanceLimits(factor=0.6, overrides={})
ELEMENTS = ["O", "Si", "Ti"]
COMPOSITIONS = st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 4), min_size=1)


def context_of(counts: dict[str, int]) -> OperatorContext:
    volume = estimated_volume_per_atom(counts) * sum(counts.values())
    return OperatorContext(counts=dict(sorted(counts.items())), volume=volume, limits=LIMITS)


@lru_cache(maxsize=512)
def crystal(counts: tuple[tuple[str, int], ...], seed: int) -> Candidate:
    context = context_of(dict(counts))
    rng = np.random.default_rng(seed)
    volume = 1.2 * context.volume
    return random_atoms(context.counts, rng, volume=volume, limits=LIMITS, name=f"p{seed}")


def offspring(name: str, counts: dict[str, int], seed: int) -> tuple[list[Candidate], Candidate]:
    operator = OPERATORS[name]
    key = tuple(sorted(counts.items()))
    parents = [crystal(key, seed % 50 + k) for k in range(operator.parents)]
    child = operator.function(parents, np.random.default_rng(seed), context_of(counts))
    return parents, child


@pytest.mark.parametrize("name", sorted(OPERATORS))
@settings(max_examples=60, deadline=None)
@given(counts=COMPOSITIONS, seed=SEEDS)
def test_every_operator_keeps_the_composition_exactly(
    name: str, counts: dict[str, int], seed: int
) -> None:
    if not OPERATORS[name].applicable(counts, population=2):
        return
    try:
        _, child = offspring(name, counts, seed)
    except GenerationError:
        return
    assert Counter(child.symbols) == counts
    assert np.linalg.det(child.cell) > 0


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        (name, counts)
        for name in sorted(OPERATORS)
        for counts in ({"Si": 8}, {"Ti": 2, "O": 4})
        if OPERATORS[name].applicable(counts, population=2)
    ],
)
def test_a_seed_decides_and_another_seed_differs(name: str, counts: dict[str, int]) -> None:
    one, again, other = (offspring(name, counts, seed)[1] for seed in (3, 3, 53))
    assert (one.positions == again.positions).all()
    assert (one.cell == again.cell).all()
    assert one.positions.shape != other.positions.shape or (one.positions != other.positions).any()


@pytest.mark.parametrize("name", ["crossover", "strain", "rattle", "permutation"])
def test_children_are_not_their_parents(name: str) -> None:
    counts = {"Ti": 2, "O": 4}
    different = 0
    for seed in range(20):
        try:
            parents, child = offspring(name, counts, seed)
        except GenerationError:
            continue
        own = fingerprint(child)
        different += min(cosine_distance(own, fingerprint(p)) for p in parents) > 0.02
    assert different >= 12


def test_parents_are_left_as_they_were() -> None:
    for name in ("crossover", "strain", "rattle", "permutation"):
        key = (("O", 4), ("Ti", 2))
        parents = [crystal(key, k) for k in range(OPERATORS[name].parents)]
        before = [(p.positions.copy(), p.cell.copy()) for p in parents]
        OPERATORS[name].function(parents, np.random.default_rng(1), context_of(dict(key)))
        for parent, (positions, cell) in zip(parents, before, strict=True):
            assert (parent.positions == positions).all()
            assert (parent.cell == cell).all()


def test_crossover_takes_environments_from_both_parents() -> None:
    # parents of very different density: a child of both lies between them
    key = (("Si", 8),)
    dense = crystal(key, 1)
    loose = dense.moved(dense.positions * 1.3, dense.cell * 1.3)
    volumes = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        child = OPERATORS["crossover"].function([dense, loose], rng, context_of(dict(key)))
        volumes.append(child.volume)
        assert dense.volume * 0.999 <= child.volume <= loose.volume * 1.001
    assert np.ptp(volumes) > 0.1 * dense.volume


def test_crossover_of_a_crystal_with_itself_can_give_it_back() -> None:
    # same lattice on both sides: slabs of one crystal make neighbours at the old distances
    one = crystal((("Si", 8),), 4)
    shortest = neighbour_pairs(one, 4.0)[2].min()
    kept = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        child = OPERATORS["crossover"].function([one, one], rng, context_of({"Si": 8}))
        d = neighbour_pairs(child, 4.0)[2]
        kept.append(np.isclose(d, shortest, atol=1e-6).any())
    assert any(kept)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_strain_keeps_fractional_positions_and_a_sensible_volume(seed: int) -> None:
    parents, child = offspring("strain", {"Si": 8}, seed)
    bounds = sorted([parents[0].volume, context_of({"Si": 8}).volume])
    assert bounds[0] * 0.999 <= child.volume <= bounds[1] * 1.001


def test_rattle_keeps_the_lattice() -> None:
    parents, child = offspring("rattle", {"Si": 8}, 11)
    assert child.volume == pytest.approx(parents[0].volume)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_permutation_keeps_the_sites_and_moves_species(seed: int) -> None:
    parents, child = offspring("permutation", {"Ti": 2, "O": 4}, seed)
    sites = {tuple(np.round(p, 9)) for p in parents[0].positions}
    assert {tuple(np.round(p, 9)) for p in child.positions} == sites
    titanium = [
        {tuple(np.round(p, 9)) for p in c.positions[c.numbers == 22]} for c in (parents[0], child)
    ]
    assert titanium[0] != titanium[1]


def test_permutation_of_one_element_is_refused() -> None:
    assert not OPERATORS["permutation"].applicable({"Si": 8}, population=5)
    with pytest.raises(GenerationError, match="two elements"):
        offspring("permutation", {"Si": 8}, 0)


def test_operators_need_their_parents() -> None:
    assert not OPERATORS["crossover"].applicable({"Si": 8}, population=1)
    assert OPERATORS["random"].applicable({"Si": 8}, population=0)
