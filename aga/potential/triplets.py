"""Angular functions by a loop over triplets: the narrow form, and ζ that moments cannot do.

One atom after the other and one pair of neighbour elements after the other, in tiles of a few
hundred triplets; no square root, exponential or cosine of R_jk is taken (see TripletPlan). The
pull back has ∂E/∂G from the beginning, so all functions of a group are one polynomial in cos θ,
and nothing is stored per triplet and function.

With D = v_j·v_k a function depends on D, R_j and R_k alone (R_jk² = R_j² + R_k² − 2D), and

    ∂φ/∂v_j = (∂φ/∂D) v_k + (∂φ/∂R_j) v_j/R_j,    ∂φ/∂D = A/(R_j R_k) − 2B,
    R_j ∂φ/∂R_j = 2B R_j² − A cos θ + R_j Σ_h q_h g_h(R_k) dg_h/dR_j,

with A = ∂φ/∂cos θ and B = ∂φ/∂(R_jk²) of a triplet's energy φ = Σ_h q_h g_h(R_j) g_h(R_k).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aga.potential.jit import compiled
from aga.potential.lanes import Vector, aligned, load8, load32, splat, store, total
from aga.potential.neighbours import PairArrays
from aga.potential.triplet_block import Hood, Tile, factors, fill, make_hood, make_tile, pack, terms
from aga.potential.triplet_plan import TripletPlan
from aga.potential.triplet_weights import horner_and_slope
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Pull", "begin_pull", "contract", "gradients", "make_pull", "rows", "values", "vjp"]


@compiled
def values(plan: TripletPlan, pairs: PairArrays, atoms: IntArray, G: FloatArray) -> None:
    """Write the plan's columns of G (N, D) for the listed atoms, all of the plan's element."""
    if len(atoms) == 0:
        return
    hood = make_hood(plan, pairs.starts, atoms)
    tile = make_tile(plan, hood.w.shape[1])
    for i in atoms:
        for f in range(len(plan.column)):
            G[i, plan.column[f]] = 0.0
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        for q in range(len(plan.pairs)):
            j = 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors(plan, tile, q)
                terms(plan, tile, q)
                _collect(plan, tile, q, G, i)


@compiled
def _collect(plan: TripletPlan, tile: Tile, q: int, G: FloatArray, i: int) -> None:
    for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
        row = g - plan.pair_groups[q]
        for k in range(0, tile.used[0], 32):
            store(tile.q, row, k, load32(tile.omega, row, k) * load32(tile.h, row, k))
        for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
            G[i, plan.column[f]] += plan.factor[f] * dot(tile, tile.q, row, plan.term[f])


@compiled
def dot(tile: Tile, weights: FloatArray, row: int, term: int) -> float:
    """Sum a weight times a term over the tile."""
    result = splat(load32(weights, row, 0), 0.0)
    for k in range(0, tile.used[0], 32):
        result = result + load32(weights, row, k) * load32(tile.p, term, k)
    return float(total(result))


class Pull(NamedTuple):
    """Work space of derivatives: M energies, W columns of neighbours."""

    coefficients: FloatArray
    """(M Γ, 9) each group's functions times their adjoints, by power of cos θ."""
    amounts: FloatArray
    """(M, F) adjoint times prefactor of each function."""
    sums: FloatArray
    """(M (5 + H), W) for each neighbour as the second of its triplets: ∂φ/∂D times the other
    vector (three rows), A cos θ, 2B, and q_h g_h of the other for each weight."""
    own: FloatArray
    """The same as the first."""


@compiled
def make_pull(plan: TripletPlan, members: int, width: int) -> Pull:
    """Allocate the work space."""
    quantities = 5 + len(plan.eta)
    return Pull(
        np.zeros((members * len(plan.group_weight), plan.powers.shape[1])),
        np.zeros((members, len(plan.column))),
        aligned(members * quantities, width),
        aligned(members * quantities, width),
    )


@compiled
def begin_pull(plan: TripletPlan, pull: Pull) -> None:
    """Expand the amounts in powers of cos θ."""
    groups = len(plan.group_weight)
    for m in range(len(pull.amounts)):
        for g in range(groups):
            row = pull.coefficients[m * groups + g]
            row[:] = 0.0
            for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
                share = pull.amounts[m, f] / plan.factor[f]
                for p in range(len(row)):
                    row[p] += share * plan.powers[f, p]


@compiled
def vjp(
    plan: TripletPlan,
    pairs: PairArrays,
    atoms: IntArray,
    adjoints: FloatArray,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    """Add ∂(Σ g·G)/∂R to (M, N, 3) and ∂(Σ g·G)/∂ε to (M, B, 3, 3) for adjoints (M, N, D).

    ``atoms`` are central atoms, all of the plan's element.
    """
    if len(atoms) == 0:
        return
    members = len(adjoints)
    hood = make_hood(plan, pairs.starts, atoms)
    tile = make_tile(plan, hood.w.shape[1])
    pull = make_pull(plan, members, hood.w.shape[1])
    for i in atoms:
        for m in range(members):
            for f in range(len(plan.column)):
                pull.amounts[m, f] = adjoints[m, i, plan.column[f]] * plan.factor[f]
        begin_pull(plan, pull)
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        pull.sums[:], pull.own[:] = 0.0, 0.0
        for q in range(len(plan.pairs)):
            j = 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors(plan, tile, q)
                if _direct(plan, q):
                    terms(plan, tile, q)
                for m in range(members):
                    groups = (plan.pair_groups[q], plan.pair_groups[q + 1])
                    contract(plan, tile, pull, (q, m), groups)
                    rows(plan, hood, tile, pull, (q, m), groups)
        for m in range(members):
            gradients(plan, hood, pull, m)
            base = m * (5 + len(plan.eta))
            _scatter(pull.sums, (i, base), hood, pairs, gradient[m], strain[m])


@compiled
def _direct(plan: TripletPlan, q: int) -> bool:
    """Tell whether a pair of elements has functions that are no polynomial in cos θ."""
    first = plan.group_functions[plan.pair_groups[q]]
    last = plan.group_functions[plan.pair_groups[q + 1]]
    return bool(np.any(plan.direct[first:last] > 0))


@compiled
def contract(
    plan: TripletPlan, tile: Tile, pull: Pull, which: tuple[int, int], groups: tuple[int, int]
) -> None:
    """Write A, B and each q of one energy, from the groups of a range."""
    q, m = which
    for g in range(groups[0], groups[1]):
        row, degree = g - plan.pair_groups[q], plan.group_degree[g]
        first, last = plan.group_functions[g], plan.group_functions[g + 1]
        direct = np.any(plan.direct[first:last] > 0)
        for k in range(0, tile.used[0], 32):
            cosine = load32(tile.angle, 1, k)
            value, slope = horner_and_slope(
                pull.coefficients, m * len(plan.group_weight) + g, degree, cosine
            )
            if direct:
                for f in range(first, last):
                    if plan.direct[f]:
                        amount = pull.amounts[m, f]
                        value = value + amount * load32(tile.p, plan.term[f], k)
                        slope = slope + amount * load32(tile.dp, plan.term[f], k)
            omega, h = load32(tile.omega, row, k), load32(tile.h, row, k)
            store(tile.q, row, k, h * value)
            A, B = omega * h * slope, omega * load32(tile.dh, row, k) * value
            if g > groups[0]:
                A, B = A + load32(tile.bar, 0, k), B + load32(tile.bar, 1, k)
            store(tile.bar, 0, k, A)
            store(tile.bar, 1, k, B)


@compiled
def rows(
    plan: TripletPlan,
    hood: Hood,
    tile: Tile,
    pull: Pull,
    which: tuple[int, int],
    groups: tuple[int, int],
) -> None:
    """Add a contracted tile to the sums of its neighbours."""
    q, m = which
    base = m * (5 + len(plan.eta))
    geometry, sums, own, angle, bar = hood.geometry, pull.sums, pull.own, tile.angle, tile.bar
    for row in range(tile.used[1]):
        j, begin, place, length, _ = tile.rows[:, row]
        x, y, z = geometry[0, j], geometry[1, j], geometry[2, j]
        zero = splat(load8(geometry, 0, 0), 0.0)
        sx, sy, sz, sa, sb = zero, zero, zero, zero, zero
        for k in range(0, length, 8):
            a, b = load8(bar, 0, place + k), 2.0 * load8(bar, 1, place + k)
            c = a * load8(angle, 1, place + k)
            d = a * load8(angle, 2, place + k) - b
            sx = sx + d * load8(geometry, 0, begin + k)
            sy = sy + d * load8(geometry, 1, begin + k)
            sz = sz + d * load8(geometry, 2, begin + k)
            sa = sa + c
            sb = sb + b
            store(sums, base, begin + k, load8(sums, base, begin + k) + d * x)
            store(sums, base + 1, begin + k, load8(sums, base + 1, begin + k) + d * y)
            store(sums, base + 2, begin + k, load8(sums, base + 2, begin + k) + d * z)
            store(sums, base + 3, begin + k, load8(sums, base + 3, begin + k) + c)
            store(sums, base + 4, begin + k, load8(sums, base + 4, begin + k) + b)
        own[base, j] += total(sx)
        own[base + 1, j] += total(sy)
        own[base + 2, j] += total(sz)
        own[base + 3, j] += total(sa)
        own[base + 4, j] += total(sb)
        for g in range(groups[0], groups[1]):
            h = plan.group_weight[g]
            own[base + 5 + h, j] += _weigh(
                hood, tile, sums, (g - plan.pair_groups[q], h, base + 5 + h), row
            )


@compiled
def _weigh(
    hood: Hood, tile: Tile, sums: FloatArray, which: tuple[int, int, int], row: int
) -> float:
    """Add q_h g_h of the other neighbour to a row's second ones; give the sum for its first."""
    group, h, quantity = which
    j, begin, place, length, skip = tile.rows[:, row]
    w, q, one = hood.w, tile.q, hood.w[h, j]
    counted = load8(q, group, place) * load8(tile.mask, 0, 8 - skip)
    store(sums, quantity, begin, load8(sums, quantity, begin) + one * counted)
    result = counted * load8(w, h, begin)
    for k in range(8, length, 8):
        counted = load8(q, group, place + k)
        store(sums, quantity, begin + k, load8(sums, quantity, begin + k) + one * counted)
        result = result + counted * load8(w, h, begin + k)
    return float(total(result))


@compiled
def gradients(plan: TripletPlan, hood: Hood, pull: Pull, m: int) -> None:
    """Turn the sums of one energy into ∂φ/∂v of each neighbour, in their first three rows."""
    base, geometry = m * (5 + len(plan.eta)), hood.geometry
    for k in range(0, hood.starts[-1], 8):
        inverse = load8(geometry, 4, k)
        along = _both(pull, base + 4, k) - _both(pull, base + 3, k) * inverse * inverse
        for h in range(len(plan.eta)):
            along = along + _both(pull, base + 5 + h, k) * load8(hood.slope, h, k)
        for a in range(3):
            value = _both(pull, base + a, k) + along * load8(geometry, a, k)
            store(pull.sums, base + a, k, value)


@compiled
def _both(pull: Pull, row: int, k: int) -> Vector:
    return load8(pull.sums, row, k) + load8(pull.own, row, k)


@compiled
def _scatter(
    sums: FloatArray,
    which: tuple[int, int],
    hood: Hood,
    pairs: PairArrays,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    i, base = which
    total_strain = strain[pairs.owners[i]]
    for k in range(hood.starts[-1]):
        if hood.pair[k] < 0:
            continue
        second = pairs.second[hood.pair[k]]
        for a in range(3):
            f = sums[base + a, k]
            gradient[i, a] -= f
            gradient[second, a] += f
            for b in range(3):
                total_strain[a, b] += f * hood.geometry[b, k]
