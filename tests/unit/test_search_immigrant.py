"""Immigrants: of all sizes, nine in ten with their symmetry broken a little."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.search.operators import OPERATORS, OperatorContext
from aga.structure.supercells import smallest_cell
from aga.structure.symmetry import space_group


def test_most_of_the_immigrants_leave_their_symmetry() -> None:
    settings = SearchSettings(composition="Si8", subcell_share=0.0)
    context = OperatorContext.from_settings(settings)
    strict, loose = Counter[bool](), Counter[bool]()
    for seed in range(60):
        crystal = OPERATORS["random"].function([], np.random.default_rng(seed), context)
        strict[space_group(crystal, 1e-3).number > 1] += 1
        loose[space_group(crystal, 0.5).number > 1] += 1
    assert 0 < strict[True] < 15
    assert loose[True] > 50


def test_immigrants_come_in_all_sizes_and_tell_what_failed() -> None:
    settings = SearchSettings(composition="TiO2", formula_units=(1, 4))
    context = OperatorContext.from_settings(settings)
    made = [
        OPERATORS["random"].function([], np.random.default_rng(seed), context) for seed in range(40)
    ]
    assert {len(one) for one in made} == {3, 6, 9, 12}
    for one in made:
        assert 0.7 < one.volume / context.volume_of(len(one)) < 2.6
    assert context.failed
    assert all(key.startswith("random: ") for key in context.failed)


def test_the_share_of_symmetric_crystals_is_the_users() -> None:
    settings = SearchSettings(composition="Si8", symmetric_share=0.0, subcell_share=0.0)
    context = OperatorContext.from_settings(settings)
    groups = [
        space_group(OPERATORS["random"].function([], np.random.default_rng(k), context), 1e-3)
        for k in range(10)
    ]
    assert all(group.number == 1 for group in groups)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_copies_of_a_smaller_cell(share: float) -> None:
    settings = SearchSettings(composition="TiO2", formula_units=4, subcell_share=share)
    context = OperatorContext.from_settings(settings)
    sizes = Counter[int]()
    for seed in range(60):
        crystal = OPERATORS["random"].function([], np.random.default_rng(seed), context)
        assert Counter(crystal.symbols) == {"Ti": 4, "O": 8}
        sizes[len(smallest_cell(crystal, 1e-3))] += 1
    if share == 0.0:
        assert sizes[12] > 50, "displaced, so that centred cells are no copies either"
    else:
        assert not sizes[12]
        assert sizes[6] > sizes[3] > 0, "fewer copies are likelier"


def test_a_formula_that_cannot_be_divided_has_no_copies() -> None:
    settings = SearchSettings(composition="Ti2O3", subcell_share=1.0)
    context = OperatorContext.from_settings(settings)
    made = [OPERATORS["random"].function([], np.random.default_rng(k), context) for k in range(20)]
    assert sum(len(smallest_cell(one, 1e-3)) == 5 for one in made) > 15


def test_limits_of_the_cell_are_for_the_whole_not_for_the_copies() -> None:
    settings = SearchSettings(composition="Si8", subcell_share=1.0, cell_lengths=(4.5, 7.0))
    context = OperatorContext.from_settings(settings)
    for seed in range(20):
        OPERATORS["random"].function([], np.random.default_rng(seed), context)
    assert not context.failed["random: subcell"]


@pytest.mark.parametrize(("units", "low", "high"), [(2, 0.1, 0.45), (4, 0.9, 1.0)])
def test_few_atoms_are_mostly_placed_without_a_space_group(
    units: int, low: float, high: float
) -> None:
    settings = SearchSettings(composition="TiO2", formula_units=units, subcell_share=0.0)
    context = OperatorContext.from_settings(settings)
    made = [OPERATORS["random"].function([], np.random.default_rng(k), context) for k in range(80)]
    symmetric = sum(space_group(one, 0.5).number > 1 for one in made) / len(made)
    assert low <= symmetric <= high
