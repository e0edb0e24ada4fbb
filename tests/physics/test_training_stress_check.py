"""Stress labels of another sign or unit are found where all of them are wrong alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.errors import DataError
from aga.structure.protocols import Frame
from aga.training.fit import Workshop
from aga.training.recipe import Recipe
from aga.training.scoring.stress_check import check_stress, judge_stress


@pytest.fixture(scope="module")
def frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"stress-{k}") for k in range(16)]


def check(frames: list[Frame]) -> None:
    training = TrainingSettings(energy_scale=None)
    recipe = Recipe.for_frames(frames, PotentialSettings(), training, seed=0)
    check_stress(frames, recipe, Workshop())


def scaled(frames: list[Frame], factor: float) -> list[Frame]:
    return [replace(f, stress=None if f.stress is None else factor * f.stress) for f in frames]


def test_right_labels_pass(frames: list[Frame]) -> None:
    check(frames)
    check([replace(frame, stress=None) for frame in frames])


@pytest.mark.parametrize(("factor", "message"), [
    (-1.0, "has the wrong sign"),
    (160.2176634, "seems to be in GPa"),
    (-1602.176634, r"wrong sign.*and seems to be in kbar"),
])  # fmt: skip
def test_wrong_ones_are_told_with_file_and_remedy(
    factor: float, message: str, frames: list[Frame]
) -> None:
    with pytest.raises(DataError, match=message) as raised:
        check(scaled(frames, factor))
    assert raised.value.message.startswith("tersoff: the stress of all frames")
    assert "tension positive" in str(raised.value.remedy)


def test_half_of_the_frames_wrong_is_not_for_this_check(frames: list[Frame]) -> None:
    check(scaled(frames[:8], -1.0) + frames[8:])


def test_nothing_is_said_where_the_model_knows_nothing() -> None:
    rng = np.random.default_rng(1)
    labels, noise = rng.normal(size=(20, 6)), rng.normal(size=(20, 6))
    assert judge_stress(labels, noise) is None
    assert judge_stress(np.zeros((20, 6)), noise) is None
    assert judge_stress(labels, 0.7 * labels + 0.3 * noise) is None
    assert "Ha/Bohr³" in str(judge_stress(labels / 183.6, labels))
