"""Directional derivatives of the symmetry functions, and the dense Jacobian of small cells."""

from __future__ import annotations

import numpy as np

from aga.potential.block import Block, fill_block, gaussian, make_block
from aga.potential.jit import compiled, vectorised
from aga.potential.kernels import block_width, moment_adjoint, pair_adjoint, to_cartesian
from aga.potential.neighbours import PairArrays
from aga.potential.plan import Plan
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["jacobian", "jvp"]


@compiled
def jvp(
    plan: Plan, pairs: PairArrays, moments: FloatArray, steps: FloatArray, dG: FloatArray
) -> None:
    """Write the change dG (N, D) for a change ``steps`` (P, 3) of the pair vectors."""
    vectors, starts = pairs.vectors, pairs.starts
    block = make_block(plan, block_width(starts))
    change = np.zeros(moments.shape[1:])
    for i in range(len(starts)):
        for s in range(starts.shape[1] - 1):
            n = fill_block(plan, block, vectors, starts[i, s], starts[i, s + 1])
            _resolve(block, n, steps[starts[i, s] : starts[i, s + 1]])
            _radial_change(plan, block, n, s, dG[i])
            _moment_change(plan, block, n, change[s])
        _angular_change(plan, moments[i], change, dG[i])


@compiled
def _resolve(block: Block, n: int, steps: FloatArray) -> None:
    """Write the changes of direction and distance to ``block.out``."""
    for j in range(n):
        dr = 0.0
        for a in range(3):
            dr += block.unit[a, j] * steps[j, a]
        for a in range(3):
            block.out[a, j] = (steps[j, a] - dr * block.unit[a, j]) / block.r[j]
        block.out[3, j] = dr


@vectorised
def _radial_change(plan: Plan, block: Block, n: int, s: int, dG: FloatArray) -> None:
    e, cut, r, dr = block.spare[0], block.cut, block.r, block.out[3]
    for f in range(plan.radial_starts[s], plan.radial_starts[s + 1]):
        eta, shift = plan.radial_eta[f], plan.radial_shift[f]
        gaussian(e, r, n, eta, shift)
        total = 0.0
        for j in range(n):
            total += e[j] * (cut[1, j] - 2.0 * eta * (r[j] - shift) * cut[0, j]) * dr[j]
        dG[plan.radial_column[f]] = total


@vectorised
def _moment_change(plan: Plan, block: Block, n: int, dA: FloatArray) -> None:
    dm, dr, last = block.spare[0], block.out[3], len(plan.weights)
    for k in range(last):
        m = block.m[k]
        for j in range(n):
            dm[j] = 0.0
        for axis in range(3):
            power = float(plan.powers[k, axis])
            if power > 0.0:
                below, du = block.m[plan.lower[k, axis]], block.out[axis]
                for j in range(n):
                    dm[j] += power * below[j] * du[j]
        for h in range(len(plan.etas)):
            w, slope = block.w[h], block.slope[h]
            total = 0.0
            for j in range(n):
                total += slope[j] * dr[j] * m[j] + w[j] * dm[j]
            dA[h, k] = total
    for h in range(len(plan.etas)):
        w, slope = block.w[h], block.slope[h]
        total = 0.0
        for j in range(n):
            total += 2.0 * w[j] * slope[j] * dr[j]
        dA[h, last] = total


@compiled
def _angular_change(plan: Plan, A: FloatArray, dA: FloatArray, dG: FloatArray) -> None:
    for f in range(len(plan.angular_column)):
        dG[plan.angular_column[f]] = 0.0
    last = len(plan.weights)
    for q in range(len(plan.groups)):
        s, t, h = plan.groups[q]
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
    plan: Plan, pairs: PairArrays, begin: int, moments: FloatArray, out: FloatArray
) -> None:
    """Add dG/d(R, ε) of the structure whose atoms begin at ``begin`` to ``out`` (n, D, 3n + 6)."""
    vectors, starts = pairs.vectors, pairs.starts[begin : begin + len(out)]
    block = make_block(plan, block_width(starts))
    atoms, elements = len(starts), starts.shape[1] - 1
    unit = np.zeros(plan.size)
    bar = np.empty((plan.size, elements, moments.shape[2], moments.shape[3]))
    for i in range(atoms):
        for d in range(plan.size):
            unit[d] = 1.0
            moment_adjoint(plan, moments[begin + i], unit, bar[d])
            unit[d] = 0.0
        for s in range(elements):
            start = starts[i, s]
            n = fill_block(plan, block, vectors, start, starts[i, s + 1])
            for d in range(plan.size):
                unit[d] = 1.0
                pair_adjoint(plan, block, n, s, bar[d, s], unit)
                unit[d] = 0.0
                to_cartesian(block, n)
                _gather(
                    block.out,
                    vectors[start : start + n],
                    pairs.second[start : start + n] - begin,
                    i,
                    out[i, d],
                )


@compiled
def _gather(
    out: FloatArray, vectors: FloatArray, second: IntArray, i: int, row: FloatArray
) -> None:
    strain = 3 * ((len(row) - 6) // 3)
    for j in range(len(second)):
        for a in range(3):
            f = out[a, j]
            row[3 * i + a] -= f
            row[3 * second[j] + a] += f
            row[strain + a] += f * vectors[j, a]
        row[strain + 3] += 0.5 * (out[1, j] * vectors[j, 2] + out[2, j] * vectors[j, 1])
        row[strain + 4] += 0.5 * (out[0, j] * vectors[j, 2] + out[2, j] * vectors[j, 0])
        row[strain + 5] += 0.5 * (out[0, j] * vectors[j, 1] + out[1, j] * vectors[j, 0])
