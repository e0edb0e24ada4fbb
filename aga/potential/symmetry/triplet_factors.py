"""The factors of a tile's triplets that come from R_jk and from the angle."""

from __future__ import annotations

from aga.potential.jit import compiled
from aga.potential.lanes import Vector, inlined, load32, splat, store
from aga.potential.symmetry.powers import power
from aga.potential.symmetry.triplet_block import Tile
from aga.potential.symmetry.triplet_plan import TripletPlan
from aga.potential.symmetry.triplet_weights import cutoff_and_slope, cutoff_function, exponential

__all__ = ["factors", "factors_and_slopes", "terms", "terms_and_slopes"]


@compiled
def factors(plan: TripletPlan, tile: Tile, q: int) -> None:
    """Write g(R_jk) for the groups of a pair of elements."""
    known = -1
    for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
        h, row = plan.group_weight[g], g - plan.pair_groups[q]
        if not plan.narrow[h]:
            tile.h[row] = 1.0
            continue
        if plan.weight_cutoff[h] != known:
            for k in range(0, tile.used[0], 32):
                store(tile.cut, 0, k, cutoff_function(plan, h, load32(tile.angle, 0, k)))
            known = plan.weight_cutoff[h]
        for k in range(0, tile.used[0], 32):
            e = exponential(plan, h, load32(tile.angle, 0, k))[0]
            store(tile.h, row, k, e * load32(tile.cut, 0, k))


@compiled
def factors_and_slopes(plan: TripletPlan, tile: Tile, q: int) -> None:
    """Write g(R_jk) and its slope by R_jk² for the groups of a pair of elements."""
    known = -1
    for g in range(plan.pair_groups[q], plan.pair_groups[q + 1]):
        h, row = plan.group_weight[g], g - plan.pair_groups[q]
        if not plan.narrow[h]:
            tile.h[row], tile.dh[row] = 1.0, 0.0
            continue
        if plan.weight_cutoff[h] != known:
            for k in range(0, tile.used[0], 32):
                f, df = cutoff_and_slope(plan, h, load32(tile.angle, 0, k))
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
    """Write (1 + λ cos θ)^ζ for the terms of a pair of elements."""
    for term in range(plan.pair_terms[q], plan.pair_terms[q + 1]):
        row, lambda_, zeta = term - plan.pair_terms[q], plan.term_lambda[term], plan.term_zeta[term]
        whole = int(zeta)
        _fraction(tile, row, lambda_, zeta)
        for k in range(0, tile.used[0], 32):
            base = 1.0 + lambda_ * load32(tile.angle, 1, k)
            start = load32(tile.p, row, k) if zeta > whole else splat(base, 1.0)
            store(tile.p, row, k, _raised(start, base, whole))


@compiled
def terms_and_slopes(plan: TripletPlan, tile: Tile, q: int) -> None:
    """Write (1 + λ cos θ)^ζ and its derivative for the terms of a pair of elements."""
    for term in range(plan.pair_terms[q], plan.pair_terms[q + 1]):
        row, lambda_, zeta = term - plan.pair_terms[q], plan.term_lambda[term], plan.term_zeta[term]
        whole = int(zeta)
        _fraction(tile, row, lambda_, zeta)
        for k in range(0, tile.used[0], 32):
            base = 1.0 + lambda_ * load32(tile.angle, 1, k)
            start = load32(tile.p, row, k) if zeta > whole else splat(base, 1.0)
            below = _raised(start, base, whole - 1)
            store(tile.p, row, k, base * below)
            store(tile.dp, row, k, (zeta * lambda_) * below)


@compiled
def _fraction(tile: Tile, row: int, lambda_: float, zeta: float) -> None:
    """Write (1 + λ cos θ)^(ζ − ⌊ζ⌋) to the row of a term, if ζ is not an integer."""
    part = zeta - int(zeta)
    if part > 0.0:
        for k in range(0, tile.used[0], 32):
            store(tile.p, row, k, power(1.0 + lambda_ * load32(tile.angle, 1, k), part))


@inlined
def _raised(start: Vector, base: Vector, n: int) -> Vector:
    """Give start · baseⁿ."""
    while n > 0:
        if n & 1:
            start = start * base
        base = base * base
        n >>= 1
    return start
