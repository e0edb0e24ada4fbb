"""How good a potential is: errors by quantity, and ranks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from aga.errors import DataError
from aga.structure.candidate import FloatArray

__all__ = ["Score", "rank_correlation", "score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of one quantity, in its unit.

    ``mae`` mean absolute and ``rmse`` root mean square error; ``r2`` coefficient of
    determination, None where the true values do not vary; ``count`` numbers compared.
    """

    mae: float
    rmse: float
    r2: float | None
    count: int

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"mae": self.mae, "rmse": self.rmse, "r2": self.r2, "count": self.count}


def _flat(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    first, second = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    if first.shape != second.shape or not len(first):
        raise DataError(f"nothing to compare: {len(first)} numbers with {len(second)}")
    return first, second


def score(predicted: FloatArray, true: FloatArray) -> Score:
    """Compare predicted with true values of any shape.

    Raises
    ------
    aga.errors.DataError
        Different numbers of values, or none.
    """
    p, t = _flat(predicted, true)
    error = p - t
    total = float(np.sum((t - t.mean()) ** 2)) if np.ptp(t) > 0 else 0.0
    return Score(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt(np.mean(error**2))),
        r2=1.0 - float(np.sum(error**2)) / total if total > 0 else None,
        count=len(error),
    )


def rank_correlation(predicted: FloatArray, true: FloatArray) -> float | None:
    """Give Spearman's rank correlation, ties by mean rank; None where one does not vary.

    What a search needs of a potential is the order of energies more than their values.

    Raises
    ------
    aga.errors.DataError
        Different numbers of values, or none.
    """
    p, t = _flat(predicted, true)
    x, y = rankdata(p), rankdata(t)
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm > 0 else None
