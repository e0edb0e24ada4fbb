from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

import numpy as np
import pytest
from ase.data import atomic_numbers
from hypothesis import given, settings
from hypothesis import strategies as st
from matscipy.neighbours import neighbour_list

from aga.errors import GenerationError
from aga.search.operators import OPERATORS, OperatorContext
from aga.search.operators.mirror import _ball, _slab
from aga.search.operators.vibrations import Vibrations
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.geometry import DistanceLimits, neighbour_pairs
from aga.structure.random_crystal import random_atoms
from aga.structure.symmetry import space_group
from aga.structure.volume import estimated_volume_per_atom

SEEDS = st.integers(0, 2**32 - 1)
LIMITS = DistanceLimits(factor=0.6, overrides={})
ELEMENTS = ["O", "Si", "Ti"]
COMPOSITIONS = st.dictionaries(st.sampled_from(ELEMENTS), st.integers(1, 4), min_size=1)
UNITS = st.sampled_from([(1,), (1, 2), (1, 2, 3), (2, 3)])
R3 = (-2, -1, 0, 1, 2)
MUTATIONS = sorted(name for name, one in OPERATORS.items() if one.parents == 1)
OF_ONE_SIZE = [name for name in MUTATIONS if OPERATORS[name].sizes == 1]


def repulsion(candidates: Sequence[Candidate]) -> list[FloatArray]:
    """Forces of the pair energy exp(−d) below 6 Å."""
    result = []
    for one in candidates:
        i, d, vector = neighbour_list(
            "idD", cutoff=6.0, positions=one.positions, cell=one.cell, pbc=np.ones(3, dtype=bool)
        )
        forces = np.zeros((len(one), 3))
        np.add.at(forces, i, -(np.exp(-d) / d)[:, None] * vector)
        result.append(forces)
    return result


def context_of(counts: dict[str, int], units: tuple[int, ...] = (1,)) -> OperatorContext:
    """The context of a search for this formula, whose cells have these numbers of units."""
    largest = {symbol: n * units[-1] for symbol, n in sorted(counts.items())}
    volume = estimated_volume_per_atom(counts) * sum(largest.values())
    return OperatorContext(
        counts=largest,
        volume=volume,
        limits=LIMITS,
        units=units,
        vibrations=Vibrations(repulsion),
    )


@lru_cache(maxsize=512)
def crystal(counts: tuple[tuple[str, int], ...], seed: int) -> Candidate:
    context = context_of(dict(counts))
    rng = np.random.default_rng(seed)
    volume = 1.2 * context.volume
    return random_atoms(context.counts, rng, volume=volume, limits=LIMITS, name=f"p{seed}")


def offspring(
    name: str, counts: dict[str, int], seed: int, units: tuple[int, ...] = (1,)
) -> tuple[list[Candidate], Candidate]:
    """Parents, of sizes in turn, and their child."""
    operator = OPERATORS[name]
    parents = []
    for k in range(operator.parents):
        number = units[(seed + k) % len(units)]
        key = tuple((symbol, n * number) for symbol, n in sorted(counts.items()))
        parents.append(crystal(key, seed % 50 + k))
    child = operator.function(parents, np.random.default_rng(seed), context_of(counts, units))
    return parents, child


def usable(name: str, counts: dict[str, int], units: tuple[int, ...] = (1,)) -> bool:
    largest = {symbol: n * units[-1] for symbol, n in counts.items()}
    return OPERATORS[name].applicable(largest, 2, sizes=len(units), forces=True)


@pytest.mark.parametrize("name", sorted(OPERATORS))
@settings(max_examples=60, deadline=None)
@given(counts=COMPOSITIONS, seed=SEEDS, units=UNITS)
def test_every_operator_keeps_the_composition_exactly(
    name: str, counts: dict[str, int], seed: int, units: tuple[int, ...]
) -> None:
    if not usable(name, counts, units):
        return
    try:
        parents, child = offspring(name, counts, seed, units)
    except GenerationError:
        return
    number = len(child) // sum(counts.values())
    assert number in units
    assert Counter(child.symbols) == {symbol: n * number for symbol, n in counts.items()}
    assert child.symbols == sorted(child.symbols)
    assert np.linalg.det(child.cell) > 0
    if name == "crossover":
        sizes = [len(parent) for parent in parents]
        assert min(sizes) <= len(child) <= max(sizes)
    change = {"add_unit": 1, "remove_unit": -1}.get(name, 0) * sum(counts.values())
    if len(parents) == 1:
        assert len(child) == len(parents[0]) + change


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        (name, counts)
        for name in sorted(OPERATORS)
        for counts in ({"Si": 8}, {"Ti": 2, "O": 4})
        if usable(name, counts, (1, 2))
    ],
)
def test_a_seed_decides_and_another_seed_differs(name: str, counts: dict[str, int]) -> None:
    def one(seed: int) -> Candidate:
        # global random numbers must not matter
        np.random.seed(seed)  # noqa: NPY002 - that is what is tested
        for following in range(seed, seed + 40, 2):  # those of the right parity have one size
            try:
                return offspring(name, counts, following, (1, 2))[1]
            except GenerationError:
                continue
        raise AssertionError(f"{name} makes nothing")

    parity = 1 if name == "remove_unit" else 0
    first, again, other = (one(seed + parity) for seed in (4, 4, 54))
    assert (first.positions == again.positions).all()
    assert (first.cell == again.cell).all()
    assert (
        first.positions.shape != other.positions.shape or (first.positions != other.positions).any()
    )


@pytest.mark.parametrize("name", ["crossover", *OF_ONE_SIZE])
def test_children_are_not_their_parents(name: str) -> None:
    counts = {"Ti": 2, "O": 4}
    made = different = 0
    for seed in range(60):
        try:
            parents, child = offspring(name, counts, seed)
        except GenerationError:
            continue
        made += 1
        own = fingerprint(child)
        different += min(cosine_distance(own, fingerprint(p)) for p in parents) > 0.02
    assert made >= 12
    assert different >= made / 2


@pytest.mark.parametrize("name", ["crossover", *MUTATIONS])
def test_parents_are_left_as_they_were(name: str) -> None:
    counts, units = {"Ti": 2, "O": 4}, (1, 2)
    number = 2 if name == "remove_unit" else 1
    key = tuple((symbol, n * number) for symbol, n in sorted(counts.items()))
    parents = [crystal(key, k) for k in range(OPERATORS[name].parents)]
    before = [(p.positions.copy(), p.cell.copy()) for p in parents]
    made = 0
    for seed in range(20):
        with suppress(GenerationError):
            rng = np.random.default_rng(seed)
            OPERATORS[name].function(parents, rng, context_of(counts, units))
            made += 1
    assert made
    for parent, (positions, cell) in zip(parents, before, strict=True):
        assert (parent.positions == positions).all()
        assert (parent.cell == cell).all()


def test_crossover_takes_environments_from_both_parents() -> None:
    # parents of very different density: a child of both lies between them
    key = (("Si", 8),)
    dense = crystal(key, 1)
    loose = dense.moved(dense.positions * 1.3, dense.cell * 1.3)
    volumes = []
    for seed in range(40):
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


def test_operators_need_their_parents_sizes_and_forces() -> None:
    assert not OPERATORS["crossover"].applicable({"Si": 8}, population=1)
    assert OPERATORS["random"].applicable({"Si": 8}, population=0)
    assert not OPERATORS["add_unit"].applicable({"Si": 8}, population=5)
    assert OPERATORS["add_unit"].applicable({"Si": 8}, population=5, sizes=2)
    assert not OPERATORS["soft_mode"].applicable({"Si": 8}, population=5)
    assert OPERATORS["soft_mode"].applicable({"Si": 8}, population=5, forces=True)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_slip_leaves_distances_within_layers(seed: int) -> None:
    # one layer moves as a whole: within both parts every vector is one of the parent, up to
    # lattice translations
    try:
        parents, child = offspring("slip", {"Si": 8}, seed)
    except GenerationError:
        return
    cell = parents[0].cell

    def vectors(one: Candidate) -> FloatArray:
        apart = one.positions[:, None] - one.positions[None]
        scaled = apart @ np.linalg.inv(cell)
        return np.asarray((scaled - np.rint(scaled)) @ cell)

    same = np.isclose(vectors(child), vectors(parents[0]), atol=1e-6).all(axis=2)
    assert child.volume == pytest.approx(parents[0].volume)
    parts = {tuple(row) for row in same}
    assert len(parts) == 2, "not two parts"
    assert all(sum(part) > 0 for part in parts)


def test_ripple_is_as_periodic_as_the_cell() -> None:
    parents, child = offspring("ripple", {"Si": 8}, 5)
    assert child.volume == pytest.approx(parents[0].volume)
    moved = child.positions - parents[0].positions
    scaled = moved @ np.linalg.inv(parents[0].cell)
    moved = (scaled - np.rint(scaled)) @ parents[0].cell
    # one direction for all
    assert np.linalg.matrix_rank(moved, tol=1e-6) == 1


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_ball_turns_as_a_whole_and_the_rest_stays(seed: int) -> None:
    parent = crystal((("Si", 8),), seed % 50)
    try:
        child = _ball(parent, 0.4, np.random.default_rng(seed))
    except GenerationError:
        return
    inverse = np.linalg.inv(parent.cell)
    moved = (child.positions - parent.positions) @ inverse
    stays = np.isclose(moved, np.rint(moved), atol=1e-9).all(axis=1)
    assert stays.any()
    turned = child.positions[~stays]
    # the distances within the ball are those between images of the same atoms
    images = np.array([[i, j, k] for i in R3 for j in R3 for k in R3]) @ parent.cell
    old = parent.positions[~stays]
    apart = np.linalg.norm(old[:, None, None] - old[None, :, None] + images, axis=3)
    new = np.linalg.norm(turned[:, None] - turned[None], axis=2)
    assert np.abs(apart - new[:, :, None]).min(axis=2).max(initial=0.0) < 1e-8


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_a_slab_is_mirrored_within_itself(seed: int) -> None:
    parent = crystal((("Si", 8),), seed % 50)
    try:
        child = _slab(parent, 0.5, np.random.default_rng(seed))
    except GenerationError:
        return
    before, after = (one.positions @ np.linalg.inv(parent.cell) for one in (parent, child))
    inside = (after[:, 2] % 1.0) < 0.5
    assert inside.any()
    assert not inside.all()
    for part in (inside, ~inside):
        turned = after[part] - after[part][:1]
        own = before[part] - before[part][:1]
        change = [np.abs(turned - sign * own - np.rint(turned - sign * own)) for sign in (1, -1)]
        kept, mirrored = (one.max(axis=0) < 1e-9 for one in change)
        assert (kept | mirrored).all()
    assert kept.all(), "what is outside moved"


def stacked(layers: str) -> Candidate:
    """Diamond silicon of double layers with these letters: ABC is cubic, AB hexagonal."""
    edge, bond = 3.84, 2.352
    places = {"A": (0.0, 0.0), "B": (1 / 3, 2 / 3), "C": (2 / 3, 1 / 3)}
    step = 4 * bond / 3
    height = step * len(layers)
    cell = np.array([[edge, 0, 0], [-edge / 2, edge * np.sqrt(0.75), 0], [0, 0, height]])
    scaled = [
        (*places[one], (k * step + low) / height)
        for k in range(len(layers))
        for one, low in ((layers[k], 0.0), (layers[(k + 1) % len(layers)], bond / 3))
    ]
    return Candidate(
        name=layers,
        numbers=np.full(len(scaled), 14),
        positions=np.array(scaled) @ cell,
        cell=cell,
    )


def test_slip_makes_other_stackings() -> None:
    # the layers of hexagonal diamond, slid at random, come near to those of another stacking
    parent, context = stacked("AB"), context_of({"Si": 4})
    found = 0
    for seed in range(200):
        try:
            child = OPERATORS["slip"].function([parent], np.random.default_rng(seed), context)
        except GenerationError:
            continue
        i, _, d = neighbour_pairs(child, 2.6)
        fourfold = (np.bincount(i, minlength=4) == 4).all() and d.min() > 2.2
        found += fourfold and cosine_distance(fingerprint(child), fingerprint(parent)) > 0.02
    assert found > 0


@settings(max_examples=60, deadline=None)
@given(counts=COMPOSITIONS, seed=SEEDS)
def test_symmetrise_gives_symmetry(counts: dict[str, int], seed: int) -> None:
    if sum(counts.values()) < 2:
        return
    try:
        parents, child = offspring("symmetrise", counts, seed)
    except GenerationError:
        return
    if space_group(parents[0], 0.01).number == 1:
        assert space_group(child, 0.01).number > 1


@pytest.mark.parametrize(("name", "first"), [("add_unit", 0), ("remove_unit", 1)])
def test_a_unit_more_or_less_leaves_the_density(name: str, first: int) -> None:
    for seed in range(first, 80, 2):
        parents, child = offspring(name, {"Ti": 1, "O": 2}, seed, (1, 2))
        assert child.volume / len(child) == pytest.approx(parents[0].volume / len(parents[0]))


def test_no_cell_leaves_the_sizes_of_the_search() -> None:
    with pytest.raises(GenerationError, match="no cells of 3 formula units"):
        offspring("add_unit", {"Si": 4}, 1, (1, 2))
    with pytest.raises(GenerationError, match="no cells of 0 formula units"):
        offspring("remove_unit", {"Si": 4}, 2, (1, 2))


def test_added_atoms_go_where_room_is() -> None:
    # a slab in a cell twice as high: the new atoms belong into the gap
    slab = crystal((("Si", 8),), 3)
    cell = np.array(slab.cell)
    cell[2] *= 2.0
    parent = slab.moved(slab.positions, cell)
    child = OPERATORS["add_unit"].function(
        [parent], np.random.default_rng(0), context_of({"Si": 8}, (1, 2))
    )
    assert neighbour_pairs(child, 4.0)[2].min() > 1.6
    assert Counter(child.numbers.tolist()) == {atomic_numbers["Si"]: 16}
