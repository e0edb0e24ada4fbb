"""Directional derivatives of radial functions and moments, and the dense Jacobian."""

from __future__ import annotations

import numpy as np

from aga.potential.jit import compiled, lanes_of, vectorised
from aga.potential.neighbours import PairArrays
from aga.potential.symmetry.block import Block, block_width, fill_block, make_block
from aga.potential.symmetry.monomials import fill_monomials, lower_moments
from aga.potential.symmetry.plan import Plan
from aga.potential.symmetry.pullback import moment_adjoint, pair_adjoint, to_cartesian
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["jacobian", "jvp"]


@compiled
def jvp(
    plan: Plan,
    pairs: PairArrays,
    atoms: IntArray,
    moments: FloatArray,
    steps: FloatArray,
    dG: FloatArray,
) -> None:
    """Write the change dG (N, D) for a change ``steps`` (P, 3) of the pair vectors."""
    vectors, starts = pairs.vectors, pairs.starts
    width = block_width(starts, atoms)
    block, m = make_block(plan, starts.shape[1] - 1, width), np.empty((len(plan.weights), width))
    change = np.zeros(moments.shape[1:])
    for a in range(len(atoms)):
        i = atoms[a]
        fill_block(plan, block, vectors, starts, i)
        _resolve(block, starts, i, steps)
        _radial_change(plan, block, dG[i])
        if plan.degree > 0:
            fill_monomials(m, block.unit, plan.powers, plan.lower, block.ends[-1])
            _moment_change(plan, block, m, change)
            _angular_change(plan, moments[a], change, dG[i])


@compiled
def _resolve(block: Block, starts: IntArray, i: int, steps: FloatArray) -> None:
    """Write the changes of direction and distance to ``block.out``."""
    unit, r, out, ends = block.unit, block.r, block.out, block.ends
    for axis in range(4):
        for j in range(ends[-1]):
            out[axis, j] = 0.0
    for s in range(len(ends) - 1):
        shift = ends[s] - starts[i, s]
        for p in range(starts[i, s], starts[i, s + 1]):
            j = p + shift
            x, y, z = steps[p, 0], steps[p, 1], steps[p, 2]
            dr = unit[0, j] * x + unit[1, j] * y + unit[2, j] * z
            out[0, j] = (x - dr * unit[0, j]) / r[j]
            out[1, j] = (y - dr * unit[1, j]) / r[j]
            out[2, j] = (z - dr * unit[2, j]) / r[j]
            out[3, j] = dr


@vectorised
def _radial_change(plan: Plan, block: Block, dG: FloatArray) -> None:
    e, cut, r, out, ends = block.e, block.cut, block.r, block.out, block.ends
    for s in range(len(ends) - 1):
        for f in range(plan.radial_starts[s], plan.radial_starts[s + 1]):
            row, c = plan.radial_gaussian[f], plan.radial_cutoff[f]
            eta, shift = plan.gaussians[row, 0], plan.gaussians[row, 1]
            total = 0.0
            for j in lanes_of(ends[s], ends[s + 1]):
                slope = cut[c, 1, j] - 2.0 * eta * (r[j] - shift) * cut[c, 0, j]
                total += e[row, j] * slope * out[3, j]
            dG[plan.radial_column[f]] = total


@compiled
def _moment_change(plan: Plan, block: Block, m: FloatArray, dA: FloatArray) -> None:
    """Write the change (E, H, K + 1) of the moments of one atom."""
    dm = np.empty(block.ends[-1])
    for k in range(plan.degree_starts[plan.degree - 1], len(plan.weights)):
        _monomial_change(plan, block, m, k, dm)
        _sum_change(block, m, k, dm, dA)
    lower_moments(plan.higher, plan.degree_starts[plan.degree - 1], dA)
    _square_change(block, dA)


@vectorised
def _monomial_change(plan: Plan, block: Block, m: FloatArray, k: int, dm: FloatArray) -> None:
    out = block.out
    for j in range(len(dm)):
        dm[j] = 0.0
    for axis in range(3):
        power, below = float(plan.powers[k, axis]), plan.lower[k, axis]
        if power > 0.0:
            for j in range(len(dm)):
                dm[j] += power * m[below, j] * out[axis, j]


@vectorised
def _sum_change(block: Block, m: FloatArray, k: int, dm: FloatArray, dA: FloatArray) -> None:
    w, slope, out, ends = block.w, block.slope, block.out, block.ends
    for s in range(len(ends) - 1):
        for h in range(len(w)):
            total = 0.0
            for j in lanes_of(ends[s], ends[s + 1]):
                total += slope[h, j] * out[3, j] * m[k, j] + w[h, j] * dm[j]
            dA[s, h, k] = total


@vectorised
def _square_change(block: Block, dA: FloatArray) -> None:
    w, slope, out, ends = block.w, block.slope, block.out, block.ends
    for s in range(len(ends) - 1):
        for h in range(len(w)):
            total = 0.0
            for j in lanes_of(ends[s], ends[s + 1]):
                total += 2.0 * w[h, j] * slope[h, j] * out[3, j]
            dA[s, h, -1] = total


@compiled
def _angular_change(plan: Plan, A: FloatArray, dA: FloatArray, dG: FloatArray) -> None:
    for f in range(len(plan.angular_column)):
        dG[plan.angular_column[f]] = 0.0
    last = len(plan.weights)
    for q in range(len(plan.groups)):
        s, t, h = plan.groups[q, 0], plan.groups[q, 1], plan.groups[q, 2]
        for p in range(plan.degree + 1):
            total = 0.0
            for k in range(plan.degree_starts[p], plan.degree_starts[p + 1]):
                total += plan.weights[k] * (dA[s, h, k] * A[t, h, k] + A[s, h, k] * dA[t, h, k])
            if s == t:
                total = 0.5 * (total - dA[s, h, last])
            for f in range(plan.group_starts[q], plan.group_starts[q + 1]):
                dG[plan.angular_column[f]] += plan.coefficients[f, p] * total


@compiled
def jacobian(
    plan: Plan,
    pairs: PairArrays,
    atoms: IntArray,
    begin: int,
    moments: FloatArray,
    out: FloatArray,
) -> None:
    """Add dG/d(R, ε) of ``atoms`` of the structure that begins at ``begin`` to (n, D, 3n + 6)."""
    vectors, starts = pairs.vectors, pairs.starts
    elements = starts.shape[1] - 1
    block = make_block(plan, elements, block_width(starts, atoms))
    unit = np.zeros(out.shape[1])
    bar = np.zeros((elements, moments.shape[2], moments.shape[3]))
    columns = np.concatenate((plan.radial_column, plan.angular_column))
    for a in range(len(atoms)):
        i = atoms[a]
        fill_block(plan, block, vectors, starts, i)
        for d in columns:
            unit[d] = 1.0
            moment_adjoint(plan, moments[a], unit, bar)
            pair_adjoint(plan, block, bar, unit)
            unit[d] = 0.0
            to_cartesian(block)
            _gather(block, pairs, (i, begin), out[i - begin, d])


@compiled
def _gather(block: Block, pairs: PairArrays, where: tuple[int, int], row: FloatArray) -> None:
    """Add the derivatives by the pair vectors of atom i to its row of the Jacobian."""
    i, begin = where
    out, vectors, starts, ends = block.out, pairs.vectors, pairs.starts, block.ends
    strain = len(row) - 6
    for s in range(len(ends) - 1):
        for p in range(starts[i, s], starts[i, s + 1]):
            j, k = p - starts[i, s] + ends[s], pairs.second[p] - begin
            x, y, z = vectors[p, 0], vectors[p, 1], vectors[p, 2]
            for axis in range(3):
                row[3 * (i - begin) + axis] -= out[axis, j]
                row[3 * k + axis] += out[axis, j]
                row[strain + axis] += out[axis, j] * vectors[p, axis]
            row[strain + 3] += 0.5 * (out[1, j] * z + out[2, j] * y)
            row[strain + 4] += 0.5 * (out[0, j] * z + out[2, j] * x)
            row[strain + 5] += 0.5 * (out[0, j] * y + out[1, j] * x)
