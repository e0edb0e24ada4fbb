"""Work space of the triplet kernels: one atom's neighbours, and tiles of its triplets.

Neighbours are packed element by element, each element from a multiple of 8 on, and padded with
neighbours far away whose weights are 0. A *tile* is a flat list of some 256 triplets: rows of
one neighbour j with a run of neighbours k, so that all arithmetic runs along full vectors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aga.potential.jit import compiled
from aga.potential.lanes import (
    aligned,
    load8,
    load32,
    root,
    splat,
    store,
)
from aga.potential.triplet_plan import TripletPlan
from aga.potential.triplet_weights import cutoff_function, exponential
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Hood", "Tile", "factors", "fill", "make_hood", "make_tile", "pack", "terms"]

_TILE = 256
"""Triplets after which a tile is full; its arrays stay in the first cache."""

_FAR = 1e6
"""Å², squared distance of padding."""


class Hood(NamedTuple):
    """One atom's neighbours within reach; W columns."""

    geometry: FloatArray
    """(5, W) x, y, z, R², 1/R."""
    w: FloatArray
    """(H, W) weights g(R)."""
    slope: FloatArray
    """(H, W) (dg/dR)/R."""
    pair: IntArray
    """(W,) place in the list of pairs, −1 for padding."""
    starts: IntArray
    """(E + 1,) first column of each element."""
    counts: IntArray
    """(E,) neighbours of each element."""


class Tile(NamedTuple):
    """Triplets of one pair of elements; L columns."""

    angle: FloatArray
    """(3, L) R_jk², cos θ, 1/(R_ij R_ik)."""
    omega: FloatArray
    """(Γ, L) g(R_ij) g(R_ik) of each group of the pair of elements."""
    h: FloatArray
    """(Γ, L) g(R_jk); 1 for the wide form."""
    dh: FloatArray
    """(Γ, L) dg/d(R_jk²)."""
    q: FloatArray
    """(Γ, L) scratch of each group."""
    bar: FloatArray
    """(2, L) derivatives by cos θ and by R_jk²."""
    cut: FloatArray
    """(2, L) f_c(R_jk) and its slope by R_jk²."""
    p: FloatArray
    """(T, L) each term."""
    dp: FloatArray
    """(T, L) its derivative by cos θ."""
    rows: IntArray
    """(5, …) of each row: column of j, first column of k, place in the tile, length, and how
    many columns at the start do not count because k ≤ j."""
    used: IntArray
    """(2,) triplets and rows in the tile."""
    mask: FloatArray
    """(1, 16) eight zeros, eight ones."""


@compiled
def make_hood(plan: TripletPlan, starts: IntArray, atoms: IntArray) -> Hood:
    """Allocate room for the neighbours of any of the atoms."""
    elements, width = starts.shape[1] - 1, 0
    for i in atoms:
        width = max(width, starts[i, elements] - starts[i, 0])
    width = 32 * ((width + 8 * elements + 31) // 32)
    return Hood(
        aligned(5, width),
        aligned(len(plan.eta), width),
        aligned(len(plan.eta), width),
        np.empty(width, dtype=np.int64),
        np.empty(elements + 1, dtype=np.int64),
        np.empty(elements, dtype=np.int64),
    )


@compiled
def make_tile(plan: TripletPlan, width: int) -> Tile:
    """Allocate room for a tile; ``width`` is that of the neighbours."""
    columns = _TILE + width
    groups = np.max(plan.pair_groups[1:] - plan.pair_groups[:-1])
    count = np.max(plan.pair_terms[1:] - plan.pair_terms[:-1])
    mask = np.zeros((1, 16))
    mask[0, 8:] = 1.0
    return Tile(
        aligned(3, columns),
        aligned(groups, columns),
        aligned(groups, columns),
        aligned(groups, columns),
        aligned(groups, columns),
        aligned(2, columns),
        aligned(2, columns),
        aligned(count, columns),
        aligned(count, columns),
        np.empty((5, columns // 8), dtype=np.int64),
        np.zeros(2, dtype=np.int64),
        mask,
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
            if square < reach:
                geometry[0, column], geometry[1, column], geometry[2, column] = x, y, z
                geometry[3, column] = square
                hood.pair[column] = p
                column += 1
        hood.counts[s] = column - hood.starts[s]
        last = s == len(starts) - 2
        column = _pad(hood, column, 32 if last else 8)
    hood.starts[len(starts) - 1] = column
    for k in range(0, column, 32):
        store(geometry, 4, k, 1.0 / root(load32(geometry, 3, k)))
    for h in range(len(plan.eta)):
        for k in range(0, column, 32):
            x = load32(geometry, 3, k)
            f, df = cutoff_function(plan, h, x)
            e, rate = exponential(plan, h, x)
            store(hood.w, h, k, e * f)
            store(hood.slope, h, k, 2.0 * e * (df + rate * f))


@compiled
def _pad(hood: Hood, column: int, multiple: int) -> int:
    while column % multiple:
        for a in range(3):
            hood.geometry[a, column] = 0.0
        hood.geometry[3, column] = _FAR
        hood.pair[column] = -1
        column += 1
    return column


@compiled
def fill(plan: TripletPlan, hood: Hood, tile: Tile, q: int, j: int) -> int:
    """Fill a tile with triplets of one pair of elements, from neighbour j on; give the next j.

    −1 if none are left, which the caller passes on to end its loop.
    """
    s, t = plan.pairs[q, 0], plan.pairs[q, 1]
    if s != t and _vectors(hood, t, s) < _vectors(hood, s, t):
        s, t = t, s
    first, end = hood.starts[t], hood.starts[t] + 8 * ((hood.counts[t] + 7) // 8)
    count, place, row = hood.counts[s] - (1 if s == t else 0), 0, 0
    if hood.counts[t] == 0:
        count = 0
    while j < count and place < _TILE:
        begin = first + (8 * ((j + 1) // 8) if s == t else 0)
        rows = tile.rows
        rows[0, row], rows[1, row], rows[2, row] = hood.starts[s] + j, begin, place
        rows[3, row] = end - begin
        rows[4, row] = first + j + 1 - begin if s == t else 0
        place += end - begin
        row += 1
        j += 1
    tile.used[0], tile.used[1] = place, row
    _geometry(hood, tile)
    _omega(plan, hood, tile, q)
    return j if j < count else -1


@compiled
def _vectors(hood: Hood, s: int, t: int) -> int:
    return int(hood.counts[s] * ((hood.counts[t] + 7) // 8))


@compiled
def _geometry(hood: Hood, tile: Tile) -> None:
    near, angle = hood.geometry, tile.angle
    for row in range(tile.used[1]):
        j, begin, place, length, _ = tile.rows[:, row]
        x, y, z, square, inverse = near[:, j]
        for k in range(0, length, 8):
            dot = x * load8(near, 0, begin + k)
            dot = dot + y * load8(near, 1, begin + k)
            dot = dot + z * load8(near, 2, begin + k)
            both = inverse * load8(near, 4, begin + k)
            store(angle, 0, place + k, load8(near, 3, begin + k) + square - 2.0 * dot)
            store(angle, 1, place + k, dot * both)
            store(angle, 2, place + k, both)
    zero = 0.0 * load8(near, 0, 0)
    for k in range(tile.used[0], 32 * ((tile.used[0] + 31) // 32), 8):
        store(angle, 0, k, zero + _FAR)
        store(angle, 1, k, zero)
        store(angle, 2, k, zero)
        for g in range(len(tile.omega)):
            store(tile.omega, g, k, zero)


@compiled
def _omega(plan: TripletPlan, hood: Hood, tile: Tile, q: int) -> None:
    omega, w, begin = tile.omega, hood.w, plan.pair_groups[q]
    for g in range(plan.pair_groups[q + 1] - begin):
        h = plan.group_weight[begin + g]
        for row in range(tile.used[1]):
            j, first, place, length, skip = tile.rows[:, row]
            one = w[h, j]
            store(omega, g, place, one * load8(w, h, first) * load8(tile.mask, 0, 8 - skip))
            for k in range(8, length, 8):
                store(omega, g, place + k, one * load8(w, h, first + k))


@compiled
def factors(plan: TripletPlan, tile: Tile, q: int) -> None:
    """Write g(R_jk) and its slope for the groups of a pair of elements."""
    known = -1
    for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
        h, row = plan.group_weight[g], g - plan.pair_groups[q]
        if not plan.narrow[h]:
            tile.h[row], tile.dh[row] = 1.0, 0.0
            continue
        if plan.weight_cutoff[h] != known:
            for k in range(0, tile.used[0], 32):
                f, df = cutoff_function(plan, h, load32(tile.angle, 0, k))
                store(tile.cut, 0, k, f)
                store(tile.cut, 1, k, df)
            known = plan.weight_cutoff[h]
        for k in range(0, tile.used[0], 32):
            e, rate = exponential(plan, h, load32(tile.angle, 0, k))
            f = load32(tile.cut, 0, k)
            store(tile.h, row, k, e * f)
            store(tile.dh, row, k, e * (load32(tile.cut, 1, k) + rate * f))


@compiled
def terms(plan: TripletPlan, tile: Tile, q: int) -> None:
    """Write (1 + λ cos θ)^ζ and its derivative for the terms of a pair of elements."""
    for term in range(plan.pair_terms[q], plan.pair_terms[q + 1]):
        row, lambda_, zeta = term - plan.pair_terms[q], plan.term_lambda[term], plan.term_zeta[term]
        whole = int(zeta)
        part = zeta - whole
        if part > 0.0:
            for k in range(tile.used[0]):
                tile.p[row, k] = max(1.0 + lambda_ * tile.angle[1, k], 0.0) ** part
            for k in range(tile.used[0], 32 * ((tile.used[0] + 31) // 32)):
                tile.p[row, k] = 1.0
        for k in range(0, tile.used[0], 32):
            base = 1.0 + lambda_ * load32(tile.angle, 1, k)
            below = load32(tile.p, row, k) if part > 0.0 else splat(base, 1.0)
            power, n = base, whole - 1
            while n:
                if n % 2:
                    below = below * power
                power = power * power
                n //= 2
            store(tile.p, row, k, below * base)
            store(tile.dp, row, k, (zeta * lambda_) * below)
