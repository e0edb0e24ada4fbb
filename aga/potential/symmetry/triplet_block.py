"""Work space of the triplet kernels: one atom's neighbours, and tiles of its triplets.

Neighbours are packed element by element, each element from a multiple of 8 on, and padded with
neighbours far away whose weights are 0. A *tile* is a list of some 200 triplets that lie within
all cutoffs, so that the arithmetic runs along full vectors and is spent on nothing else; what
belongs to a neighbour is one record (see :mod:`aga.potential.symmetry.records`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aga.potential.jit import compiled
from aga.potential.lanes import aligned, load8, load32, maximum, root, store
from aga.potential.symmetry.records import PLACES, append8, put8, take8
from aga.potential.symmetry.triplet_plan import TripletPlan
from aga.potential.symmetry.triplet_weights import cutoff_and_slope, exponential
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Hood", "Tile", "fill", "make_hood", "make_tile", "pack"]

_LONGEST = 1024
"""Triplets after which a tile is full at the latest; longer ones are no faster."""

_ROOM = 50_000
"""Numbers in a tile: they stay in the second cache."""

_FAR = 1e6
"""Å², squared distance of padding."""


class Hood(NamedTuple):
    """One atom's neighbours within reach; W columns, a multiple of 32."""

    geometry: FloatArray
    """(5, W) x, y, z, R², 1/R."""
    w: FloatArray
    """(8 n − 5, W) weights g(R), as many rows as fill n records."""
    rate: FloatArray
    """(8 n − 5, W) (d ln g/dR)/R."""
    record: FloatArray
    """(W, 8 n) of each neighbour: its geometry, then its weights."""
    pair: IntArray
    """(W,) place in the list of pairs, −1 for padding."""
    starts: IntArray
    """(E + 1,) first column of each element; the last column before the end is padding."""
    counts: IntArray
    """(E,) neighbours of each element."""


class Tile(NamedTuple):
    """Triplets of one pair of elements; L columns, of which ``used`` hold triplets.

    Up to the next multiple of 32 there are triplets of padding, whose weights are 0.
    """

    first: npt.NDArray[np.int32]
    """(L,) column of neighbour j."""
    second: npt.NDArray[np.int32]
    """(L,) column of neighbour k."""
    angle: FloatArray
    """(9, L) R_jk², cos θ, 1/(R_ij R_ik), the vectors to j and to k."""
    omega: FloatArray
    """(8 n − 5, L) g(R_ij) g(R_ik) of each weight."""
    h: FloatArray
    """(Γ, L) g(R_jk) of each group of the pair of elements; 1 for the wide form."""
    dh: FloatArray
    """(Γ, L) dg/d(R_jk²)."""
    phi: FloatArray
    """(8 n − 5, L) energy of each weight."""
    bar: FloatArray
    """(2, L) its derivatives by cos θ and by R_jk²."""
    cut: FloatArray
    """(2, L) f_c(R_jk) and its slope by R_jk²."""
    p: FloatArray
    """(T, L) each term."""
    dp: FloatArray
    """(T, L) its derivative by cos θ."""
    used: IntArray
    """(2,) triplets in the tile, and how many make it full."""


@compiled
def make_hood(plan: TripletPlan, starts: IntArray, atoms: IntArray) -> Hood:
    """Allocate room for the neighbours of any of the atoms."""
    elements, width = starts.shape[1] - 1, 0
    for i in atoms:
        width = max(width, starts[i, elements] - starts[i, 0])
    width = 32 * ((width + 8 * elements + 32) // 32)
    fields = 8 * ((5 + len(plan.eta) + 7) // 8)
    w, rate = aligned(fields - 5, width), aligned(fields - 5, width)
    w[:], rate[:] = 0.0, 0.0
    return Hood(
        aligned(5, width),
        w,
        rate,
        aligned(width, fields),
        np.empty(width, dtype=np.int64),
        np.empty(elements + 1, dtype=np.int64),
        np.empty(elements, dtype=np.int64),
    )


@compiled
def make_tile(plan: TripletPlan, hood: Hood) -> Tile:
    """Allocate room for a tile."""
    weights, width = hood.w.shape
    groups = np.max(plan.pair_groups[1:] - plan.pair_groups[:-1])
    count = np.max(plan.pair_terms[1:] - plan.pair_terms[:-1])
    full = min(_LONGEST, max(192, _ROOM // (13 + 2 * (weights + groups + count))))
    columns = 32 * ((full + width + 63) // 32)
    return Tile(
        np.empty(columns, dtype=np.int32),
        np.empty(columns, dtype=np.int32),
        aligned(9, columns),
        aligned(weights, columns),
        aligned(groups, columns),
        aligned(groups, columns),
        aligned(weights, columns),
        aligned(2, columns),
        aligned(2, columns),
        aligned(count, columns),
        aligned(count, columns),
        np.array([0, full]),
    )


@compiled
def pack(plan: TripletPlan, hood: Hood, vectors: FloatArray, starts: IntArray) -> None:
    """Take the neighbours of one atom, ``starts`` (E + 1,), and their weights."""
    geometry, column, reach = hood.geometry, 0, plan.reach * plan.reach
    for s in range(len(starts) - 1):
        hood.starts[s] = column
        for p in range(starts[s], starts[s + 1]):
            x, y, z = vectors[p, 0], vectors[p, 1], vectors[p, 2]
            square = x * x + y * y + z * z
            geometry[0, column], geometry[1, column], geometry[2, column] = x, y, z
            geometry[3, column] = square
            hood.pair[column] = p
            column += 1 if square < reach else 0
        hood.counts[s] = column - hood.starts[s]
        if s == len(starts) - 2:
            column = _pad(hood, column, 1 + (31 - column) % 32)
        else:
            column = _pad(hood, column, -column % 8)
    hood.starts[len(starts) - 1] = column
    for k in range(0, column, 32):
        store(geometry, 4, k, 1.0 / root(load32(geometry, 3, k)))
    for h in range(len(plan.eta)):
        for k in range(0, column, 32):
            x = load32(geometry, 3, k)
            f, df = cutoff_and_slope(plan, h, x)
            e, rate = exponential(plan, h, x)
            store(hood.w, h, k, e * f)
            store(hood.rate, h, k, 2.0 * (df / maximum(f, 1e-300) + rate))
    _record(hood, column)


@compiled
def _pad(hood: Hood, column: int, count: int) -> int:
    for k in range(column, column + count):
        for a in range(3):
            hood.geometry[a, k] = 0.0
        hood.geometry[3, k] = _FAR
        hood.pair[k] = -1
    return column + count


@compiled
def _record(hood: Hood, columns: int) -> None:
    near, w = hood.geometry, hood.w
    for k in range(0, columns, 8):
        x, y, z = load8(near, 0, k), load8(near, 1, k), load8(near, 2, k)
        square, inverse = load8(near, 3, k), load8(near, 4, k)
        three = (load8(w, 0, k), load8(w, 1, k), load8(w, 2, k))
        put8(hood.record, k, 0, (x, y, z, square, inverse, three[0], three[1], three[2]))
        for h in range(3, len(w), 8):
            four = (load8(w, h, k), load8(w, h + 1, k), load8(w, h + 2, k), load8(w, h + 3, k))
            more = (load8(w, h + 4, k), load8(w, h + 5, k), load8(w, h + 6, k), load8(w, h + 7, k))
            put8(
                hood.record,
                k,
                h + 5,
                (four[0], four[1], four[2], four[3], more[0], more[1], more[2], more[3]),
            )


@compiled
def fill(plan: TripletPlan, hood: Hood, tile: Tile, q: int, j: int) -> int:
    """Fill a tile with triplets of one pair of elements, from neighbour j on; give the next j.

    −1 if none are left: the end of the caller's loop.
    """
    s, t = plan.pairs[q, 0], plan.pairs[q, 1]
    if s != t and hood.counts[s] > hood.counts[t]:
        s, t = t, s
    near, limit, first, second, found = (
        hood.geometry,
        plan.pair_reach[q],
        tile.first,
        tile.second,
        0,
    )
    begin, end, count = hood.starts[t], hood.starts[t] + hood.counts[t], hood.counts[s]
    while j < count and found < tile.used[1]:
        own = hood.starts[s] + j
        start = own + 1 if s == t else begin
        x, y, z, square = near[0, own], near[1, own], near[2, own], near[3, own]
        for k in range(start - start % 8, end, 8):
            dot = x * load8(near, 0, k) + y * load8(near, 1, k) + z * load8(near, 2, k)
            between = load8(near, 3, k) + square - 2.0 * dot
            skip = max(start - k, 0)
            found = append8(first, second, (found, own, k, skip), between, limit, PLACES)
        j += 1
    tile.used[0] = found
    for n in range(found, 32 * ((found + 31) // 32)):
        first[n] = second[n] = hood.starts[-1] - 1
    _angles(hood, tile)
    return j if j < count else -1


@compiled
def _angles(hood: Hood, tile: Tile) -> None:
    record, angle, omega = hood.record, tile.angle, tile.omega
    first, second = tile.first, tile.second
    for n in range(0, 32 * ((tile.used[0] + 31) // 32), 8):
        a, b = take8(record, first, n, 0), take8(record, second, n, 0)
        dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
        inverse = a[4] * b[4]
        store(angle, 0, n, a[3] + b[3] - 2.0 * dot)
        store(angle, 1, n, dot * inverse)
        store(angle, 2, n, inverse)
        store(angle, 3, n, a[0])
        store(angle, 4, n, a[1])
        store(angle, 5, n, a[2])
        store(angle, 6, n, b[0])
        store(angle, 7, n, b[1])
        store(angle, 8, n, b[2])
        store(omega, 0, n, a[5] * b[5])
        store(omega, 1, n, a[6] * b[6])
        store(omega, 2, n, a[7] * b[7])
        for h in range(3, len(omega), 8):
            a, b = take8(record, first, n, h + 5), take8(record, second, n, h + 5)
            store(omega, h, n, a[0] * b[0])
            store(omega, h + 1, n, a[1] * b[1])
            store(omega, h + 2, n, a[2] * b[2])
            store(omega, h + 3, n, a[3] * b[3])
            store(omega, h + 4, n, a[4] * b[4])
            store(omega, h + 5, n, a[5] * b[5])
            store(omega, h + 6, n, a[6] * b[6])
            store(omega, h + 7, n, a[7] * b[7])
