"""Structure fingerprints: one vector per crystal, the same however the cell is chosen.

The element-pair correlation functions of Oganov & Valle, J. Chem. Phys. 130, 104504 (2009),
and Lyakhov et al., Comput. Phys. Commun. 181, 1623 (2010).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import neighbour_pairs

__all__ = ["CUTOFF", "cosine_distance", "cosine_distances", "fingerprint"]

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
    position = d / step
    low = position.astype(np.int64)
    part = position - low
    first, second = np.minimum(index[i], index[j]), np.maximum(index[i], index[j])
    bins = gauss.shape[0]
    slot = (first * kinds.size + second) * bins + low
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
