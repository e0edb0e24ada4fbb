"""The local frames of atoms, and the neighbours that are seen in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aga.potential.deep.pairs import distances
from aga.potential.neighbours import Pairs
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Frames", "build_frames"]

STRAIGHT = 0.01
"""sin² of the angle below which two neighbours are collinear and span no frame (5.7°)."""

_TIE = 10
"""Decimals of distances in Å that are compared: images that are equally far stay in list order."""

_GRID = np.eye(3)


class Frames(NamedTuple):
    """The chosen neighbours of all atoms, S in all, and the frames they are seen in.

    ``atom``, ``pair``, ``slot`` (S,) central atom, place in the pair list and in the descriptor;
    ``vectors`` (S, 3) in Å, ``local`` (S, 3) the same in the frame, ``r`` (S,); ``seen`` (S, 3)
    1 where a coordinate is said, 0 where the frame leaves it open; ``axes`` (N, 3, 3) rows;
    ``a``, ``b`` (N,) pairs that span the frame; ``turn_a``, ``turn_b``, ``lean`` (N,) how the
    frame follows them: 1/|A|, 1/|u|, (B·e₁)/(|u||A|) with u the part of B across A; 0 where
    there is no such neighbour.
    """

    atom: IntArray
    pair: IntArray
    slot: IntArray
    vectors: FloatArray
    local: FloatArray
    r: FloatArray
    seen: FloatArray
    axes: FloatArray
    a: IntArray
    b: IntArray
    turn_a: FloatArray
    turn_b: FloatArray
    lean: FloatArray


def build_frames(pairs: Pairs, neighbours: tuple[int, ...]) -> Frames:
    """Choose so many neighbours of each element for every atom, and build its frame."""
    r, first = distances(pairs), pairs.first
    compared, elements = np.round(r, _TIE), pairs.species[pairs.second]
    order = np.lexsort((compared, elements, first))
    rank = np.arange(len(pairs)) - pairs.starts[first, elements]
    limits = np.array(neighbours)
    offsets = np.concatenate([[0], np.cumsum(limits)])[:-1]
    kept = rank < limits[elements]
    pair, slot, atom = order[kept], (rank + offsets[elements])[kept], first[kept]

    a, some = _nearest(pairs, compared)
    near = np.where(some[:, None], pairs.vectors[a] if len(pairs) else 0.0, _GRID[0])
    across = np.linalg.norm(np.cross(pairs.vectors, near[first]), axis=1)
    length = np.linalg.norm(near, axis=1)
    aside = across**2 > STRAIGHT * (r * length[first]) ** 2
    b, found = _nearest(pairs, np.where(aside, compared, np.inf))
    e1 = near / length[:, None]
    other = np.where(found[:, None], pairs.vectors[b] if len(pairs) else 0.0, _free(e1))
    share = (other * e1).sum(1)
    u = other - share[:, None] * e1
    height = np.linalg.norm(u, axis=1)
    e2 = u / height[:, None]
    axes = np.stack([e1, e2, np.cross(e1, e2)], axis=1)
    vectors = pairs.vectors[pair]
    turn_a, turn_b = some / length, found / height
    return Frames(
        atom=atom,
        pair=pair,
        slot=slot,
        vectors=vectors,
        local=np.einsum("skx,sx->sk", axes[atom], vectors),
        r=r[pair],
        seen=np.column_stack([np.ones(len(atom)), found[atom], found[atom]]).astype(np.float64),
        axes=axes,
        a=a,
        b=np.where(found, b, a),
        turn_a=turn_a,
        turn_b=turn_b,
        lean=share * turn_a * turn_b,
    )


def _nearest(pairs: Pairs, r: FloatArray) -> tuple[IntArray, npt.NDArray[np.bool_]]:
    """Give the pair of each atom with the smallest finite r (0 without), and if there is one."""
    nearest = np.zeros(len(pairs.starts), dtype=np.int64)
    some = pairs.starts[:, -1] > pairs.starts[:, 0]
    order = np.lexsort((r, pairs.first))
    nearest[some] = order[pairs.starts[some, 0]]
    some[some] = np.isfinite(r[nearest[some]])
    return nearest, some


def _free(e1: FloatArray) -> FloatArray:
    """Give a direction that is not along e₁."""
    free: FloatArray = _GRID[np.argmin(np.abs(e1), axis=1)]
    return free
