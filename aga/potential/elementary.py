"""Exponentials and cutoff functions over rows of distances, as vector arithmetic."""

from __future__ import annotations

import math

import numpy as np

from aga.potential.jit import fused
from aga.structure.candidate import FloatArray

__all__ = ["cutoff_row", "decay", "gaussians", "log1p"]

_LOG2_E = 1.0 / math.log(2.0)
_LN2_HIGH = 6.93147180369123816490e-01  # with 20 trailing zero bits: k·_LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52
"""Added to a number, it leaves the nearest integer in the last bits of the sum."""
_EXP = tuple(1.0 / math.factorial(n) for n in range(13))
_ATANH = tuple(2.0 / (2 * n + 1) for n in range(17))
_SIN = tuple((-1.0) ** n / math.factorial(2 * n + 1) for n in range(12))
_COS = tuple((-1.0) ** n / math.factorial(2 * n) for n in range(12))


@fused
def decay(size: float) -> float:
    """Give e^−size for a size of 0 or more (relative error below 1e−15); e^−700 beyond 700.

    An exponential of our own because loops over it vectorise: e^t = 2^k e^f with an integer k
    written into the exponent's bits and a power series for |f| ≤ ½ ln 2.
    """
    t = max(-size, -700.0)
    z = t * _LOG2_E + _ROUND
    k = z - _ROUND
    f = (t - k * _LN2_HIGH) - k * _LN2_LOW
    p = _EXP[12]
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
    bits = np.float64(z).view(np.int64) << np.int64(52)
    return float(np.int64(np.float64(p).view(np.int64) + bits).view(np.float64))


@fused
def log1p(e: float) -> float:
    """Give ln(1 + e) = 2 artanh(e/(2 + e)) for e from 0 to 1."""
    u = e / (2.0 + e)
    q = u * u
    p = _ATANH[16]
    p = p * q + _ATANH[15]
    p = p * q + _ATANH[14]
    p = p * q + _ATANH[13]
    p = p * q + _ATANH[12]
    p = p * q + _ATANH[11]
    p = p * q + _ATANH[10]
    p = p * q + _ATANH[9]
    p = p * q + _ATANH[8]
    p = p * q + _ATANH[7]
    p = p * q + _ATANH[6]
    p = p * q + _ATANH[5]
    p = p * q + _ATANH[4]
    p = p * q + _ATANH[3]
    p = p * q + _ATANH[2]
    p = p * q + _ATANH[1]
    p = p * q + _ATANH[0]
    return p * u


@fused
def gaussians(out: FloatArray, r: FloatArray, n: int, table: FloatArray) -> None:
    """Write exp(−η (r − R_s)²) for the first n distances.

    One row of ``out`` for each row (η, R_s) of the table.
    """
    for h in range(len(table)):
        eta, shift = table[h, 0], table[h, 1]
        for j in range(n):
            out[h, j] = decay(eta * (r[j] - shift) * (r[j] - shift))


@fused
def cutoff_row(
    cut: FloatArray, c: int, r: FloatArray, n: int, how: tuple[int, float, float]
) -> None:
    """Write f_c(r) to ``cut[c, 0]`` and df_c/dr in Å⁻¹ to ``cut[c, 1]`` for n distances.

    ``how`` is the form, the share of the cutoff below which f_c is 1, and the cutoff in Å; see
    :data:`aga.potential.symmetry.functions.CutoffFunction`.
    """
    form, inner, cutoff = how
    start, width = inner * cutoff, (1.0 - inner) * cutoff
    if form == 0:
        _cosine(cut, c, r, n, (start, width))
    elif form == 1:
        _tanh3(cut, c, r, n, cutoff)
    else:
        _polynomial(cut, c, r, n, (start, width, form - 1))


@fused
def _cosine(cut: FloatArray, c: int, r: FloatArray, n: int, span: tuple[float, float]) -> None:
    """½(cos πx + 1) = ½(1 − sin y) with y = π(x − ½); exact to rounding for 0 ≤ x ≤ 1."""
    start, width = span
    scale = -0.5 * math.pi / width
    for j in range(n):
        x = min(max((r[j] - start) / width, 0.0), 1.0)
        y = math.pi * (x - 0.5)
        q = y * y
        s, d = _SIN[11], _COS[11]
        s, d = s * q + _SIN[10], d * q + _COS[10]
        s, d = s * q + _SIN[9], d * q + _COS[9]
        s, d = s * q + _SIN[8], d * q + _COS[8]
        s, d = s * q + _SIN[7], d * q + _COS[7]
        s, d = s * q + _SIN[6], d * q + _COS[6]
        s, d = s * q + _SIN[5], d * q + _COS[5]
        s, d = s * q + _SIN[4], d * q + _COS[4]
        s, d = s * q + _SIN[3], d * q + _COS[3]
        s, d = s * q + _SIN[2], d * q + _COS[2]
        s, d = s * q + _SIN[1], d * q + _COS[1]
        s, d = s * q + _SIN[0], d * q + _COS[0]
        cut[c, 0, j] = 0.5 * (1.0 - s * y) if x < 1.0 else 0.0
        cut[c, 1, j] = scale * d if x < 1.0 else 0.0


@fused
def _tanh3(cut: FloatArray, c: int, r: FloatArray, n: int, cutoff: float) -> None:
    for j in range(n):
        t = math.tanh(max(1.0 - r[j] / cutoff, 0.0))
        cut[c, 0, j] = t * t * t
        cut[c, 1, j] = 3.0 * t * t * (t * t - 1.0) / cutoff


@fused
def _polynomial(
    cut: FloatArray, c: int, r: FloatArray, n: int, span: tuple[float, float, int]
) -> None:
    start, width, order = span
    for j in range(n):
        x = min(max((r[j] - start) / width, 0.0), 1.0)
        y = 1.0 - x  # powers of what is left keep the digits near the cutoff
        if order == 1:
            cut[c, 0, j] = y * y * (1.0 + 2.0 * x)
            cut[c, 1, j] = -6.0 * x * y / width
        elif order == 2:
            cut[c, 0, j] = y * y * y * (1.0 + x * (3.0 + x * 6.0))
            cut[c, 1, j] = -30.0 * x * x * y * y / width
        else:
            cut[c, 0, j] = y * y * y * y * (1.0 + x * (4.0 + x * (10.0 + x * 20.0)))
            cut[c, 1, j] = -140.0 * x * x * x * y * y * y / width
