"""The factors of a weight as polynomials, for whole vectors of squared distances."""

from __future__ import annotations

from aga.potential.lanes import Vector, inlined, maximum, root, splat
from aga.potential.symmetry.triplet_plan import TripletPlan
from aga.structure.candidate import FloatArray

__all__ = ["cutoff_and_slope", "cutoff_function", "exponential", "horner", "horner_and_slope"]


@inlined
def horner(table: FloatArray, row: int, degree: int, z: Vector) -> Vector:
    """Evaluate a polynomial."""
    value = splat(z, table[row, degree])
    for n in range(degree - 1, -1, -1):
        value = value * z + table[row, n]
    return value


@inlined
def horner_and_slope(table: FloatArray, row: int, degree: int, z: Vector) -> tuple[Vector, Vector]:
    """Evaluate a polynomial and its derivative."""
    value, slope = splat(z, table[row, degree]), splat(z, 0.0)
    for n in range(degree - 1, -1, -1):
        slope = slope * z + value
        value = value * z + table[row, n]
    return value, slope


@inlined
def _place(plan: TripletPlan, h: int, x: Vector) -> tuple[Vector, Vector]:
    """Give z and dz/dx of a squared distance x for a weight's cutoff function."""
    cutoff = plan.cutoffs[plan.weight_cutoff[h]]
    if plan.quadratic and plan.inner == 0.0:
        along = splat(x, -2.0 / (cutoff * cutoff))
        z = x * along + 1.0
    else:
        width = (1.0 - plan.inner) * cutoff
        r = root(maximum(x, 1e-12))
        s = maximum((r - plan.inner * cutoff) * (1.0 / width), 0.0)
        if plan.quadratic:
            z = 1.0 - 2.0 * s * s
            along = (-2.0 / width) * s / r
        else:
            z = 1.0 - 2.0 * s
            along = (-1.0 / width) / r
    return maximum(z, -1.0), along


@inlined
def cutoff_function(plan: TripletPlan, h: int, x: Vector) -> Vector:
    """Give f_c of a squared distance x; exactly 0 from the cutoff on."""
    z = _place(plan, h, x)[0]
    t = 0.5 * z + 0.5
    return t * t * horner(plan.cut, 0, plan.cut.shape[1] - 1, z)


@inlined
def cutoff_and_slope(plan: TripletPlan, h: int, x: Vector) -> tuple[Vector, Vector]:
    """Give f_c and df_c/dx of a squared distance x; both exactly 0 from the cutoff on."""
    z, along = _place(plan, h, x)
    q, dq = horner_and_slope(plan.cut, 0, plan.cut.shape[1] - 1, z)
    t = 0.5 * z + 0.5
    q = t * q
    return t * q, (q + t * t * dq) * along


@inlined
def exponential(plan: TripletPlan, h: int, x: Vector) -> tuple[Vector, Vector]:
    """Give e = exp(−η (R − R_s)²) and (de/dx)/e of a squared distance x within the cutoff."""
    if plan.shift[h] == 0.0:
        z = 1.0 - (2.0 * plan.scale[h]) * x
        rate = splat(x, -plan.eta[h])
    else:
        r = root(maximum(x, 1e-12))
        u = r - plan.shift[h]
        z = 1.0 - (2.0 * plan.scale[h]) * u * u
        rate = (-plan.eta[h]) * u / r
    e = horner(plan.exponential, h, plan.degree[h], maximum(z, -1.0))
    for _ in range(plan.squarings[h]):
        e = e * e
    return e, rate
