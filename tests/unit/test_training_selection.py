"""Selection by bounds and by distance, on small tables worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from aga.errors import DataError, InputError, ModelError
from aga.potential.model import Model
from aga.structure.candidate import Candidate, FloatArray
from aga.training.selecting.selection import CandidateTable, adapt, select, within_bounds
from aga.training.selecting.structure_descriptors import (
    farthest_points,
    novelties,
    spacing,
    structure_descriptors,
)
from aga.training.selecting.thresholds import AdaptiveBounds, Thresholds


def table(spreads: list[float], **columns: Any) -> CandidateTable:
    """Give candidates a, b, c, … with these spreads of the energy; the forces' are ten times."""
    spread = np.array(spreads)
    values: dict[str, Any] = {
        "names": tuple("abcdefghij"[: len(spreads)]),
        "energy": np.zeros(len(spreads)),
        "enthalpy": np.zeros(len(spreads)),
        "energy_spread": spread,
        "force_spread": 10 * spread,
    }
    return CandidateTable(**values | columns)


SPREADS = [0.001, 0.01, 0.05, 0.2, 2.0]


@pytest.mark.parametrize(
    ("bounds", "verdicts"),
    [
        ({}, "selected selected selected selected selected"),
        ({"energy_spread_min": 0.01}, "below selected selected selected selected"),
        (
            {"energy_spread_min": 0.011, "energy_spread_max": 1.0},
            "below below selected selected above",
        ),
        ({"force_spread_min": 0.6, "force_spread_max": 2.0}, "below below below selected above"),
        # known only where both spreads say so, unphysical where one does
        (
            {"energy_spread_min": 0.1, "force_spread_min": 0.4},
            "below below selected selected selected",
        ),
        (
            {"energy_spread_max": 1.0, "force_spread_max": 1.5},
            "selected selected selected above above",
        ),
        (
            {"energy_spread_max": 1.0, "number": 2},
            "number number selected selected above",
        ),
    ],
)
def test_the_bound_that_refuses_is_named(bounds: dict[str, Any], verdicts: str) -> None:
    said = select(table(SPREADS), Thresholds(**bounds))
    assert list(said.verdicts) == verdicts.split()
    assert said.count("selected") == len(said.chosen) == said.mask.sum()


def test_the_window_begins_at_the_lowest_that_is_not_unphysical() -> None:
    enthalpy = np.array([-1.0, -0.8, -0.7, -5.0])
    four = table([0.01, 0.02, 0.03, 2.0], enthalpy=enthalpy)
    rules = Thresholds(energy_spread_max=1.0, energy_window=0.25)
    assert select(four, rules).verdicts == ("selected", "selected", "window", "above")
    assert select(four, rules, lowest=-1.1).verdicts == ("selected", "window", "window", "above")
    every = select(four, Thresholds(energy_window=0.25))
    assert every.verdicts == ("window", "window", "window", "selected")


def test_the_most_uncertain_come_first() -> None:
    assert select(table([0.1, 0.3, 0.2]), Thresholds()).chosen == ("b", "c", "a")
    assert select(table([0.1, 0.1, 0.2]), Thresholds(number=2)).chosen == ("c", "a")


LINE = np.array([[0.5], [4.0], [5.0], [9.0]])
KNOWN = np.array([[-1.0], [1.0]])  # standard deviation 1


def test_novelty_is_the_distance_to_the_nearest_known() -> None:
    assert novelties(LINE, KNOWN) == pytest.approx([0.5, 3.0, 4.0, 8.0])
    assert novelties(LINE, 2 * KNOWN) == pytest.approx([0.75, 1.0, 1.5, 3.5])
    assert np.isinf(novelties(LINE, np.zeros((0, 1)))).all()
    assert spacing(np.array([[0.0, 0.0], [2.0, 4.0]])) == pytest.approx(np.sqrt(5))
    assert spacing(np.ones((3, 2))) == 1.0
    four = table([0.1, 0.1, 0.1, 0.0], descriptors=LINE)
    rules = Thresholds(novelty_min=3.5, energy_spread_min=0.05)
    assert select(four, rules, KNOWN).verdicts == ("known", "known", "selected", "below")


def test_the_chosen_lie_far_apart() -> None:
    four = table([0.4, 0.3, 0.2, 0.1], descriptors=LINE)
    assert select(four, Thresholds(diversity=True), KNOWN).chosen == ("d", "c", "b", "a")
    few = select(four, Thresholds(diversity=True, number=2), KNOWN)
    assert (few.chosen, few.verdicts[1]) == (("d", "c"), "number")
    order, apart = farthest_points(LINE, novelties(LINE, KNOWN), 9)
    assert order.tolist() == [3, 2, 1, 0]
    assert apart == pytest.approx([8.0, 4.0, 1.0, 0.5])


def test_bounds_by_quantiles_follow_the_iteration() -> None:
    ten = table([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 5.0])
    rules = Thresholds(energy_spread_max=1.0, number=5)
    low = adapt(ten, rules, AdaptiveBounds(lower=0.5))  # of the nine below the upper bound
    assert low.energy_spread_min == pytest.approx(0.5)
    assert (low.energy_spread_max, low.number) == (1.0, 5)
    both = adapt(ten, Thresholds(), AdaptiveBounds(lower=0.5, upper=8 / 9))
    assert both.energy_spread_max == pytest.approx(0.9)
    assert select(ten, both).count("above") == 1
    forces = adapt(ten, Thresholds(), AdaptiveBounds(quantity="force", lower=1.0))
    assert select(ten, forces).chosen == ("j",)
    hopeless = adapt(table([3.0]), rules, AdaptiveBounds(lower=0.5))
    assert select(table([3.0]), hopeless).verdicts == ("above",)


def test_what_the_other_bounds_let_through() -> None:
    five = table(SPREADS)
    rules = Thresholds(energy_spread_min=0.1, energy_spread_max=1.0, number=1)
    assert within_bounds(five, rules, "energy").tolist() == [True] * 4 + [False]
    # another lower bound does not come to bear: one that is large enough suffices
    assert within_bounds(five, rules, "force").tolist() == [True] * 4 + [False]


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({"energy_spread_min": -0.1}, "energy_spread_min is -0.1"),
        ({"novelty_min": np.nan}, "novelty_min is nan"),
        ({"force_spread_min": 2.0, "force_spread_max": 1.0}, "force_spread_min 2 is above"),
        ({"number": 0}, "number is 0"),
    ],
)
def test_nonsense_bounds_are_refused(bounds: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Thresholds(**bounds)


def test_nonsense_tables_are_refused() -> None:
    with pytest.raises(DataError, match="2 candidates are called a"):
        table([0.1, 0.2], names=("a", "a"))
    with pytest.raises(DataError, match="b: enthalpy is not finite"):
        table([0.1, 0.2], enthalpy=np.array([0.0, np.inf]))
    with pytest.raises(DataError, match="energy has shape"):
        table([0.1, 0.2], energy=np.zeros(3))
    with pytest.raises(DataError, match="no descriptors"):
        select(table([0.1]), Thresholds(novelty_min=1.0))
    with pytest.raises(InputError, match=r"lower quantile is 1\.5"):
        AdaptiveBounds(lower=1.5)
    with pytest.raises(InputError, match="no upper bound"):
        AdaptiveBounds(quantity="novelty", lower=0.5, upper=0.9)


def test_nothing_to_select_from() -> None:
    nothing = table([], descriptors=np.zeros((0, 2)))
    assert select(nothing, Thresholds(diversity=True, number=3)).chosen == ()
    assert select(table([]), Thresholds(energy_window=1.0)).verdicts == ()


def oxides() -> list[Candidate]:
    structures = []
    for seed in range(5):
        atoms = bulk("TiO", "rocksalt", a=4.3) * (1 + seed % 2, 1, 1)
        atoms.rattle(0.1, seed=seed)
        structures.append(Candidate.from_ase(atoms, name=f"c{seed}"))
    return [*structures, Candidate.from_ase(bulk("Ti", "hcp"), name="metal")]


def by_hand(model: Model, candidate: Candidate) -> FloatArray:
    """Average atom by atom."""
    from aga.potential.batch import Batch
    from aga.potential.descriptors import make_descriptor

    descriptor = make_descriptor(model.functions)
    values = descriptor.values(descriptor.pairs(Batch.pack([candidate])))
    parts = []
    for element, number in enumerate((8, 22)):
        own = values[candidate.numbers == number]
        mean = ((own - model.mean[element]) / model.scale[element]).sum(axis=0)
        parts.append(mean / len(candidate))
    return np.concatenate(parts)


def test_structures_are_described_by_their_average_atom(
    make_member: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, structures = make_member(0), oxides()
    points = structure_descriptors(model, structures)
    assert points.shape == (6, 2 * model.functions.size)
    for point, structure in zip(points, structures, strict=True):
        np.testing.assert_allclose(point, by_hand(model, structure), rtol=1e-12, atol=1e-12)
    assert (points[-1, : model.functions.size] == 0).all()
    large = Candidate.from_ase(structures[1].to_ase() * (1, 2, 1), name="supercell")
    np.testing.assert_allclose(structure_descriptors(model, [large])[0], points[1], rtol=1e-9)
    monkeypatch.setattr("aga.training.selecting.structure_descriptors._CHUNK", 3)
    assert (structure_descriptors(model, structures) == points).all()
    assert structure_descriptors(model, []).shape == (0, points.shape[1])


def test_elements_without_a_network_are_refused(make_member: Callable[..., Model]) -> None:
    gold = Candidate.from_ase(bulk("Au"), name="gold")
    with pytest.raises(ModelError, match="gold"):
        structure_descriptors(make_member(0), [gold])
