"""The course of a training: learning rate, prefactors and γ as published."""

from __future__ import annotations

from typing import Any

import pytest

from aga.config.training import TrainingSettings
from aga.training.schedule import Prefactors, Schedule


def schedule(steps: int = 1000, **settings: Any) -> Schedule:
    return Schedule.of(TrainingSettings.model_validate(settings), steps)


def test_the_learning_rate_falls_as_published() -> None:
    course = schedule(optimizer="adam", decay_rate=0.9, decay_steps=50.0)
    for step in (0, 25, 50, 200):
        assert course.at(step).ratio == pytest.approx(0.9 ** (step / 50))


def test_prefactors_follow_it_from_start_to_limit() -> None:
    course = schedule(optimizer="adam", decay_rate=0.5, decay_steps=10.0)
    assert course.at(0).prefactors == Prefactors(energy=1.0, force=1000.0, stress=1.0)
    half = course.at(10).prefactors
    assert half.energy == pytest.approx(400 * 0.5 + 1 * 0.5)
    assert half.force == pytest.approx(1 * 0.5 + 1000 * 0.5)
    assert half.stress == pytest.approx(400 * 0.5 + 1 * 0.5)
    late = course.at(1000).prefactors
    assert (late.energy, late.force) == pytest.approx((400.0, 1.0))
    assert course.limits() == Prefactors(energy=400.0, force=1.0, stress=400.0)


def test_where_no_steps_are_set_the_rate_ends_at_a_hundredth() -> None:
    for rate in (0.5, 0.95, 0.999):
        assert schedule(300, optimizer="sgd", decay_rate=rate).at(300).ratio == pytest.approx(0.01)
    assert schedule(300, optimizer="sgd", decay_rate=1.0).at(300).ratio == 1.0


def test_methods_of_second_order_have_constant_prefactors() -> None:
    for optimizer in (None, "newton", "lbfgs"):
        course = schedule(200, optimizer=optimizer)
        assert course.at(0).prefactors == course.at(200).prefactors == course.limits()
        assert course.limits() == Prefactors(energy=100.0, force=1.0, stress=4.0)


def test_what_is_set_holds_for_every_method() -> None:
    pairs = {"energy_prefactor": (2, 4), "force_prefactor": (9, 3), "stress_prefactor": (0, 0)}
    for optimizer in ("newton", "adam"):
        course = schedule(optimizer=optimizer, **pairs)
        assert course.at(0).prefactors == Prefactors(energy=2.0, force=9.0, stress=0.0)
        assert course.limits() == Prefactors(energy=4.0, force=3.0, stress=0.0)


def test_gamma_has_a_course_too() -> None:
    assert schedule(focal_gamma=0.5).at(123).gamma == 0.5
    course = schedule(100, optimizer="adam", focal_gamma=(2.0, 0.5))
    assert course.at(0).gamma == 2.0
    assert course.at(100).gamma == pytest.approx(0.5 * 0.99 + 2.0 * 0.01)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="learning_rate: newton has none"):
        TrainingSettings(learning_rate=0.1)
    with pytest.raises(ValueError, match="nothing is left"):
        TrainingSettings(validation_fraction=0.5, test_fraction=0.5)
    with pytest.raises(ValueError, match="optimizer"):
        TrainingSettings.model_validate({"optimizer": "adamm"})
