"""Surfaces along which crossover cuts; periodic all of them, as the crystals are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from aga.search.operators.cells import clearances
from aga.structure.candidate import FloatArray, determinant

__all__ = ["CUTS", "Cut", "ball", "plane", "slabs", "wave"]

Cut = Callable[[FloatArray], npt.NDArray[np.bool_]]
"""Tells of fractional positions (n, 3) which lie inside, where the first parent's atoms stay."""

WAVES = (0.05, 0.25)
"""Amplitude of the waved cut, as fraction of the third axis."""

_CENTRE = np.full((1, 3), 0.5)


def plane(share: float, cell: FloatArray, rng: np.random.Generator) -> Cut:  # noqa: ARG001 - cuts have one signature
    """Cut by two parallel planes: the slab between them (Deaven & Ho 1995; Glass et al. 2006)."""
    return lambda scaled: scaled[:, 2] < share


def slabs(share: float, cell: FloatArray, rng: np.random.Generator) -> Cut:  # noqa: ARG001 - as above
    """Cut by four parallel planes: two slabs of each parent in turn (Lonie & Zurek 2011)."""
    return lambda scaled: 2.0 * scaled[:, 2] % 1.0 < share


def wave(share: float, cell: FloatArray, rng: np.random.Generator) -> Cut:  # noqa: ARG001 - as above
    """Cut by two waved surfaces, periodic along both other axes (Abraham & Probert 2006).

    Both surfaces have the same wave, so the first parent keeps its share.
    """
    height = rng.uniform(*WAVES)
    first, second = rng.random(2)
    many = rng.integers(1, 3, 2)

    def inside(scaled: FloatArray) -> npt.NDArray[np.bool_]:
        bend = np.sin(2 * np.pi * (many[0] * scaled[:, 0] + first))
        bend += np.sin(2 * np.pi * (many[1] * scaled[:, 1] + second))
        below: npt.NDArray[np.bool_] = (scaled[:, 2] - 0.5 * height * bend) % 1.0 < share
        return below

    return inside


def ball(share: float, cell: FloatArray, rng: np.random.Generator) -> Cut:  # noqa: ARG001 - as above
    """Cut by a sphere around the middle of the cell, repeated with it.

    The plane of Deaven & Ho (1995) for clusters, closed to a sphere: what is taken of the first
    parent is one piece that touches no cell boundary.
    """
    radius = np.cbrt(3.0 * share * abs(determinant(cell)) / (4.0 * np.pi))
    return lambda scaled: clearances(scaled, _CENTRE, cell)[:, 0] < radius


CUTS = (plane, plane, wave, slabs, ball)
"""One is drawn; the plane twice as often as each of the others."""
