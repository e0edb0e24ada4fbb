from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aga.errors import GenerationError
from aga.structure import random_crystal as module
from aga.structure.cell_limits import CellLimits, angles_of
from aga.structure.geometry import DistanceLimits, too_close
from aga.structure.occupation import compatible_settings
from aga.structure.random_crystal import (
    DrawOptions,
    draw_crystal,
    random_atoms,
    random_crystal,
)
from aga.structure.symmetry import space_group

LIMITS = DistanceLimits(factor=0.65, overrides={})
SYSTEMS = [
    ({"Si": 8}, 160.0),
    ({"Si": 2}, 40.0),
    ({"O": 4, "Ti": 2}, 62.0),
    ({"C": 8}, 48.0),
    ({"Cl": 4, "Na": 4}, 180.0),
]


@pytest.mark.parametrize(("counts", "volume"), SYSTEMS, ids=str)
def test_counts_volume_and_distances_are_as_asked(counts: dict[str, int], volume: float) -> None:
    for seed in range(12):
        draw = draw_crystal(counts, np.random.default_rng(seed), volume=volume, limits=LIMITS)
        assert Counter(draw.candidate.symbols) == counts
        assert not too_close(draw.candidate, LIMITS)
        assert draw.tries <= module.SYMMETRIC_TRIES + 1
        if draw.tries <= module.SYMMETRIC_TRIES:
            assert draw.candidate.volume == pytest.approx(volume, rel=1e-6)


def test_most_crystals_have_symmetry_and_groups_vary() -> None:
    rng = np.random.default_rng(1)
    found = [
        space_group(random_crystal({"Si": 8}, rng, volume=160.0, limits=LIMITS), 0.01).number
        for _ in range(30)
    ]
    assert sum(number > 1 for number in found) >= 25
    assert len(set(found)) >= 12


def test_one_seed_one_crystal_and_the_global_generator_is_left_alone() -> None:
    np.random.seed(7)  # noqa: NPY002 - to see that nobody draws from it
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - see above
    crystals = []
    for _ in range(2):
        rng = np.random.default_rng(3)
        crystals.append(
            [random_crystal({"O": 4, "Ti": 2}, rng, volume=62.0, limits=LIMITS) for _ in range(8)]
        )
    for one, other in zip(*crystals, strict=True):
        assert (one.positions == other.positions).all()
        assert (one.cell == other.cell).all()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002 - see above


def test_no_attempt_is_spent_on_groups_that_cannot_hold_the_atoms() -> None:
    possible = {group for group, _ in compatible_settings((3,))}
    assert 227 not in possible, "its positions hold 8, 16, … atoms"
    rng = np.random.default_rng(2)
    draws = [draw_crystal({"Si": 3}, rng, volume=60.0, limits=LIMITS) for _ in range(40)]
    assert {draw.space_group for draw in draws} <= possible


def test_failed_attempts_are_counted_by_reason() -> None:
    tight = DistanceLimits(factor=0.95, overrides={})
    rng = np.random.default_rng(0)
    draws = [draw_crystal({"O": 4, "Ti": 2}, rng, volume=58.0, limits=tight) for _ in range(10)]
    counted: Counter[str] = Counter()
    for draw in draws:
        counted.update(draw.failed)
    assert counted["sites"] > 0
    assert set(counted) <= {"sites", "too_close", "cell"}
    most = module.SYMMETRIC_TRIES * module.GROUP_TRIES
    assert all(sum(draw.failed.values()) <= most for draw in draws)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_share_of_symmetric_crystals(share: float) -> None:
    rng = np.random.default_rng(4)
    options = DrawOptions(symmetric_share=share)
    draws = [
        draw_crystal({"Si": 8}, rng, volume=160.0, limits=LIMITS, options=options)
        for _ in range(60)
    ]
    without = sum(draw.tries == 1 and draw.space_group == 1 for draw in draws) / 60
    assert abs(without - (1 - share)) < 0.2
    if share == 0.0:
        assert all(space_group(draw.candidate, 0.01).number <= 2 for draw in draws)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_cells_are_within_their_limits(share: float) -> None:
    shape = CellLimits(lengths=(4.0, 8.0), angles=(70.0, 110.0))
    options = DrawOptions(symmetric_share=share, shape=shape)
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(20):
        draw = draw_crystal({"Si": 8}, rng, volume=160.0, limits=LIMITS, options=options)
        lengths = np.linalg.norm(draw.candidate.cell, axis=1)
        assert lengths.min() >= 4.0 - 1e-5
        assert lengths.max() <= 8.0 + 1e-5
        angles = angles_of(draw.candidate.cell)
        assert angles.min() >= 70.0 - 1e-3
        assert angles.max() <= 110.0 + 1e-3
        refused += draw.failed.get("cell", 0)
    assert refused > 0 or share == 0.0


def test_without_symmetry_the_cell_grows_until_the_atoms_fit() -> None:
    limits = DistanceLimits(factor=1.0, overrides={})
    rng = np.random.default_rng(0)
    found = random_atoms({"Si": 8}, rng, volume=90.0, limits=limits)
    assert not too_close(found, limits)
    assert 90.0 < found.volume < 180.0


def test_what_cannot_fit_ends_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYMMETRIC_TRIES", 2)
    limits = DistanceLimits(factor=1.5, overrides={})
    with pytest.raises(GenerationError, match="do not fit") as caught:
        draw_crystal({"Si": 8}, np.random.default_rng(0), volume=40.0, limits=limits)
    assert "min_distance_factor" in str(caught.value.remedy)
