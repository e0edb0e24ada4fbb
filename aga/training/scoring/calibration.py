"""Whether the spread of a committee can be believed: predicted against actual errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import chi2

from aga.errors import DataError
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.protocols import Frame, Prediction
from aga.training.scoring.metrics import rank_correlation

__all__ = ["SIGMAS", "Calibration", "Compared", "calibrate", "compare_energies", "compare_forces"]

SIGMAS = (1.0, 2.0)
"""Within so many standard deviations errors are counted."""

FLOOR = 0.01
"""Share of the root mean square spread below which a spread says nothing: a force that vanishes
by symmetry has neither spread nor error, and their ratio is one of rounding errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """Predicted spreads and actual errors of n things, in one unit.

    Parameters
    ----------
    spread
        (n,) standard deviations of the members, ≥ 0; of a vector its norm.
    error
        (n,) errors of the mean; of a vector the norm.
    dimension
        Components of each thing: 1 for an energy, 3 for a force.

    Raises
    ------
    aga.errors.DataError
        Different numbers of values, none, values that are not finite, or a spread below zero.
    """

    spread: FloatArray
    error: FloatArray
    dimension: int = 1

    def __post_init__(self) -> None:
        spread, error = np.asarray(self.spread, float), np.asarray(self.error, float)
        if spread.ndim != 1 or spread.shape != error.shape or not len(spread):
            raise DataError(f"nothing to compare: {spread.shape} spreads, {error.shape} errors")
        if not (np.isfinite(spread).all() and np.isfinite(error).all() and (spread >= 0).all()):
            raise DataError("a spread or an error is not finite, or a spread is below zero")
        object.__setattr__(self, "spread", spread)
        object.__setattr__(self, "error", error)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Predicted spread against actual error of one quantity, in its unit.

    ``count`` things have a spread above ``floor``; ``silent`` ones have less or none, and the
    root mean square error ``silent_error`` (None without such): all else is said of the former.
    ``groups`` (K, 2) root mean squares of spread and error in K groups of nearly equal size
    ``sizes`` (K,), ordered by spread. ``rank`` is Spearman's correlation of spread and absolute
    error (None where one does not vary). ``scale`` is the number that the spreads have to be
    multiplied by to be the most likely ones, for errors of normal distribution; ``nll`` the
    negative log likelihood per component before and after (in nats, for the quantity in its
    unit). ``within`` are the shares of errors within 1 and 2 spreads before, ``within_scaled``
    after, and ``expected`` what the distribution says.
    """

    count: int
    groups: FloatArray
    sizes: IntArray
    rank: float | None
    scale: float
    nll: tuple[float, float]
    within: tuple[float, ...]
    within_scaled: tuple[float, ...]
    expected: tuple[float, ...]
    floor: float
    silent: int
    silent_error: float | None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "count": self.count,
            "floor": self.floor,
            "silent": {"count": self.silent, "rms_error": self.silent_error},
            "rank_correlation": self.rank,
            "scale": self.scale,
            "nll": {"as_predicted": self.nll[0], "scaled": self.nll[1]},
            "within": [
                {"sigma": k, "as_predicted": raw, "scaled": scaled, "expected": expected}
                for k, raw, scaled, expected in zip(
                    SIGMAS, self.within, self.within_scaled, self.expected, strict=True
                )
            ],
            "groups": [
                {"spread": spread, "rms_error": error, "count": size}
                for (spread, error), size in zip(
                    self.groups.tolist(), self.sizes.tolist(), strict=True
                )
            ],
        }


def calibrate(compared: Compared, groups: int = 10) -> Calibration:
    """Compare predicted spreads with actual errors.

    With σ_i = s·spread_i/√d in each of d components and normal errors, the likelihood of the
    errors is highest for s² = ⟨|error|²/spread²⟩.

    Parameters
    ----------
    compared
        Spreads and errors.
    groups
        Number of groups, at most one for each thing.

    Raises
    ------
    aga.errors.DataError
        No thing has a spread: one member, or members that are equal.

    References
    ----------
    F. Musil et al., J. Chem. Theory Comput. 15, 906 (2019), on scaling by likelihood;
    P. Pernot, J. Chem. Phys. 156, 114109 (2022), on groups.
    """
    d, floor = compared.dimension, FLOOR * _rms(compared.spread)
    if floor == 0:
        raise DataError(
            "the spread is zero everywhere: there is nothing to calibrate",
            remedy="name two or more members that differ",
        )
    speaks = compared.spread > floor
    spread, error = compared.spread[speaks], np.abs(compared.error[speaks])
    scale = _rms(error / spread)
    parts = np.array_split(np.argsort(spread, kind="stable"), min(groups, len(spread)))
    return Calibration(
        count=len(spread),
        groups=np.array([[_rms(spread[part]), _rms(error[part])] for part in parts]),
        sizes=np.array([len(part) for part in parts]),
        rank=rank_correlation(spread, error) if len(spread) > 1 else None,
        scale=scale,
        nll=(_nll(spread, error, d), _nll(scale * spread, error, d)),
        within=tuple(float(np.mean(error <= k * spread)) for k in SIGMAS),
        within_scaled=tuple(float(np.mean(error <= k * scale * spread)) for k in SIGMAS),
        expected=tuple(float(chi2.cdf(d * k**2, d)) for k in SIGMAS),
        floor=floor,
        silent=int((~speaks).sum()),
        silent_error=None if speaks.all() else _rms(compared.error[~speaks]),
    )


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _nll(spread: FloatArray, error: FloatArray, dimension: int) -> float:
    """Give the mean negative log likelihood per component; infinite where the spread is 0."""
    sigma = spread / np.sqrt(dimension)
    if not sigma.all():
        return float("inf")
    terms = np.log(sigma) + 0.5 * np.log(2 * np.pi) + 0.5 * (error / sigma) ** 2 / dimension
    return float(np.mean(terms))


def compare_energies(frames: Sequence[Frame], predictions: Sequence[Prediction]) -> Compared:
    """Compare energies per atom (eV/atom) of labelled frames with their predictions."""
    pairs = list(zip(frames, predictions, strict=True))
    return Compared(
        spread=np.array([p.energy_spread for _, p in pairs]),
        error=np.array([(p.energy - f.energy) / len(f.candidate) for f, p in pairs]),
    )


def compare_forces(frames: Sequence[Frame], predictions: Sequence[Prediction]) -> Compared | None:
    """Compare the forces (eV/Å) of all atoms of frames that have any; None without such."""
    pairs = [
        (p.forces_spread, np.linalg.norm(p.forces - f.forces, axis=1))
        for f, p in zip(frames, predictions, strict=True)
        if f.forces is not None
    ]
    if not pairs:
        return None
    return Compared(
        spread=np.concatenate([spread for spread, _ in pairs]),
        error=np.concatenate([error for _, error in pairs]),
        dimension=3,
    )
