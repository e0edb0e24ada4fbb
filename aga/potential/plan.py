"""A symmetry-function set laid out as flat arrays for the kernels."""

from __future__ import annotations

from math import comb, factorial
from typing import NamedTuple

import numpy as np

from aga.errors import InputError
from aga.potential.functions import Angular, FunctionSet
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Plan", "make_plan"]


class Plan(NamedTuple):
    """What the kernels need to know of a function set (a named tuple: numba can take it).

    With u = R_ij/|R_ij|, w = exp(−η R_ij²) f_c(R_ij) and the monomials m_k(u) = x^a y^b z^c up to
    degree ``degree``, the angular functions come from the moments A^{s,η}_k = Σ_{j∈s} w m_k(u).
    A *group* is one pair of elements with one η: its functions are linear in the S_p,
    p = 0 … degree.
    """

    cutoff: float
    size: int
    degree: int
    """Largest ζ."""
    radial_starts: IntArray
    """(E + 1,) the radial functions of element s."""
    radial_eta: FloatArray
    radial_shift: FloatArray
    radial_column: IntArray
    """Place of each radial function in the descriptor."""
    etas: FloatArray
    """(H,) distinct η of the angular functions."""
    groups: IntArray
    """(Q, 3) element, element, place of η."""
    group_starts: IntArray
    """(Q + 1,) the angular functions of group q."""
    angular_column: IntArray
    coefficients: FloatArray
    """(F, degree + 1) of each angular function: 2^{1−ζ} C(ζ, p) λ^p."""
    powers: IntArray
    """(K, 3) exponents a, b, c of each monomial, by degree."""
    degree_starts: IntArray
    """(degree + 2,) the monomials of degree p."""
    lower: IntArray
    """(K, 3) place of the monomial with the exponent of that axis less by one; −1 if none."""
    weights: FloatArray
    """(K,) multinomial coefficient p!/(a! b! c!) of each monomial."""


def make_plan(functions: FunctionSet) -> Plan:
    """Lay out a function set for the kernels."""
    for f in functions.every:
        zeta = f.zeta if isinstance(f, Angular) else 1
        if f.cutoff or f.centre or zeta not in range(5) or getattr(f, "narrow", False):
            raise InputError("symmetry functions: not yet known to the kernels")
    place = {symbol: s for s, symbol in enumerate(functions.elements)}
    radial = sorted(enumerate(functions.radial), key=lambda item: place[item[1].element])
    counts = [sum(f.element == symbol for f in functions.radial) for symbol in functions.elements]
    etas = sorted({f.eta for f in functions.angular})
    offset = len(functions.radial)
    members: dict[tuple[int, int, int], list[int]] = {}
    for n, f in enumerate(functions.angular):
        s, t = sorted(place[symbol] for symbol in f.elements)
        members.setdefault((s, t, etas.index(f.eta)), []).append(n)
    keys = sorted(members)
    ordered = [n for key in keys for n in members[key]]
    degree = max([int(f.zeta) for f in functions.angular], default=0)
    powers, degree_starts, lower, weights = _monomials(degree)
    return Plan(
        cutoff=float(functions.cutoff),
        size=functions.size,
        degree=degree,
        radial_starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        radial_eta=np.array([f.eta for _, f in radial], dtype=np.float64),
        radial_shift=np.array([f.shift for _, f in radial], dtype=np.float64),
        radial_column=np.array([n for n, _ in radial], dtype=np.int64),
        etas=np.array(etas, dtype=np.float64),
        groups=np.array(keys, dtype=np.int64).reshape(-1, 3),
        group_starts=np.cumsum([0, *(len(members[key]) for key in keys)], dtype=np.int64),
        angular_column=np.array([offset + n for n in ordered], dtype=np.int64),
        coefficients=_coefficients(functions, ordered, degree),
        powers=powers,
        degree_starts=degree_starts,
        lower=lower,
        weights=weights,
    )


def _coefficients(functions: FunctionSet, ordered: list[int], degree: int) -> FloatArray:
    table = np.zeros((len(ordered), degree + 1))
    for row, n in zip(table, ordered, strict=True):
        f = functions.angular[n]
        for p in range(int(f.zeta) + 1):
            row[p] = 2.0 ** (1 - f.zeta) * comb(int(f.zeta), p) * f.lambda_**p
    return table


def _monomials(degree: int) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """List the monomials x^a y^b z^c by degree, each with its lower neighbours and weight."""
    powers = [
        (a, b, p - a - b)
        for p in range(degree + 1)
        for a in range(p, -1, -1)
        for b in range(p - a, -1, -1)
    ]
    place = {abc: k for k, abc in enumerate(powers)}
    lower = [
        [place.get(tuple(n - (i == axis) for i, n in enumerate(abc)), -1) for axis in range(3)]  # type: ignore[arg-type] # tuples of three
        for abc in powers
    ]
    weights = [
        factorial(sum(abc)) / (factorial(abc[0]) * factorial(abc[1]) * factorial(abc[2]))
        for abc in powers
    ]
    starts = [sum(sum(abc) < p for abc in powers) for p in range(degree + 2)]
    return (
        np.array(powers, dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.array(lower, dtype=np.int64),
        np.array(weights, dtype=np.float64),
    )
