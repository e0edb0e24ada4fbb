"""Angular functions with ζ above 4: loops over rows of monomials, for any degree P."""

from __future__ import annotations

import numpy as np

from aga.potential.jit import compiled, lanes_of, vectorised
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["fill_monomials", "monomial_moments", "monomial_pull"]


@vectorised
def fill_monomials(
    m: FloatArray, unit: FloatArray, powers: IntArray, lower: IntArray, n: int
) -> None:
    """Write the monomials (K, W) of the first n directions (3, W)."""
    for j in range(n):
        m[0, j] = 1.0
    for k in range(1, len(m)):
        axis = 0 if powers[k, 0] > 0 else (1 if powers[k, 1] > 0 else 2)
        below = lower[k, axis]
        for j in range(n):
            m[k, j] = m[below, j] * unit[axis, j]


@vectorised
def monomial_moments(
    m: FloatArray,
    w: FloatArray,
    lanes: tuple[int, int, int],
    degree_starts: IntArray,
    A: FloatArray,
    s: int,
) -> None:
    """Write the moments Σ_j w_j m_k(u_j) of the two highest degrees, and Σ_j w_j².

    ``lanes`` is the channel h, the first lane and the last but one; they go to ``A[s, h]``.
    """
    h, start, stop = lanes
    last = len(m)
    for k in range(degree_starts[-3], last):
        total = 0.0
        for j in lanes_of(start, stop):
            total += w[h, j] * m[k, j]
        A[s, h, k] = total
    square = 0.0
    for j in lanes_of(start, stop):
        square += w[h, j] * w[h, j]
    A[s, h, last] = square


@compiled
def lower_moments(higher: IntArray, top: int, A: FloatArray) -> None:
    """Write the moments below ``top`` as traces of those two degrees higher."""
    for s in range(A.shape[0]):
        for h in range(A.shape[1]):
            for k in range(top - 1, -1, -1):
                x, y, z = higher[k, 0], higher[k, 1], higher[k, 2]
                A[s, h, k] = A[s, h, x] + A[s, h, y] + A[s, h, z]


@compiled
def raise_adjoint(higher: IntArray, top: int, bar: FloatArray) -> None:
    """Pass the adjoints below ``top`` on to the moments that those are traces of."""
    for s in range(bar.shape[0]):
        for h in range(bar.shape[1]):
            for k in range(top):
                below = bar[s, h, k]
                bar[s, h, higher[k, 0]] += below
                bar[s, h, higher[k, 1]] += below
                bar[s, h, higher[k, 2]] += below


@compiled
def monomial_products(
    weights: FloatArray,
    degree_starts: IntArray,
    A: FloatArray,
    group: tuple[int, int, int],
    S: FloatArray,
) -> None:
    """Write S_p = Σ_k p!/(a!b!c!) A^s_k A^t_k, not yet less j = k for s = t."""
    s, t, h = group
    for p in range(len(S)):
        S[p] = 0.0
        for k in range(degree_starts[p], degree_starts[p + 1]):
            S[p] += weights[k] * A[s, h, k] * A[t, h, k]


@compiled
def monomial_adjoint(
    weights: FloatArray,
    degree_starts: IntArray,
    A: FloatArray,
    group: tuple[int, int, int],
    T: FloatArray,
    bar: FloatArray,
) -> None:
    """Add Σ_p T_p ∂S_p/∂A to the adjoint of the moments of both elements."""
    s, t, h = group
    for p in range(len(T)):
        for k in range(degree_starts[p], degree_starts[p + 1]):
            bar[s, h, k] += T[p] * weights[k] * A[t, h, k]
            if s != t:
                bar[t, h, k] += T[p] * weights[k] * A[s, h, k]


@vectorised
def monomial_pull(
    unit: FloatArray,
    m: FloatArray,
    w: FloatArray,
    slope: FloatArray,
    lanes: tuple[int, int, int],
    spans: tuple[int, int, int],
    D: FloatArray,
    square: float,
    out: FloatArray,
) -> None:
    """Add ∂E/∂u and ∂E/∂r through one channel to ``out`` (4, W).

    Like :func:`aga.potential.symmetry.quartic.quartic_pull`; the gradients of the parts of degree
    P − 1 and P have the monomials from ``spans[0]`` and from ``spans[1]`` to ``spans[2]``.
    """
    h, first, last = lanes
    start, middle, stop = spans
    rows = np.zeros((6, last))
    for axis in range(3):
        for k in range(start, stop):
            row, a = (axis if k < middle else 3 + axis), D[axis, k]
            for j in lanes_of(first, last):
                rows[row, j] += a * m[k, j]
    degree = 0
    while degree * (degree + 1) // 2 < stop - middle:
        degree += 1
    for j in lanes_of(first, last):
        x, y, z = unit[0, j], unit[1, j], unit[2, j]
        value = (rows[0, j] * x + rows[1, j] * y + rows[2, j] * z) / (degree - 1)
        value += (rows[3, j] * x + rows[4, j] * y + rows[5, j] * z) / degree
        for axis in range(3):
            out[axis, j] += w[h, j] * (rows[axis, j] + rows[3 + axis, j])
        out[3, j] += slope[h, j] * (value + 2.0 * square * w[h, j])
