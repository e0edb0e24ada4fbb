"""From adjoints of the triplet functions to gradients of the neighbours' vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aga.potential.jit import compiled
from aga.potential.lanes import aligned, load8, load32, splat, store
from aga.potential.symmetry.records import add8, take8
from aga.potential.symmetry.triplet_block import Hood, Tile
from aga.potential.symmetry.triplet_plan import TripletPlan
from aga.potential.symmetry.triplet_weights import horner_and_slope
from aga.structure.candidate import FloatArray

__all__ = ["Pull", "begin_pull", "contract", "gradients", "make_pull", "spread"]


class Pull(NamedTuple):
    """Work space of derivatives: M energies, W columns of neighbours."""

    coefficients: FloatArray
    """(M Γ, 9) each group's functions times their adjoints, by power of cos θ."""
    amounts: FloatArray
    """(M, F) adjoint of each function."""
    sums: FloatArray
    """(3 M W, 8 n) sums over triplets for each neighbour: ∂φ/∂D times the other vector (three
    fields), A cos θ, 2B, and the energy of each weight. For each member, W rows as the second
    neighbour of its triplets and twice W as the first."""
    columns: npt.NDArray[np.int32]
    """(W,) 0, 1, 2 …"""
    forces: FloatArray
    """(3, W) gradient by each neighbour's vector."""


@compiled
def make_pull(plan: TripletPlan, members: int, hood: Hood) -> Pull:
    """Allocate the work space."""
    width, fields = hood.record.shape
    pull = Pull(
        np.zeros((members * len(plan.group_weight), plan.powers.shape[1])),
        np.zeros((members, len(plan.column))),
        aligned(3 * members * width, fields),
        np.arange(width).astype(np.int32),
        aligned(3, width),
    )
    pull.sums[:] = 0.0
    return pull


@compiled
def begin_pull(plan: TripletPlan, pull: Pull) -> None:
    """Expand the amounts in powers of cos θ."""
    groups = len(plan.group_weight)
    for m in range(len(pull.amounts)):
        for g in range(groups):
            row, degree = m * groups + g, plan.group_degree[g] + 1
            for p in range(degree):
                pull.coefficients[row, p] = 0.0
            for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
                amount = pull.amounts[m, f]
                for p in range(degree):
                    pull.coefficients[row, p] += amount * plan.powers[f, p]


@compiled
def contract(
    plan: TripletPlan, tile: Tile, pull: Pull, which: tuple[int, int], groups: tuple[int, int]
) -> None:
    """Write A, B and each φ_h of one energy, from a range of the groups of a pair."""
    q, m = which
    for h in range(len(tile.phi)):
        if not _among(plan, groups, h):
            for k in range(0, tile.used[0], 32):
                store(tile.phi, h, k, splat(load32(tile.omega, 0, 0), 0.0))
    for g in range(groups[0], groups[1]):
        row, h, degree = g - plan.pair_groups[q], plan.group_weight[g], plan.group_degree[g]
        table, direct = m * len(plan.group_weight) + g, plan.group_direct[g]
        for k in range(0, tile.used[0], 32):
            cosine = load32(tile.angle, 1, k)
            value, slope = horner_and_slope(pull.coefficients, table, degree, cosine)
            if direct:
                for f in range(plan.group_functions[g], plan.group_functions[g + 1]):
                    if plan.direct[f]:
                        amount = pull.amounts[m, f] * plan.factor[f]
                        value = value + amount * load32(tile.p, plan.term[f], k)
                        slope = slope + amount * load32(tile.dp, plan.term[f], k)
            omega, factor = load32(tile.omega, h, k), load32(tile.h, row, k)
            value = omega * value
            A, B = omega * factor * slope, value * load32(tile.dh, row, k)
            if g > groups[0]:
                A, B = A + load32(tile.bar, 0, k), B + load32(tile.bar, 1, k)
            store(tile.phi, h, k, value * factor)
            store(tile.bar, 0, k, A)
            store(tile.bar, 1, k, B)


@compiled
def _among(plan: TripletPlan, groups: tuple[int, int], h: int) -> bool:
    found = False
    for g in range(groups[0], groups[1]):
        found = found or plan.group_weight[g] == h
    return found


@compiled
def spread(tile: Tile, pull: Pull, m: int) -> None:
    """Add a contracted tile to the sums of its neighbours."""
    sums, angle, phi, width = pull.sums, tile.angle, tile.phi, len(pull.columns)
    k_rows = (3 * m * width, 3 * m * width)
    j_rows = ((3 * m + 1) * width, (3 * m + 2) * width)
    for n in range(0, tile.used[0], 8):
        a, b = load8(tile.bar, 0, n), 2.0 * load8(tile.bar, 1, n)
        c = a * load8(angle, 1, n)
        d = a * load8(angle, 2, n) - b
        f0, f1, f2 = load8(phi, 0, n), load8(phi, 1, n), load8(phi, 2, n)
        x, y, z = d * load8(angle, 6, n), d * load8(angle, 7, n), d * load8(angle, 8, n)
        add8(sums, j_rows, tile.first, (n, 0), (x, y, z, c, b, f0, f1, f2))
        x, y, z = d * load8(angle, 3, n), d * load8(angle, 4, n), d * load8(angle, 5, n)
        add8(sums, k_rows, tile.second, (n, 0), (x, y, z, c, b, f0, f1, f2))
        for h in range(3, len(phi), 8):
            f = (
                load8(phi, h, n),
                load8(phi, h + 1, n),
                load8(phi, h + 2, n),
                load8(phi, h + 3, n),
                load8(phi, h + 4, n),
                load8(phi, h + 5, n),
                load8(phi, h + 6, n),
                load8(phi, h + 7, n),
            )
            add8(sums, j_rows, tile.first, (n, h + 5), f)
            add8(sums, k_rows, tile.second, (n, h + 5), f)


@compiled
def gradients(hood: Hood, pull: Pull, m: int) -> None:
    """Write the gradient by each neighbour's vector to ``forces``, and clear the sums."""
    sums, near, rate, width = pull.sums, hood.geometry, hood.rate, len(pull.columns)
    base = 3 * m * width
    for k in range(hood.starts[-1]):
        for c in range(0, sums.shape[1], 8):
            copies = load8(sums, base + width + k, c) + load8(sums, base + 2 * width + k, c)
            store(sums, base + k, c, load8(sums, base + k, c) + copies)
            store(sums, base + width + k, c, splat(copies, 0.0))
            store(sums, base + 2 * width + k, c, splat(copies, 0.0))
    rows = sums[base : base + width]
    for k in range(0, hood.starts[-1], 8):
        s = take8(rows, pull.columns, k, 0)
        inverse = load8(near, 4, k)
        along = s[4] - s[3] * inverse * inverse
        along = along + s[5] * load8(rate, 0, k) + s[6] * load8(rate, 1, k)
        along = along + s[7] * load8(rate, 2, k)
        for h in range(3, len(rate), 8):
            t = take8(rows, pull.columns, k, h + 5)
            along = along + t[0] * load8(rate, h, k) + t[1] * load8(rate, h + 1, k)
            along = along + t[2] * load8(rate, h + 2, k) + t[3] * load8(rate, h + 3, k)
            along = along + t[4] * load8(rate, h + 4, k) + t[5] * load8(rate, h + 5, k)
            along = along + t[6] * load8(rate, h + 6, k) + t[7] * load8(rate, h + 7, k)
        store(pull.forces, 0, k, s[0] + along * load8(near, 0, k))
        store(pull.forces, 1, k, s[1] + along * load8(near, 1, k))
        store(pull.forces, 2, k, s[2] + along * load8(near, 2, k))
    sums[base : base + hood.starts[-1]] = 0.0
