"""The pull-back of an adjoint ∂E/∂G of one atom to its neighbours.

The moments' adjoints make a polynomial of the direction u for each channel h, so that
∂E/∂u = Σ_h w_h ∇Q_h(u) and ∂E/∂r = Σ_h w_h' Q_h(u); one pass over the pairs, no triplets.
"""

from __future__ import annotations

import numpy as np

from aga.potential.jit import compiled, lanes_of, vectorised
from aga.potential.symmetry.block import Block
from aga.potential.symmetry.monomials import monomial_adjoint, monomial_pull, raise_adjoint
from aga.potential.symmetry.plan import QUARTIC, Plan
from aga.potential.symmetry.quartic import quartic_adjoint, quartic_pull
from aga.structure.candidate import FloatArray

__all__ = ["add_virial", "moment_adjoint", "pair_adjoint", "to_cartesian"]


@vectorised
def moment_adjoint(plan: Plan, A: FloatArray, g: FloatArray, bar: FloatArray) -> None:
    """Write ∂(g·G)/∂A for one atom; ``bar`` has the shape of its moments.

    The lower degrees, traces of the two highest, pass theirs on to those.
    """
    bar[:] = 0.0
    columns, coefficients, last = plan.angular_column, plan.coefficients, len(plan.weights)
    groups, group_starts = plan.groups, plan.group_starts
    T = np.empty(plan.degree + 1)
    for q in range(len(groups)):
        s, t, h = groups[q, 0], groups[q, 1], groups[q, 2]
        some = False
        T[:] = 0.0
        for f in range(group_starts[q], group_starts[q + 1]):
            factor = g[columns[f]]
            some = some or factor != 0.0
            for p in range(len(T)):
                T[p] += factor * coefficients[f, p]
        if not some:
            continue
        if plan.degree == QUARTIC:
            factors = (T[0], T[1], T[2], T[3], T[4])
            quartic_adjoint(A, s, t, h, factors, bar)
            if s != t:
                quartic_adjoint(A, t, s, h, factors, bar)
        else:
            monomial_adjoint(plan.weights, plan.degree_starts, A, (s, t, h), T, bar)
        if s == t:
            for p in range(len(T)):
                bar[s, h, last] -= 0.5 * T[p]
    raise_adjoint(plan.higher, plan.degree_starts[max(plan.degree - 1, 0)], bar)


@compiled
def pair_adjoint(plan: Plan, block: Block, bar: FloatArray, g: FloatArray) -> None:
    """Write ∂(g·G)/∂u and ∂(g·G)/∂r of each neighbour in the block to ``block.out``.

    ``bar`` (E, H, K + 1) is the adjoint of the atom's moments.
    """
    _pull_radial(plan, block, g)
    unit, w, slope, D, out = block.unit, block.w, block.slope, block.D, block.out
    ends, last = block.ends, len(plan.weights)
    below = plan.degree_starts[max(plan.degree - 2, 0) :]
    for s in range(len(ends) - 1):
        for h in range(len(w)):
            if not _differentiate(plan, bar, s, h, D):
                continue
            lanes, square = (h, ends[s], ends[s + 1]), bar[s, h, last]
            if plan.degree == QUARTIC:
                quartic_pull(unit, w, slope, lanes, D, square, out)
            else:
                spans = (below[0], below[1], below[2])
                monomial_pull(unit, block.m, w, slope, lanes, spans, D, square, out)


@vectorised
def _pull_radial(plan: Plan, block: Block, g: FloatArray) -> None:
    e, cut, r, out, ends = block.e, block.cut, block.r, block.out, block.ends
    table, rows, places = plan.gaussians, plan.radial_gaussian, plan.radial_cutoff
    starts, columns = plan.radial_starts, plan.radial_column
    n = ends[-1]
    for axis in range(4):
        for j in range(n):
            out[axis, j] = 0.0
    for s in range(len(ends) - 1):
        for f in range(starts[s], starts[s + 1]):
            row, c, factor = rows[f], places[f], g[columns[f]]
            if factor == 0.0:
                continue
            eta, shift = table[row, 0], table[row, 1]
            for j in lanes_of(ends[s], ends[s + 1]):
                slope = cut[c, 1, j] - 2.0 * eta * (r[j] - shift) * cut[c, 0, j]
                out[3, j] += factor * e[row, j] * slope


@compiled
def _differentiate(plan: Plan, bar: FloatArray, s: int, h: int, D: FloatArray) -> bool:
    """Write the coefficients (3, K) of the gradient of Σ_k bar_k m_k, two highest degrees.

    False where all are zero.
    """
    top, powers, lower = plan.degree_starts[plan.degree - 1], plan.powers, plan.lower
    for axis in range(3):
        for k in range(D.shape[1]):
            D[axis, k] = 0.0
    some: bool = bar[s, h, len(powers)] != 0.0
    for k in range(top, len(powers)):
        some = some or bar[s, h, k] != 0.0
        for axis in range(3):
            if powers[k, axis] > 0:
                D[axis, lower[k, axis]] += powers[k, axis] * bar[s, h, k]
    return some


@vectorised
def to_cartesian(block: Block) -> None:
    """Turn the adjoints of u and r in ``block.out[:3]`` into those of the vectors."""
    unit, r, out, ends = block.unit, block.r, block.out, block.ends
    for j in range(ends[-1]):
        inverse = 1.0 / r[j]
        dot = out[0, j] * unit[0, j] + out[1, j] * unit[1, j] + out[2, j] * unit[2, j]
        along = out[3, j] - inverse * dot
        out[0, j] = out[0, j] * inverse + along * unit[0, j]
        out[1, j] = out[1, j] * inverse + along * unit[1, j]
        out[2, j] = out[2, j] * inverse + along * unit[2, j]


@vectorised
def add_virial(block: Block, strain: FloatArray) -> None:
    """Add Σ_j f ⊗ r u, made symmetric; in all its antisymmetric part is zero."""
    unit, r, out, ends = block.unit, block.r, block.out, block.ends
    xx, yy, zz, yz, xz, xy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for j in range(ends[-1]):
        x, y, z = r[j] * unit[0, j], r[j] * unit[1, j], r[j] * unit[2, j]
        xx += out[0, j] * x
        yy += out[1, j] * y
        zz += out[2, j] * z
        yz += out[1, j] * z + out[2, j] * y
        xz += out[0, j] * z + out[2, j] * x
        xy += out[0, j] * y + out[1, j] * x
    strain[0, 0] += xx
    strain[1, 1] += yy
    strain[2, 2] += zz
    strain[1, 2] += 0.5 * yz
    strain[2, 1] += 0.5 * yz
    strain[0, 2] += 0.5 * xz
    strain[2, 0] += 0.5 * xz
    strain[0, 1] += 0.5 * xy
    strain[1, 0] += 0.5 * xy
