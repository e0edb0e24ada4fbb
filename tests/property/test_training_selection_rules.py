"""What holds for every selection."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aga.structure.candidate import FloatArray
from aga.training.selecting.selection import CandidateTable, adapt, select
from aga.training.selecting.structure_descriptors import farthest_points, novelties
from aga.training.selecting.thresholds import AdaptiveBounds, Quantity, Thresholds, with_lower

SEEDS = st.integers(0, 2**32 - 1)
QUANTITIES: st.SearchStrategy[Quantity] = st.sampled_from(["energy", "force", "novelty"])
RULES = st.builds(
    Thresholds,
    energy_spread_max=st.none() | st.floats(0.5, 2.0),
    force_spread_max=st.none() | st.floats(0.5, 2.0),
    energy_window=st.none() | st.floats(0.0, 2.0),
    number=st.none() | st.integers(1, 12),
    diversity=st.booleans(),
)
LOWER = st.floats(0.0, 0.5)


def candidates(seed: int, size: int) -> tuple[CandidateTable, FloatArray]:
    """Give a table, in which some candidates are the same, and what is known."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(size, 3))
    points[size // 2 :] = points[: size - size // 2]
    spreads = rng.choice(rng.exponential(0.4, 8), (2, size))
    table = CandidateTable(
        names=tuple(f"g001-{place:03d}" for place in rng.permutation(size)),
        energy=rng.normal(size=size),
        enthalpy=rng.normal(size=size),
        energy_spread=spreads[0],
        force_spread=spreads[1],
        descriptors=points,
    )
    return table, rng.normal(size=(int(rng.integers(0, 4)), 3))


@given(seed=SEEDS, size=st.integers(1, 30), rules=RULES, quantity=QUANTITIES, low=LOWER, step=LOWER)
def test_a_higher_lower_bound_never_selects_more(
    seed: int, size: int, rules: Thresholds, quantity: Quantity, low: float, step: float
) -> None:
    table, known = candidates(seed, size)
    some = select(table, with_lower(rules, quantity, low * 0.99), known)
    fewer = select(table, with_lower(rules, quantity, min(0.5, low + step)), known)
    assert fewer.count("selected") <= some.count("selected")
    if rules.number is None:
        assert set(fewer.chosen) <= set(some.chosen)


@given(seed=SEEDS, size=st.integers(1, 30), rules=RULES, quantity=QUANTITIES, low=LOWER)
def test_a_higher_quantile_never_selects_more(
    seed: int, size: int, rules: Thresholds, quantity: Quantity, low: float
) -> None:
    table, known = candidates(seed, size)
    if quantity == "novelty" and not len(known):
        known = np.zeros((1, 3))
    counts = []
    for quantile in (low, 0.5 + low):
        bounds = AdaptiveBounds(quantity=quantity, lower=quantile)
        counts.append(select(table, adapt(table, rules, bounds, known), known).count("selected"))
    assert counts[1] <= counts[0]


@given(seed=SEEDS, size=st.integers(1, 30), rules=RULES, low=LOWER)
def test_the_order_of_the_candidates_does_not_matter(
    seed: int, size: int, rules: Thresholds, low: float
) -> None:
    table, known = candidates(seed, size)
    order = np.random.default_rng(seed + 1).permutation(size)
    rules = replace(rules, energy_spread_min=low, novelty_min=low)
    one, other = select(table, rules, known), select(table.taken(order), rules, known)
    assert other.chosen == one.chosen
    assert other.verdicts == tuple(one.verdicts[place] for place in order)


@given(seed=SEEDS, size=st.integers(1, 30), number=st.integers(1, 40))
def test_farthest_points_are_distinct_and_come_ever_nearer(
    seed: int, size: int, number: int
) -> None:
    table, known = candidates(seed, size)
    points = table.described()
    nearest = novelties(points, known)
    order, distances = farthest_points(points, nearest, number)
    assert len(set(order.tolist())) == len(order) == min(number, size)
    assert (np.diff(distances) <= 0).all()
    for place, chosen in enumerate(order):
        apart = np.linalg.norm(points[order[:place]] - points[chosen], axis=1)
        assert distances[place] == min([nearest[chosen], *apart])
