"""The symmetry functions and their derivatives, linear in the number of pairs.

Wide angular functions with integer ζ come from moments of the neighbour density instead of a
loop over triplets: with S_p = Σ_k p!/(a!b!c!) A^s_k A^t_k over the monomials k of degree p (and
½(… − Σ_j w_j²) for two neighbours of one element), a function is 2^{1−ζ} Σ_p C(ζ,p) λ^p S_p.
Everything is accumulated in float64, because the terms alternate in sign for λ = −1.

In all kernels ``moments`` is (N, E, H, K + 1), with Σ_j w_j² last.
"""

from __future__ import annotations

import numpy as np

from aga.potential.block import Block, fill_block, gaussian, make_block
from aga.potential.jit import compiled, vectorised
from aga.potential.neighbours import PairArrays
from aga.potential.plan import Plan
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["block_width", "moment_adjoint", "pair_adjoint", "to_cartesian", "values", "vjp"]


@compiled
def block_width(starts: IntArray) -> int:
    """Give the largest number of neighbours of one element around one atom."""
    width = 1
    for i in range(len(starts)):
        for s in range(starts.shape[1] - 1):
            width = max(width, starts[i, s + 1] - starts[i, s])
    return width


@compiled
def values(plan: Plan, pairs: PairArrays, G: FloatArray, moments: FloatArray) -> None:
    """Write the descriptor G (N, D) and the moments."""
    vectors, starts = pairs.vectors, pairs.starts
    block = make_block(plan, block_width(starts))
    for i in range(len(starts)):
        for s in range(starts.shape[1] - 1):
            n = fill_block(plan, block, vectors, starts[i, s], starts[i, s + 1])
            _radial(plan, block, n, s, G[i])
            _moments(block, n, moments[i, s])
        _angular(plan, moments[i], G[i])


@vectorised
def _radial(plan: Plan, block: Block, n: int, s: int, G: FloatArray) -> None:
    e, cut = block.spare[0], block.cut[0]
    for f in range(plan.radial_starts[s], plan.radial_starts[s + 1]):
        gaussian(e, block.r, n, plan.radial_eta[f], plan.radial_shift[f])
        total = 0.0
        for j in range(n):
            total += e[j] * cut[j]
        G[plan.radial_column[f]] = total


@vectorised
def _moments(block: Block, n: int, A: FloatArray) -> None:
    last = len(block.m)
    for h in range(len(block.w)):
        w = block.w[h]
        for k in range(last):
            m = block.m[k]
            total = 0.0
            for j in range(n):
                total += w[j] * m[j]
            A[h, k] = total
        square = 0.0
        for j in range(n):
            square += w[j] * w[j]
        A[h, last] = square


@compiled
def _angular(plan: Plan, A: FloatArray, G: FloatArray) -> None:
    for f in range(len(plan.angular_column)):
        G[plan.angular_column[f]] = 0.0
    last = len(plan.weights)
    for q in range(len(plan.groups)):
        s, t, h = plan.groups[q]
        for p in range(plan.degree + 1):
            total = 0.0
            for k in range(plan.degree_starts[p], plan.degree_starts[p + 1]):
                total += plan.weights[k] * A[s, h, k] * A[t, h, k]
            if s == t:
                total = 0.5 * (total - A[s, h, last])
            for f in range(plan.group_starts[q], plan.group_starts[q + 1]):
                G[plan.angular_column[f]] += plan.coefficients[f, p] * total


@compiled
def moment_adjoint(plan: Plan, A: FloatArray, g: FloatArray, bar: FloatArray) -> None:
    """Write ∂(g·G)/∂A for one atom; ``bar`` has the shape of its moments."""
    bar[:] = 0.0
    last = len(plan.weights)
    for q in range(len(plan.groups)):
        s, t, h = plan.groups[q]
        for p in range(plan.degree + 1):
            total = 0.0
            for f in range(plan.group_starts[q], plan.group_starts[q + 1]):
                total += g[plan.angular_column[f]] * plan.coefficients[f, p]
            if total == 0.0:
                continue
            for k in range(plan.degree_starts[p], plan.degree_starts[p + 1]):
                bar[s, h, k] += total * plan.weights[k] * A[t, h, k]
                if s != t:
                    bar[t, h, k] += total * plan.weights[k] * A[s, h, k]
            if s == t:
                bar[s, h, last] -= 0.5 * total


@vectorised
def pair_adjoint(plan: Plan, block: Block, n: int, s: int, bar: FloatArray, g: FloatArray) -> None:
    """Write ∂(g·G)/∂u and ∂(g·G)/∂r of each neighbour in the block to ``block.out``."""
    out, dr, e, cut = block.out, block.out[3], block.spare[0], block.cut
    for a in range(4):
        for j in range(n):
            out[a, j] = 0.0
    for f in range(plan.radial_starts[s], plan.radial_starts[s + 1]):
        factor = g[plan.radial_column[f]]
        if factor != 0.0:
            eta, shift = plan.radial_eta[f], plan.radial_shift[f]
            gaussian(e, block.r, n, eta, shift)
            for j in range(n):
                dr[j] += factor * e[j] * (cut[1, j] - 2.0 * eta * (block.r[j] - shift) * cut[0, j])
    last = len(plan.weights)
    for h in range(len(plan.etas)):
        w, slope = block.w[h], block.slope[h]
        for j in range(n):
            dr[j] += 2.0 * bar[h, last] * w[j] * slope[j]
    _moment_pairs(plan, block, n, bar)


@vectorised
def _moment_pairs(plan: Plan, block: Block, n: int, bar: FloatArray) -> None:
    """Add what reaches the pairs through the moments."""
    c, dr = block.spare[1], block.out[3]
    for k in range(len(plan.weights)):
        if not _mix(block, n, bar[:, k]):
            continue
        b, m = block.spare[2], block.m[k]
        for j in range(n):
            dr[j] += b[j] * m[j]
        for axis in range(3):
            power = float(plan.powers[k, axis])
            if power > 0.0:
                du, below = block.out[axis], block.m[plan.lower[k, axis]]
                for j in range(n):
                    du[j] += power * c[j] * below[j]


@vectorised
def _mix(block: Block, n: int, factors: FloatArray) -> bool:
    """Write Σ_h factor w_h and Σ_h factor dw_h/dr to the scratch; False if all factors are 0."""
    c, b = block.spare[1], block.spare[2]
    some = False
    for h in range(len(factors)):
        factor = factors[h]
        if factor == 0.0:
            continue
        if not some:
            for j in range(n):
                c[j] = factor * block.w[h, j]
                b[j] = factor * block.slope[h, j]
        else:
            for j in range(n):
                c[j] += factor * block.w[h, j]
                b[j] += factor * block.slope[h, j]
        some = True
    return some


@compiled
def to_cartesian(block: Block, n: int) -> None:
    """Turn the adjoints of u and r in ``block.out[:3]`` into those of the vectors."""
    unit, out, r = block.unit, block.out, block.r
    for j in range(n):
        x, y, z = unit[0, j], unit[1, j], unit[2, j]
        dot = out[0, j] * x + out[1, j] * y + out[2, j] * z
        along = out[3, j] - dot / r[j]
        out[0, j] = out[0, j] / r[j] + along * x
        out[1, j] = out[1, j] / r[j] + along * y
        out[2, j] = out[2, j] / r[j] + along * z


@compiled
def vjp(
    plan: Plan,
    pairs: PairArrays,
    moments: FloatArray,
    adjoints: FloatArray,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    """Add ∂(Σ g·G)/∂R to (M, N, 3) and ∂(Σ g·G)/∂ε to (M, B, 3, 3) for adjoints (M, N, D)."""
    vectors, starts = pairs.vectors, pairs.starts
    block = make_block(plan, block_width(starts))
    members, elements = len(adjoints), starts.shape[1] - 1
    bar = np.empty((members, elements, moments.shape[2], moments.shape[3]))
    for i in range(len(starts)):
        for member in range(members):
            moment_adjoint(plan, moments[i], adjoints[member, i], bar[member])
        for s in range(elements):
            start = starts[i, s]
            n = fill_block(plan, block, vectors, start, starts[i, s + 1])
            for member in range(members):
                pair_adjoint(plan, block, n, s, bar[member, s], adjoints[member, i])
                to_cartesian(block, n)
                _scatter(
                    block.out,
                    vectors[start : start + n],
                    pairs.second[start : start + n],
                    i,
                    gradient[member],
                    strain[member, pairs.owners[i]],
                )


@compiled
def _scatter(
    out: FloatArray,
    vectors: FloatArray,
    second: IntArray,
    i: int,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    for j in range(len(second)):
        for a in range(3):
            f = out[a, j]
            gradient[i, a] -= f
            gradient[second[j], a] += f
            for b in range(3):
                strain[a, b] += f * vectors[j, b]
