"""Angular functions by a loop over triplets: the narrow form, and ζ that moments cannot do.

One atom after the other and one pair of neighbour elements after the other, in tiles of some
two hundred triplets; no square root, exponential or cosine of R_jk is taken (see TripletPlan).
The pull back has ∂E/∂G from the beginning, so all functions of a group are one polynomial in
cos θ, and nothing is stored per triplet and function.

With D = v_j·v_k a function depends on D, R_j and R_k alone (R_jk² = R_j² + R_k² − 2D), and the
energy φ = Σ_h φ_h of a triplet, φ_h ∝ g_h(R_j) g_h(R_k), has

    ∂φ/∂v_j = (∂φ/∂D) v_k + v_j (2B − A cos θ/R_j² + Σ_h φ_h (d ln g_h/dR_j)/R_j),
    ∂φ/∂D = A/(R_j R_k) − 2B,    A = ∂φ/∂cos θ,    B = ∂φ/∂(R_jk²).
"""

from __future__ import annotations

from aga.potential.jit import compiled
from aga.potential.lanes import load8, load32, splat, store, total
from aga.potential.neighbours import PairArrays
from aga.potential.symmetry.triplet_block import Hood, Tile, fill, make_hood, make_tile, pack
from aga.potential.symmetry.triplet_factors import (
    factors,
    factors_and_slopes,
    terms,
    terms_and_slopes,
)
from aga.potential.symmetry.triplet_plan import TripletPlan
from aga.potential.symmetry.triplet_pull import begin_pull, contract, gradients, make_pull, spread
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["values", "vjp"]


@compiled
def values(plan: TripletPlan, pairs: PairArrays, atoms: IntArray, G: FloatArray) -> None:
    """Write the plan's columns of G (N, D) for the listed atoms, all of the plan's element."""
    if len(atoms) == 0:
        return
    hood = make_hood(plan, pairs.starts, atoms)
    tile = make_tile(plan, hood)
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
        row, h = g - plan.pair_groups[q], plan.group_weight[g]
        for k in range(0, tile.used[0], 32):
            store(tile.cut, 0, k, load32(tile.omega, h, k) * load32(tile.h, row, k))
        last = plan.group_functions[g + 1] - 1
        for f in range(plan.group_functions[g], last + 1, 2):  # two at a time: a third fewer loads
            zero = splat(load32(tile.cut, 0, 0), 0.0)
            one, two, t, u = zero, zero, plan.term[f], plan.term[min(f + 1, last)]
            for k in range(0, tile.used[0], 32):
                weight = load32(tile.cut, 0, k)
                one = one + weight * load32(tile.p, t, k)
                two = two + weight * load32(tile.p, u, k)
            G[i, plan.column[f]] += plan.factor[f] * total(one)
            if f < last:
                G[i, plan.column[f + 1]] += plan.factor[f + 1] * total(two)


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
    tile = make_tile(plan, hood)
    pull = make_pull(plan, members, hood)
    for i in atoms:
        for m in range(members):
            for f in range(len(plan.column)):
                pull.amounts[m, f] = adjoints[m, i, plan.column[f]]
        begin_pull(plan, pull)
        pack(plan, hood, pairs.vectors, pairs.starts[i])
        for q in range(len(plan.pairs)):
            groups, j = (plan.pair_groups[q], plan.pair_groups[q + 1]), 0
            while j >= 0:
                j = fill(plan, hood, tile, q, j)
                factors_and_slopes(plan, tile, q)
                if plan.pair_direct[q]:
                    terms_and_slopes(plan, tile, q)
                for m in range(members):
                    contract(plan, tile, pull, (q, m), groups)
                    spread(tile, pull, m)
        for m in range(members):
            gradients(hood, pull, m)
            _scatter(pull.forces, hood, pairs, i, gradient[m], strain[m, pairs.owners[i]])


@compiled
def _scatter(
    forces: FloatArray,
    hood: Hood,
    pairs: PairArrays,
    i: int,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    width = hood.starts[-1]
    for a in range(3):
        x = splat(load8(forces, 0, 0), 0.0)
        y, z, own = x, x, x
        for k in range(0, width, 8):
            f = load8(forces, a, k)
            own = own + f
            x = x + f * load8(hood.geometry, 0, k)
            y = y + f * load8(hood.geometry, 1, k)
            z = z + f * load8(hood.geometry, 2, k)
        gradient[i, a] -= total(own)
        strain[a, 0] += total(x)
        strain[a, 1] += total(y)
        strain[a, 2] += total(z)
    for k in range(width):
        if hood.pair[k] >= 0:
            second = pairs.second[hood.pair[k]]
            gradient[second, 0] += forces[0, k]
            gradient[second, 1] += forces[1, k]
            gradient[second, 2] += forces[2, k]
