"""Gradients on the symmetric subspace, so that steps keep the space group of the start.

A step whose displacements and strain are invariant under the operations of a structure leaves
the operations as they are: an invariant strain commutes with the rotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aga.potential.jit import compiled
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.symmetry_operations import Operations

__all__ = ["Symmetries", "pack_symmetries", "symmetrise"]


class Symmetries(NamedTuple):
    """The operations of C structures, one after the other.

    ``rotations`` (K, 3, 3), those of structure c at ``starts[c]:starts[c + 1]``; ``images`` the
    (m, n) images of each structure's atoms, flattened, from ``places[c]`` on.
    """

    rotations: FloatArray
    starts: IntArray
    images: IntArray
    places: IntArray


def pack_symmetries(operations: Sequence[Operations | None]) -> Symmetries:
    """Pack the operations of each structure; None: nothing is kept."""
    there = [one for one in operations if one is not None]
    counts = [0 if one is None else len(one) for one in operations]
    sizes = [0 if one is None else one.images.size for one in operations]
    return Symmetries(
        np.concatenate([np.zeros((0, 3, 3)), *(one.rotations for one in there)]),
        np.cumsum([0, *counts], dtype=np.int64),
        np.concatenate([np.zeros(0, np.int64), *(one.images.ravel() for one in there)]),
        np.cumsum([0, *sizes], dtype=np.int64),
    )


@compiled
def symmetrise(symmetries: Symmetries, which: int, stretch: FloatArray) -> None:
    """Replace ∂H/∂(δ, L·ε) of a structure by the mean of its images."""
    first, end = symmetries.starts[which], symmetries.starts[which + 1]
    if end - first < 2:
        return
    last = len(stretch) - 9
    atoms, place = last // 3, symmetries.places[which]
    total = np.zeros(len(stretch))
    for k in range(first, end):
        turn = symmetries.rotations[k]
        for i in range(atoms):
            image = 3 * symmetries.images[place + i]
            for x in range(3):
                for y in range(3):
                    total[image + x] += turn[x, y] * stretch[3 * i + y]
        place += atoms
        _turn(turn, stretch[last:], total[last:])
    for k in range(len(stretch)):
        stretch[k] = total[k] / (end - first)


@compiled
def _turn(turn: FloatArray, strain: FloatArray, total: FloatArray) -> None:
    """Add R ε Rᵀ."""
    for x in range(3):
        for y in range(3):
            for p in range(3):
                for q in range(3):
                    total[3 * x + y] += turn[x, p] * strain[3 * p + q] * turn[y, q]
