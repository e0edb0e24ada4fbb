"""Selecting data: which structures the reference method should label.

Where the members of a committee agree about a new structure there is something like it in the
dataset, and it is left away; where they differ by much there is not, and it joins the dataset
through the reference method; where they differ wildly it is no sensible structure at all.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from aga.errors import DataError
from aga.structure.candidate import FloatArray
from aga.training.selecting.structure_descriptors import farthest_points, novelties, spacing
from aga.training.selecting.thresholds import (
    AdaptiveBounds,
    Quantity,
    Thresholds,
    lower_bounds,
    with_lower,
)

__all__ = [
    "AdaptiveBounds",
    "CandidateTable",
    "Selection",
    "Thresholds",
    "Verdict",
    "adapt",
    "select",
    "values_of",
    "within_bounds",
]

Verdict = Literal["selected", "above", "window", "below", "known", "number"]
"""What becomes of a candidate.

``above``: a spread above its upper bound; ``window``: too high in energy; ``below``: every
spread that has a lower bound is below it; ``known``: too near to a known structure;
``number``: enough others come first.
"""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidateTable:
    """N candidates and what a committee says of each.

    Parameters
    ----------
    names
        N different names.
    energy, enthalpy
        (N,) predicted, eV/atom; the enthalpy is what is ranked, the energy where there is no
        pressure.
    energy_spread
        (N,) eV/atom.
    force_spread
        (N,) eV/Å.
    descriptors
        (N, D) of :mod:`aga.training.selecting.structure_descriptors`, or None.
    novelty
        (N,) distances to the nearest known structure where they have been computed before.

    Raises
    ------
    aga.errors.DataError
        Names that are not different, shapes that do not fit, or a number that is not finite.
    """

    names: tuple[str, ...]
    energy: FloatArray
    enthalpy: FloatArray
    energy_spread: FloatArray
    force_spread: FloatArray
    descriptors: FloatArray | None = None
    novelty: FloatArray | None = None

    def __post_init__(self) -> None:
        count = len(self.names)
        if len(set(self.names)) < count:
            name, times = Counter(self.names).most_common(1)[0]
            raise DataError(f"{times} candidates are called {name}", structure=name)
        for key in ("energy", "enthalpy", "energy_spread", "force_spread"):
            values = np.asarray(getattr(self, key), dtype=np.float64)
            if values.shape != (count,):
                raise DataError(f"{key} has shape {values.shape} for {count} candidates")
            finite = np.isfinite(values)
            if not finite.all():
                name = self.names[int(np.argmin(finite))]
                raise DataError(f"{name}: {key} is not finite", structure=name)
            object.__setattr__(self, key, values)
        for key in ("descriptors", "novelty"):
            values = getattr(self, key)
            if values is not None and len(values) != count:
                raise DataError(f"{len(values)} {key} for {count} candidates")

    def __len__(self) -> int:
        """Give the number of candidates."""
        return len(self.names)

    def taken(self, order: npt.NDArray[np.int64]) -> Self:
        """Give the candidates of these places, in this order."""
        descriptors, novelty = self.descriptors, self.novelty
        return replace(
            self,
            names=tuple(self.names[i] for i in order),
            energy=self.energy[order],
            enthalpy=self.enthalpy[order],
            energy_spread=self.energy_spread[order],
            force_spread=self.force_spread[order],
            descriptors=None if descriptors is None else descriptors[order],
            novelty=None if novelty is None else novelty[order],
        )

    def described(self) -> FloatArray:
        """Give the descriptors.

        Raises
        ------
        aga.errors.DataError
            There are none.
        """
        if self.descriptors is None:
            raise DataError(
                "the candidates have no descriptors", remedy="select without novelty and diversity"
            )
        return self.descriptors


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """``chosen`` names in the order of their choice, and the ``verdicts`` of all, as they came."""

    chosen: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    def count(self, verdict: Verdict) -> int:
        """Give how many candidates had this verdict."""
        return self.verdicts.count(verdict)

    @property
    def mask(self) -> Mask:
        """(N,) True for those selected."""
        return np.array([verdict == "selected" for verdict in self.verdicts], dtype=np.bool_)


def select(
    candidates: CandidateTable,
    thresholds: Thresholds,
    known_descriptors: FloatArray | None = None,
    *,
    lowest: float | None = None,
) -> Selection:
    """Choose the candidates that are within the bounds.

    A pure function of what it is given; the order of the candidates does not matter. A candidate
    that several bounds refuse has the verdict of the first of above, window, below and known.

    Parameters
    ----------
    candidates
        With descriptors where novelty or diversity are wanted.
    thresholds
        The bounds.
    known_descriptors
        (K, D) of the structures in the dataset; nothing is known where None.
    lowest
        Enthalpy in eV/atom at which the energy window begins; where None, that of the lowest
        candidate that is not unphysical: a hole in the potential is no measure.

    Raises
    ------
    aga.errors.DataError
        Novelty or diversity are wanted of candidates without descriptors.
    """
    order = np.argsort(np.array(candidates.names, dtype=np.str_), kind="stable")
    table = candidates.taken(order)
    verdicts = _judge(table, thresholds, known_descriptors, lowest)
    passed = np.flatnonzero(verdicts == "selected")
    chosen = passed[_chosen(table.taken(passed), thresholds, known_descriptors)]
    verdicts[np.setdiff1d(passed, chosen)] = "number"
    said = dict(zip(table.names, verdicts.tolist(), strict=True))
    return Selection(
        chosen=tuple(table.names[i] for i in chosen),
        verdicts=tuple(said[name] for name in candidates.names),
    )


def _judge(
    table: CandidateTable, thresholds: Thresholds, known: FloatArray | None, lowest: float | None
) -> npt.NDArray[np.str_]:
    """Give (N,) verdicts by the bounds alone."""
    spreads = {"energy": table.energy_spread, "force": table.force_spread}
    above, below = np.zeros((2, len(table)), np.bool_)
    lower = [(q, t) for q, t in lower_bounds(thresholds) if q in spreads]
    if lower:
        below = np.all([spreads[quantity] < bound for quantity, bound in lower], axis=0)
    for quantity, spread in spreads.items():
        bound = getattr(thresholds, f"{quantity}_spread_max")
        above |= spread > (inf if bound is None else bound)
    start = table.enthalpy[~above].min(initial=inf) if lowest is None else lowest
    window = inf if thresholds.energy_window is None else thresholds.energy_window
    verdicts = np.full(len(table), "selected", dtype="<U8")
    if thresholds.novelty_min is not None:
        verdicts[values_of(table, "novelty", known) < thresholds.novelty_min] = "known"
    verdicts[below] = "below"
    verdicts[table.enthalpy > start + window] = "window"
    verdicts[above] = "above"
    return verdicts


def _chosen(
    table: CandidateTable, thresholds: Thresholds, known: FloatArray | None
) -> npt.NDArray[np.int64]:
    """Give the places of those that are taken, in order; the candidates are sorted by name."""
    number = len(table) if thresholds.number is None else thresholds.number
    if not thresholds.diversity:
        return np.argsort(-table.energy_spread, kind="stable")[:number]
    nearest = values_of(table, "novelty", known)
    points = table.described() / (1.0 if known is None else spacing(known))
    return farthest_points(points, nearest, number)[0]


def values_of(table: CandidateTable, quantity: Quantity, known: FloatArray | None) -> FloatArray:
    """Give (N,) what a lower bound is compared with: eV/atom, eV/Å, or in standard deviations.

    Raises
    ------
    aga.errors.DataError
        The novelty of candidates without descriptors is wanted.
    """
    if quantity == "energy":
        return table.energy_spread
    if quantity == "force":
        return table.force_spread
    if table.novelty is not None:
        return table.novelty
    points = table.described()
    return novelties(points, np.zeros((0, points.shape[1])) if known is None else known)


def within_bounds(
    candidates: CandidateTable,
    thresholds: Thresholds,
    quantity: Quantity,
    known_descriptors: FloatArray | None = None,
    *,
    lowest: float | None = None,
) -> Mask:
    """Give (N,) whom all bounds let through but the lower one on a quantity and the number.

    Parameters are those of :func:`select`.
    """
    others = replace(with_lower(thresholds, quantity, 0.0), number=None, diversity=False)
    return select(candidates, others, known_descriptors, lowest=lowest).mask


def adapt(
    candidates: CandidateTable,
    thresholds: Thresholds,
    bounds: AdaptiveBounds,
    known_descriptors: FloatArray | None = None,
    *,
    lowest: float | None = None,
) -> Thresholds:
    """Turn quantiles into the bounds of one iteration; the other thresholds stay.

    Parameters are those of :func:`select`. Where no candidate is within the other bounds the
    lower one is 0.
    """
    values = values_of(candidates, bounds.quantity, known_descriptors)
    free = with_lower(thresholds, bounds.quantity, 0.0)
    if bounds.upper is not None and len(values):
        top: dict[str, Any] = {
            f"{bounds.quantity}_spread_max": float(np.quantile(values, bounds.upper))
        }
        free = replace(free, **top)
    open_ = within_bounds(candidates, free, bounds.quantity, known_descriptors, lowest=lowest)
    if not open_.any():
        return free
    return with_lower(free, bounds.quantity, float(np.quantile(values[open_], bounds.lower)))
