"""Errors and ranks, against values worked out by hand."""

import numpy as np
import pytest

from aga.errors import DataError
from aga.training.scoring.metrics import rank_correlation, score


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
    assert score(x, np.full(3, -4.63)).r2 is None  # the mean of equal numbers may differ from them
    assert rank_correlation(x, np.ones(3)) is None


def test_rank_correlation_knows_order_alone() -> None:
    x = np.array([0.1, 0.5, 0.2, 9.0])
    assert rank_correlation(x, np.exp(x)) == pytest.approx(1.0)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1.0)
    # ranks 1 2 3 against 1.5 1.5 3
    assert rank_correlation(np.array([1.0, 2, 3]), np.array([4.0, 4, 5])) == pytest.approx(
        np.sqrt(3) / 2
    )


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError):
        score(np.zeros(2), np.zeros(3))
    with pytest.raises(DataError):
        rank_correlation(np.zeros(0), np.zeros(0))
