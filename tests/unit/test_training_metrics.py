"""Errors, ranks and the calibration of a spread, against values worked out by hand."""

import numpy as np
import pytest

from aga.errors import DataError
from aga.rng import stream
from aga.training.metrics import calibration, rank_correlation, score


def test_score_by_hand() -> None:
    s = score(np.array([[1.0, 2.0], [3.0, 6.0]]), np.array([[1.0, 3.0], [3.0, 3.0]]))
    assert s.mae == pytest.approx(1.0)
    assert s.rmse == pytest.approx(np.sqrt(10 / 4))
    assert s.r2 == pytest.approx(1 - 10 / 3)
    assert s.to_dict()["count"] == 4


def test_perfect_and_constant() -> None:
    x = np.array([1.0, 2.0, 5.0])
    assert score(x, x).r2 == 1.0
    assert score(x, np.ones(3)).r2 is None
    assert rank_correlation(x, np.ones(3)) is None


def test_rank_correlation_knows_order_alone() -> None:
    x = np.array([0.1, 0.5, 0.2, 9.0])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1.0)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1.0)
    # ranks 1 2 3 against 1.5 1.5 3
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([4.0, 4, 5])) == pytest.approx(
        np.sqrt(3) / 2
    )


def test_a_true_spread_is_found_calibrated() -> None:
    rng = stream(1, "calibration")
    spread = rng.uniform(0.01, 0.1, 5000)
    result = calibration(spread, spread * rng.normal(size=5000), groups=5)
    assert result.scale == pytest.approx(1.0, abs=0.05)
    np.testing.assert_allclose(result.error, result.spread, rtol=0.1)
    assert (np.diff(result.spread) > 0).all()
    assert result.rank is not None
    assert result.rank > 0.3
    timid = calibration(spread * 4.0, spread * rng.normal(size=5000))
    assert timid.scale == pytest.approx(0.25, abs=0.02)


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError):
        score(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError):
        rank_correlation(np.zeros(0), np.zeros(0))
    assert calibration(np.zeros(3), np.ones(3)).scale is None
