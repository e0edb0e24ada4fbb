"""Radial functions, and angular ones by moments: values and the pull-back of an adjoint.

Both are linear in the number of pairs. Wide angular functions with integer ζ come from moments
of the neighbour density instead of a loop over triplets: with S_p = Σ_k p!/(a!b!c!) A^s_k A^t_k
over the monomials k of degree p (and ½(… − Σ_j w_j²) for two neighbours of one element), a
function is 2^{1−ζ} Σ_p C(ζ,p) λ^p S_p. Directions are unit vectors, so that a moment of degree
p is the trace of moments of degree p + 2: only the two highest degrees P and P − 1, (P + 1)²
monomials, are summed over the neighbours. Everything is accumulated in float64, because the
terms alternate in sign for λ = −1.

In all kernels ``atoms`` lists the central atoms, and ``moments`` is (len(atoms), E, H, K + 1),
with Σ_j w_j² last.
"""

from __future__ import annotations

import numpy as np

from aga.potential.jit import compiled, lanes_of, vectorised
from aga.potential.neighbours import PairArrays
from aga.potential.symmetry.block import Block, block_width, fill_block, make_block
from aga.potential.symmetry.monomials import lower_moments, monomial_moments, monomial_products
from aga.potential.symmetry.plan import QUARTIC, Plan
from aga.potential.symmetry.pullback import add_virial, moment_adjoint, pair_adjoint, to_cartesian
from aga.potential.symmetry.quartic import quartic_moments, quartic_products
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["values", "vjp"]


@compiled
def values(
    plan: Plan, pairs: PairArrays, atoms: IntArray, G: FloatArray, moments: FloatArray
) -> None:
    """Write the rows of the descriptor G (N, D) and the moments."""
    vectors, starts = pairs.vectors, pairs.starts
    block = make_block(plan, starts.shape[1] - 1, block_width(starts, atoms))
    for a in range(len(atoms)):
        fill_block(plan, block, vectors, starts, atoms[a])
        _radial(plan, block, G[atoms[a]])
        if plan.degree > 0:
            _moments(plan, block, moments[a])
            _angular(plan, moments[a], G[atoms[a]])


@vectorised
def _radial(plan: Plan, block: Block, G: FloatArray) -> None:
    e, cut, rows, places = block.e, block.cut, plan.radial_gaussian, plan.radial_cutoff
    columns, starts, ends = plan.radial_column, plan.radial_starts, block.ends
    for s in range(len(ends) - 1):
        for f in range(starts[s], starts[s + 1]):
            row, c = rows[f], places[f]
            total = 0.0
            for j in lanes_of(ends[s], ends[s + 1]):
                total += e[row, j] * cut[c, 0, j]
            G[columns[f]] = total


@compiled
def _moments(plan: Plan, block: Block, A: FloatArray) -> None:
    """Write the moments (E, H, K + 1) of one atom."""
    unit, w, m, ends = block.unit, block.w, block.m, block.ends
    for s in range(len(ends) - 1):
        for h in range(len(w)):
            lanes = (h, ends[s], ends[s + 1])
            if plan.degree == QUARTIC:
                quartic_moments(unit, w, lanes, A, s)
            else:
                monomial_moments(m, w, lanes, plan.degree_starts, A, s)
    if plan.degree > QUARTIC:
        lower_moments(plan.higher, plan.degree_starts[plan.degree - 1], A)


@vectorised
def _angular(plan: Plan, A: FloatArray, G: FloatArray) -> None:
    columns, coefficients, last = plan.angular_column, plan.coefficients, len(plan.weights)
    groups, group_starts = plan.groups, plan.group_starts
    S = np.empty(plan.degree + 1)
    for q in range(len(groups)):
        s, t, h = groups[q, 0], groups[q, 1], groups[q, 2]
        if plan.degree == QUARTIC:
            S[0], S[1], S[2], S[3], S[4] = quartic_products(A, s, t, h)
        else:
            monomial_products(plan.weights, plan.degree_starts, A, (s, t, h), S)
        if s == t:
            for p in range(len(S)):
                S[p] = 0.5 * (S[p] - A[s, h, last])
        for f in range(group_starts[q], group_starts[q + 1]):
            total = 0.0
            for p in range(len(S)):
                total += coefficients[f, p] * S[p]
            G[columns[f]] = total


@compiled
def vjp(
    plan: Plan,
    pairs: PairArrays,
    atoms: IntArray,
    moments: FloatArray,
    adjoints: FloatArray,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    """Add ∂(Σ g·G)/∂R to (M, N, 3) and ∂(Σ g·G)/∂ε to (M, B, 3, 3) for adjoints (M, N, D)."""
    vectors, starts, second, owners = pairs.vectors, pairs.starts, pairs.second, pairs.owners
    elements = starts.shape[1] - 1
    block = make_block(plan, elements, block_width(starts, atoms))
    bar = np.zeros((elements, moments.shape[2], moments.shape[3]))
    for a in range(len(atoms)):
        i = atoms[a]
        fill_block(plan, block, vectors, starts, i)
        for member in range(len(adjoints)):
            moment_adjoint(plan, moments[a], adjoints[member, i], bar)
            pair_adjoint(plan, block, bar, adjoints[member, i])
            to_cartesian(block)
            _scatter(block.out, block.ends, second, starts, i, gradient[member])
            add_virial(block, strain[member, owners[i]])


@compiled
def _scatter(
    out: FloatArray,
    ends: IntArray,
    second: IntArray,
    starts: IntArray,
    i: int,
    gradient: FloatArray,
) -> None:
    x, y, z = 0.0, 0.0, 0.0
    for s in range(len(ends) - 1):
        shift = ends[s] - starts[i, s]
        for p in range(starts[i, s], starts[i, s + 1]):
            k, j = second[p], p + shift
            gradient[k, 0] += out[0, j]
            gradient[k, 1] += out[1, j]
            gradient[k, 2] += out[2, j]
            x += out[0, j]
            y += out[1, j]
            z += out[2, j]
    gradient[i, 0] -= x
    gradient[i, 1] -= y
    gradient[i, 2] -= z
