"""The functions of one central element laid out as flat arrays for the kernels."""

from __future__ import annotations

from math import comb, factorial
from typing import Any, NamedTuple, get_args

import numpy as np

from aga.potential.symmetry.functions import Angular, CutoffFunction, FunctionSet, Radial
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["MAX_MOMENT_ZETA", "QUARTIC", "Plan", "by_moments", "make_plan"]

QUARTIC = 4
"""The degree that the kernels have written out, and the least that is laid out."""

MAX_MOMENT_ZETA = 8
"""Largest ζ taken to moments: their number grows like (ζ + 1)², and so does the cancellation of
the alternating signs for λ = −1; beyond, the sum over triplets is cheaper and more exact."""


class Plan(NamedTuple):
    """What the kernels need to know of a function set (a named tuple: numba can take it).

    With u = R_ij/|R_ij|, w = exp(−η (R_ij − R_s)²) f_c(R_ij) and the monomials
    m_k(u) = x^a y^b z^c up to degree P = ``degree``, the angular functions come from the moments
    A^{s,h}_k = Σ_{j∈s} w_h m_k(u). A *channel* h is one (η, R_s, cutoff); a *group* is one pair
    of elements with one channel: its functions are linear in the S_p, p = 0 … P.
    """

    form: int
    """Place of the cutoff function in :data:`aga.potential.symmetry.functions.CutoffFunction`."""
    inner: float
    """Share of the cutoff below which the cutoff function is 1."""
    cutoffs: FloatArray
    """(C,) distinct cutoffs in Å."""
    degree: int
    """P: the largest ζ, at least 4; 0 without angular functions."""
    radial_starts: IntArray
    """(E + 1,) the radial functions of element s."""
    gaussians: FloatArray
    """(R, 2) distinct η and R_s of the radial functions."""
    radial_gaussian: IntArray
    """Place of each radial function's Gaussian."""
    radial_cutoff: IntArray
    """Place of its cutoff."""
    radial_column: IntArray
    """Its place in the descriptor."""
    channels: FloatArray
    """(H, 2) η and R_s of each channel."""
    channel_cutoff: IntArray
    groups: IntArray
    """(Q, 3) element, element, channel."""
    group_starts: IntArray
    """(Q + 1,) the angular functions of group q."""
    angular_column: IntArray
    coefficients: FloatArray
    """(F, P + 1) of each angular function: 2^{1−ζ} C(ζ, p) λ^p."""
    powers: IntArray
    """(K, 3) exponents a, b, c of each monomial, by degree."""
    degree_starts: IntArray
    """(P + 2,) the monomials of degree p."""
    lower: IntArray
    """(K, 3) place of the monomial with the exponent of that axis less by one; −1 if none."""
    higher: IntArray
    """(K, 3) place of the monomial with that exponent more by two; −1 above degree P − 2."""
    weights: FloatArray
    """(K,) multinomial coefficient p!/(a! b! c!) of each monomial."""


def by_moments(function: Angular) -> bool:
    """Whether a function is a sum of products of moments: wide, with a small integer ζ."""
    return (
        not function.narrow
        and float(function.zeta).is_integer()
        and function.zeta <= MAX_MOMENT_ZETA
    )


def make_plan(functions: FunctionSet, centre: str) -> Plan:
    """Lay out the radial functions and those by moments of one central element."""
    own = list(enumerate(functions.of(centre)))
    place = {symbol: s for s, symbol in enumerate(functions.elements)}
    radial = [(n, f) for n, f in own if isinstance(f, Radial)]
    radial.sort(key=lambda item: place[item[1].element])
    angular = [(n, f) for n, f in own if isinstance(f, Angular) and by_moments(f)]
    cutoffs = sorted(
        {functions.cutoff_of(f) for _, f in radial} | {functions.cutoff_of(f) for _, f in angular}
    )
    gaussians = sorted({(f.eta, f.shift) for _, f in radial})
    channels = sorted({_channel(functions, f) for _, f in angular})
    members: dict[tuple[int, int, int], list[tuple[int, Angular]]] = {}
    for n, f in angular:
        s, t = sorted(place[symbol] for symbol in f.elements)
        members.setdefault((s, t, channels.index(_channel(functions, f))), []).append((n, f))
    keys = sorted(members)
    ordered = [item for key in keys for item in members[key]]
    degree = max([QUARTIC, *(int(f.zeta) for _, f in angular)]) if angular else 0
    counts = [sum(f.element == symbol for _, f in radial) for symbol in functions.elements]
    powers, degree_starts, lower, higher, weights = _monomials(degree)
    return Plan(
        form=get_args(CutoffFunction).index(functions.cutoff_function),
        inner=float(functions.inner),
        cutoffs=np.array(cutoffs, dtype=np.float64),
        degree=degree,
        radial_starts=np.cumsum([0, *counts], dtype=np.int64),
        gaussians=np.array(gaussians, dtype=np.float64).reshape(-1, 2),
        radial_gaussian=_places(gaussians, [(f.eta, f.shift) for _, f in radial]),
        radial_cutoff=_places(cutoffs, [functions.cutoff_of(f) for _, f in radial]),
        radial_column=np.array([n for n, _ in radial], dtype=np.int64),
        channels=np.array([c[:2] for c in channels], dtype=np.float64).reshape(-1, 2),
        channel_cutoff=_places(cutoffs, [c[2] for c in channels]),
        groups=np.array(keys, dtype=np.int64).reshape(-1, 3),
        group_starts=np.cumsum([0, *(len(members[key]) for key in keys)], dtype=np.int64),
        angular_column=np.array([n for n, _ in ordered], dtype=np.int64),
        coefficients=_coefficients([f for _, f in ordered], degree),
        powers=powers,
        degree_starts=degree_starts,
        lower=lower,
        higher=higher,
        weights=weights,
    )


def _channel(functions: FunctionSet, f: Angular) -> tuple[float, float, float]:
    return float(f.eta), float(f.shift), functions.cutoff_of(f)


def _places(values: list[Any], wanted: list[Any]) -> IntArray:
    return np.array([values.index(value) for value in wanted], dtype=np.int64)


def _coefficients(functions: list[Angular], degree: int) -> FloatArray:
    table = np.zeros((len(functions), degree + 1))
    for row, f in zip(table, functions, strict=True):
        zeta = int(f.zeta)
        for p in range(zeta + 1):
            row[p] = 2.0 ** (1 - zeta) * comb(zeta, p) * f.lambda_**p
    return table


def _monomials(degree: int) -> tuple[IntArray, IntArray, IntArray, IntArray, FloatArray]:
    """List the monomials x^a y^b z^c by degree, with their neighbours and weights."""
    powers = [
        (a, b, p - a - b)
        for p in range(degree + 1)
        for a in range(p, -1, -1)
        for b in range(p - a, -1, -1)
    ]
    place = {abc: k for k, abc in enumerate(powers)}

    def moved(abc: tuple[int, int, int], by: int) -> list[int]:
        a, b, c = abc
        return [place.get(to, -1) for to in ((a + by, b, c), (a, b + by, c), (a, b, c + by))]

    weights = [
        factorial(sum(abc)) / (factorial(abc[0]) * factorial(abc[1]) * factorial(abc[2]))
        for abc in powers
    ]
    starts = [sum(sum(abc) < p for abc in powers) for p in range(degree + 2)]
    return (
        np.array(powers, dtype=np.int64),
        np.array(starts, dtype=np.int64),
        np.array([moved(abc, -1) for abc in powers], dtype=np.int64),
        np.array([moved(abc, 2) for abc in powers], dtype=np.int64),
        np.array(weights, dtype=np.float64),
    )
