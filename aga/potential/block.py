"""One atom's neighbours of one element, laid out so that the kernels run along them as vectors."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from aga.potential.jit import compiled, vectorised
from aga.potential.plan import Plan
from aga.structure.candidate import FloatArray

__all__ = ["Block", "fill_block", "gaussian", "make_block"]

_POWERS_OF_TWO = 2.0 ** -np.arange(1023.0)
"""2^{−k}."""

_LOG2_E = 1.0 / math.log(2.0)
_LN2_HIGH = 6.93147180369123816490e-01  # with 20 trailing zero bits: k·_LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_EXP = np.array([1.0 / math.factorial(n) for n in range(14)])
_SIN = np.array([(-1.0) ** n / math.factorial(2 * n + 1) for n in range(12)])
_COS = np.array([(-1.0) ** n / math.factorial(2 * n) for n in range(12)])


class Block(NamedTuple):
    """Work space; W is the largest number of neighbours of one element."""

    unit: FloatArray
    """(3, W) direction to each neighbour."""
    r: FloatArray
    """(W,) distance in Å."""
    cut: FloatArray
    """(2, W) cutoff function and its slope."""
    w: FloatArray
    """(H, W) exp(−η r²) f_c(r) of each angular η."""
    slope: FloatArray
    """(H, W) dw/dr."""
    m: FloatArray
    """(K, W) monomials of the direction."""
    out: FloatArray
    """(4, W) adjoint of the direction (three rows) and of the distance."""
    spare: FloatArray
    """(3, W) scratch."""


@compiled
def make_block(plan: Plan, width: int) -> Block:
    """Allocate the work space for blocks of up to ``width`` neighbours."""
    etas, monomials = len(plan.etas), len(plan.weights)
    return Block(
        np.empty((3, width)),
        np.empty(width),
        np.empty((2, width)),
        np.empty((etas, width)),
        np.empty((etas, width)),
        np.empty((monomials, width)),
        np.empty((4, width)),
        np.empty((3, width)),
    )


@compiled
def gaussian(out: FloatArray, r: FloatArray, n: int, eta: float, shift: float) -> None:
    """Write exp(−η (r − shift)²) for the first n distances (error below 1e−15).

    An exponential of our own because it vectorises; the argument is never positive.
    """
    for j in range(n):
        t = -eta * (r[j] - shift) * (r[j] - shift)
        t = max(t, -700.0)
        k = math.floor(t * _LOG2_E + 0.5)
        f = (t - k * _LN2_HIGH) - k * _LN2_LOW
        p = _EXP[13]
        p = p * f + _EXP[12]
        p = p * f + _EXP[11]
        p = p * f + _EXP[10]
        p = p * f + _EXP[9]
        p = p * f + _EXP[8]
        p = p * f + _EXP[7]
        p = p * f + _EXP[6]
        p = p * f + _EXP[5]
        p = p * f + _EXP[4]
        p = p * f + _EXP[3]
        p = p * f + _EXP[2]
        p = p * f + 1.0
        p = p * f + 1.0
        out[j] = p * _POWERS_OF_TWO[np.int32(-k)]


@compiled
def _cutoff(cut: FloatArray, r: FloatArray, n: int, cutoff: float) -> None:
    """Write f_c = ½(cos(π r/r_c) + 1) = ½(1 − sin y), y = π(r/r_c − ½), and its slope."""
    for j in range(n):
        y = math.pi * (r[j] / cutoff - 0.5)
        q = y * y
        s, c = _SIN[11], _COS[11]
        for term in range(11):
            s = s * q + _SIN[10 - term]
            c = c * q + _COS[10 - term]
        cut[0, j] = 0.5 * (1.0 - s * y)
        cut[1, j] = -0.5 * math.pi / cutoff * c


@vectorised
def fill_block(plan: Plan, block: Block, vectors: FloatArray, start: int, stop: int) -> int:
    """Fill a block with the neighbours ``vectors[start:stop]``; give their number."""
    unit, r, cut = block.unit, block.r, block.cut
    n = stop - start
    for j in range(n):
        x, y, z = vectors[start + j, 0], vectors[start + j, 1], vectors[start + j, 2]
        length = math.sqrt(x * x + y * y + z * z)
        r[j] = length
        unit[0, j], unit[1, j], unit[2, j] = x / length, y / length, z / length
    _cutoff(cut, r, n, plan.cutoff)
    for h in range(len(plan.etas)):
        eta = plan.etas[h]
        w, slope = block.w[h], block.slope[h]
        gaussian(w, r, n, eta, 0.0)
        for j in range(n):
            slope[j] = w[j] * (cut[1, j] - 2.0 * eta * r[j] * cut[0, j])
            w[j] *= cut[0, j]
    for j in range(n):
        block.m[0, j] = 1.0
    for k in range(1, len(plan.weights)):
        axis = 0 if plan.powers[k, 0] > 0 else (1 if plan.powers[k, 1] > 0 else 2)
        row, below, along = block.m[k], block.m[plan.lower[k, axis]], unit[axis]
        for j in range(n):
            row[j] = below[j] * along[j]
    return n
