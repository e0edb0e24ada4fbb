"""How energies and descriptors are brought to order one, from the data of all ranks."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from aga.errors import DataError
from aga.parallel.ranks import Ranks, gather_rows
from aga.structure.candidate import FloatArray, IntArray
from aga.training.loss import fade

__all__ = [
    "Columns",
    "EnergyStandard",
    "Standard",
    "column_moments",
    "columns_of",
    "frame_weights",
    "merged",
    "standardise",
    "standardise_energies",
]

SCALE_FLOOR = 0.01
"""Smallest scale of a descriptor, in medians of the scales: one that hardly varies in the data
must not become huge where it does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyStandard:
    """How energies are brought to order one.

    ``reference_energies`` (E,) eV/atom, least squares; ``energy_scale`` eV; ``level`` (E,)
    energies from which the heights of frames are measured, and ``lowest`` the height of the
    lowest, eV/atom.
    """

    reference_energies: FloatArray
    energy_scale: float
    level: FloatArray
    lowest: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standard(EnergyStandard):
    """The same for descriptors too: ``mean`` and ``scale`` (E, D) of each element's."""

    mean: FloatArray
    scale: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """What the columns of a descriptor were in some atoms, by element.

    ``count`` (E,) atoms; ``mean`` (E, D); ``square`` (E, D) sums of squared deviations from
    it; ``low`` and ``high`` (E, D) the smallest and largest values.
    """

    count: FloatArray
    mean: FloatArray
    square: FloatArray
    low: FloatArray
    high: FloatArray


def columns_of(G: FloatArray, species: IntArray, elements: int) -> Columns:
    """Sum up the columns of a descriptor (N, D) by the element (N,) of each atom."""
    rows = [G[species == element] for element in range(elements)]
    none = np.zeros(G.shape[1])
    return Columns(
        count=np.array([float(len(mine)) for mine in rows]),
        mean=np.array([mine.mean(axis=0) if len(mine) else none for mine in rows]),
        square=np.array([mine.var(axis=0) * len(mine) if len(mine) else none for mine in rows]),
        low=np.array([mine.min(axis=0, initial=np.inf) for mine in rows]),
        high=np.array([mine.max(axis=0, initial=-np.inf) for mine in rows]),
    )


def merged(lots: list[Columns], ranks: Ranks) -> Columns:
    """Put the columns of several lots of atoms, and of all ranks, together.

    Means first, then deviations from the common mean: no digits are lost to large means.
    """
    count = ranks.sum(np.sum([lot.count for lot in lots], axis=0))
    sums = np.sum([lot.count[:, None] * lot.mean for lot in lots], axis=0)
    mean = ranks.sum(sums) / np.maximum(count, 1.0)[:, None]
    square = [lot.square + lot.count[:, None] * (lot.mean - mean) ** 2 for lot in lots]
    return Columns(
        count=count,
        mean=mean,
        square=ranks.sum(np.sum(square, axis=0)),
        low=_gathered(np.min([lot.low for lot in lots], axis=0), ranks).min(axis=0),
        high=_gathered(np.max([lot.high for lot in lots], axis=0), ranks).max(axis=0),
    )


def _gathered(mine: FloatArray, ranks: Ranks) -> FloatArray:
    """Give what each rank has, (size, …)."""
    return gather_rows(mine[None], [ranks.rank], ranks.size, ranks)


def column_moments(G: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give mean and scale (D,) of the columns of a descriptor (n, D)."""
    return G.mean(axis=0), _floored(G.std(axis=0))


def _floored(deviation: FloatArray) -> FloatArray:
    floor = SCALE_FLOOR * float(np.median(deviation))
    return np.maximum(deviation, floor if floor > 0 else 1.0)


def standardise(energies: EnergyStandard, columns: Columns) -> Standard:
    """Choose means and scales of the descriptor beside those of the energies."""
    own = {one.name: getattr(energies, one.name) for one in fields(energies)}
    deviation = np.sqrt(columns.square / columns.count[:, None])
    scale = np.array([_floored(row) for row in deviation])
    return Standard(**own, mean=columns.mean, scale=scale)


def standardise_energies(
    elements: tuple[str, ...],
    composition: FloatArray,
    energy: FloatArray,
    energy_scale: float | None,
) -> EnergyStandard:
    """Choose reference energies and their scale from the data.

    Parameters
    ----------
    elements
        E symbols.
    composition, energy
        (F, E) atoms of each element and (F,) eV of the frames that are trained on.
    energy_scale
        eV/atom above the lowest at which a frame's weight is halved; None: all weigh the same.
        Heights are measured after a first least-squares fit of reference energies, so that
        compositions compare.

    Raises
    ------
    aga.errors.DataError
        No frame holds one of the elements.
    """
    atoms = composition.sum(axis=0)
    absent = [symbol for symbol, count in zip(elements, atoms, strict=True) if not count]
    if absent:
        raise DataError(f"no labelled frame contains {', '.join(absent)}", elements=absent)
    per_atom, shares = _per_atom(composition, energy)
    level = _least_squares(shares, per_atom, np.ones(len(shares)))
    heights = per_atom - shares @ level
    weights = fade(heights - heights.min(), energy_scale)
    reference = _least_squares(shares, per_atom, weights)
    spread = np.sqrt(np.average((per_atom - shares @ reference) ** 2, weights=weights))
    return EnergyStandard(
        reference_energies=reference,
        energy_scale=float(np.clip(spread, 0.05, 5.0)),
        level=level,
        lowest=float(heights.min()),
    )


def frame_weights(
    composition: FloatArray,
    energy: FloatArray,
    standard: EnergyStandard,
    energy_scale: float | None,
) -> FloatArray:
    """Give the weight (F,) of each frame by its height above the lowest training frame."""
    per_atom, shares = _per_atom(composition, energy)
    return fade(per_atom - shares @ standard.level - standard.lowest, energy_scale)


def _least_squares(shares: FloatArray, energies: FloatArray, weights: FloatArray) -> FloatArray:
    # the shortest solution where compositions leave it open, as with one compound alone
    root = np.sqrt(weights)
    solution = np.linalg.lstsq(shares * root[:, None], energies * root, rcond=None)[0]
    return np.asarray(solution, dtype=np.float64)


def _per_atom(composition: FloatArray, energy: FloatArray) -> tuple[FloatArray, FloatArray]:
    counts = composition.sum(axis=1)
    return energy / counts, composition / counts[:, None]
