"""Structure fingerprints: one vector per crystal, the same however the cell is chosen.

The element-pair correlation functions of Oganov & Valle, J. Chem. Phys. 130, 104504 (2009),
and Lyakhov et al., Comput. Phys. Commun. 181, 1623 (2010).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import neighbour_pairs

__all__ = ["CUTOFF", "Shelf", "cosine_distance", "cosine_distances", "fingerprint"]

CUTOFF = 8.0
"""Å; correlations beyond do not count."""

WIDTH = 0.2
"""Å, standard deviation of the Gaussian that stands for each distance."""

SPACING = 0.1
"""Å between the points at which the correlation functions are stored."""

RECENT = 4096
"""Fingerprints that are remembered: a generation asks for those of its population many times."""

_FINE = 5
"""Histogram bins per stored point."""


@lru_cache(maxsize=1)
def _smearing() -> tuple[FloatArray, FloatArray]:
    """Matrix (bins, points) from the fine histogram to stored values, and the points' weights.

    A distance at a bin's edge r is a normalised Gaussian at r; the weight takes the functions
    to zero at the cutoff, so that a shell that crosses it changes nothing abruptly.
    """
    step = SPACING / _FINE
    edges = np.arange(round(CUTOFF / step) + 2) * step
    points = np.arange(1, round(CUTOFF / SPACING)) * SPACING
    gauss = np.exp(-0.5 * ((edges[:, None] - points[None, :]) / WIDTH) ** 2)
    gauss /= WIDTH * np.sqrt(2 * np.pi)
    return gauss, 0.5 * (np.cos(np.pi * points / CUTOFF) + 1.0)


@lru_cache(maxsize=RECENT)
def fingerprint(candidate: Candidate) -> FloatArray:
    """Compute the fingerprint of a crystal, or give it again: candidates never change.

    For each pair of elements A ≤ B the function
    F_AB(R) = V/(4πR² N_A N_B) Σ_{i∈A} Σ_{j∈B} δ(R − R_ij) − 1, δ a Gaussian of :data:`WIDTH`
    (Oganov & Valle 2009, eq. 3), times R² and a cosine cutoff, and times the square root of the
    pair's share N_A N_B of all pairs. Without R² the first shell would drown the farther ones,
    which alone tell polytypes apart. Turning, moving or renumbering the atoms, another cell of
    the same lattice and supercells change nothing but rounding.

    For scale: diamond and hexagonal silicon are 0.03 apart, known phases of TiO2 0.02 or more,
    a crystal and the same one stretched by 1 % 0.01.

    Parameters
    ----------
    candidate
        Any cell.

    Returns
    -------
    numpy.ndarray
        (pairs × points,) without unit, not to be written to; pairs in the order of atomic
        numbers. Compare only
        structures of one chemical system.
    """
    gauss, weight = _smearing()
    step = SPACING / _FINE
    points = np.arange(1, weight.size + 1) * SPACING
    kinds, index = np.unique(candidate.numbers, return_inverse=True)
    share = np.bincount(index) / len(candidate)
    i, j, d = neighbour_pairs(candidate, CUTOFF)
    position = d * (1.0 / step)
    low = position.astype(np.int64)
    part = position - low
    bins = gauss.shape[0]
    order = np.arange(kinds.size)
    pair_of = np.minimum.outer(order, order) * kinds.size + np.maximum.outer(order, order)
    slot = (bins * pair_of).ravel()[(kinds.size * index)[i] + index[j]] + low
    size = kinds.size**2 * bins
    # each distance is divided between the two bins around it, so the result is continuous
    histogram = np.bincount(slot, 1.0 - part, size) + np.bincount(slot + 1, part, size)
    curves = histogram.reshape(kinds.size, kinds.size, bins) @ gauss
    number_density = len(candidate) / candidate.volume
    scale = 1.0 / (4.0 * np.pi * len(candidate) * number_density)
    result = []
    for a in range(kinds.size):
        for b in range(a, kinds.size):
            pair = share[a] * share[b] * (1.0 if a == b else 2.0)
            result.append(np.sqrt(pair) * weight * (curves[a, b] * scale / pair - points**2))
    found = np.concatenate(result)
    found.setflags(write=False)
    return found


def cosine_distance(first: FloatArray, second: FloatArray) -> float:
    """Give ½(1 − cos) of two fingerprints: 0 for one structure, 1 for opposite ones.

    Oganov & Valle 2009, eq. 6. Fingerprints of different length (other elements) are 1 apart.
    """
    return float(cosine_distances(first, [second])[0])


def cosine_distances(first: FloatArray, others: Sequence[FloatArray]) -> FloatArray:
    """Give the :func:`cosine_distance` of one fingerprint to each of many, (m,)."""
    result = np.ones(len(others))
    same = [k for k, other in enumerate(others) if other.shape == first.shape]
    if same:
        table = np.stack([others[k] for k in same])
        norm = np.linalg.norm(table, axis=1) * np.linalg.norm(first)
        cosine = np.divide(table @ first, norm, out=np.zeros(len(same)), where=norm > 0)
        result[same] = np.clip(0.5 * (1.0 - cosine), 0.0, 1.0)
    return result


class Shelf:
    """Fingerprints to compare many with, kept so that each comparison is one product.

    All of the elements that the first one has; any other is 1 from everything.

    Parameters
    ----------
    prints
        Fingerprints (pairs × points,) to begin with.
    """

    def __init__(self, prints: Iterable[FloatArray] = ()) -> None:
        self._table = np.zeros((0, 0))
        self._count = 0
        for one in prints:
            self.add(one)

    def __len__(self) -> int:
        """Give the number of fingerprints."""
        return self._count

    def add(self, one: FloatArray) -> None:
        """Put a fingerprint behind the others."""
        if not self._count:
            self._table = np.zeros((32, len(one)))
        elif self._count == len(self._table):
            self._table = np.concatenate([self._table, np.zeros_like(self._table)])
        width = self._table.shape[1]
        self._table[self._count] = _unit(one) if len(one) == width else np.nan
        self._count += 1

    def distances(self, one: FloatArray) -> FloatArray:
        """Give the :func:`cosine_distance` of a fingerprint to each, (m,), in order."""
        if not self._count or len(one) != self._table.shape[1]:
            return np.ones(self._count)
        cosine = self._table[: self._count] @ _unit(one)
        return np.asarray(np.nan_to_num(np.clip(0.5 * (1.0 - cosine), 0.0, 1.0), nan=1.0))


def _unit(one: FloatArray) -> FloatArray:
    norm = float(np.sqrt(one @ one))
    return one / norm if norm > 0 else np.zeros_like(one)
