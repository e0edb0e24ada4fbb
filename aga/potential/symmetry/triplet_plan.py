"""Angular functions that need a loop over triplets, laid out as flat arrays for the kernels."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, comb, log2
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev

from aga.potential.symmetry.functions import Angular, CutoffFunction, FunctionSet
from aga.potential.symmetry.plan import MAX_MOMENT_ZETA, by_moments
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["TripletPlan", "make_triplet_plan"]

_STEEPEST = 2.5
"""Largest exponent of the fitted exponentials; steeper ones are squares of these."""


class TripletPlan(NamedTuple):
    """What the kernels need to know of one central element (numba can take a named tuple).

    Of each distinct (η, R_s, r_c, form) there is one *weight* g(R) = exp(−η (R − R_s)²) f_c(R).
    A *group* is one pair of neighbour elements with one weight; a *term* is one (1 + λ cos θ)^ζ,
    shared by the groups of a pair of elements.

    Both factors of a weight are polynomials fitted to 1e−14. With s = (R − inner)/(r_c − inner)
    from 0 to 1 the cutoff function is t² q(z), where z = 1 − 2s² for the cosine (so that no
    square root is needed if there is no inner part) and z = 1 − 2s otherwise, and t = (1 + z)/2:
    zero at the cutoff to the last bit. The exponential is the 2^m-th power of a polynomial in
    1 − 2 (R − R_s)²/max (R − R_s)².
    """

    reach: float
    """Å, the largest cutoff."""
    inner: float
    """Share of the cutoff where the cutoff function is 1."""
    quadratic: bool
    """The cutoff function's z is 1 − 2s²."""
    cutoffs: FloatArray
    """(C,) distinct cutoffs in Å."""
    cut: FloatArray
    """(1, K) coefficients of q, by power."""
    eta: FloatArray
    """(H,) of each weight."""
    shift: FloatArray
    weight_cutoff: IntArray
    """(H,) place of the weight's cutoff."""
    narrow: IntArray
    """(H,) 1 if g(R_jk) is a factor."""
    scale: FloatArray
    """(H,) 1/max (R − R_s)² in Å⁻²."""
    squarings: IntArray
    """(H,) m."""
    degree: IntArray
    """(H,) of the exponential's polynomial."""
    exponential: FloatArray
    """(H, …) its coefficients."""
    pairs: IntArray
    """(Q, 2) elements of the neighbours."""
    pair_reach: FloatArray
    """(Q,) Å², the largest R_jk² that counts; beyond any if a function of the pair is wide."""
    pair_direct: IntArray
    """(Q,) 1 if a function of the pair is ``direct``."""
    pair_groups: IntArray
    """(Q + 1,) the groups of each pair of elements."""
    pair_terms: IntArray
    """(Q + 1,) its terms."""
    group_weight: IntArray
    """(Γ,) the weight of each group."""
    group_functions: IntArray
    """(Γ + 1,) the functions of each group."""
    group_degree: IntArray
    """(Γ,) largest power of cos θ in ``powers``."""
    group_direct: IntArray
    """(Γ,) 1 if a function of the group is ``direct``."""
    term_lambda: FloatArray
    term_zeta: FloatArray
    column: IntArray
    """(F,) place of each function in the descriptor."""
    term: IntArray
    """(F,) its term, counted from the first one of its pair of elements."""
    factor: FloatArray
    """(F,) 2^{1−ζ}."""
    powers: FloatArray
    """(F, 9) 2^{1−ζ} C(ζ, p) λ^p, zero if ζ is not an integer up to 8."""
    direct: IntArray
    """(F,) 1 if ζ is not, so that derivatives too are taken from the term."""


class _Weight(NamedTuple):
    eta: float
    shift: float
    cutoff: float
    narrow: bool


def make_triplet_plan(functions: FunctionSet, centre: str) -> TripletPlan | None:
    """Lay out the functions of a central element that need triplets; None if it has none."""
    own = functions.of(centre)
    listed = [
        (column, f) for column, f in enumerate(own) if isinstance(f, Angular) and not by_moments(f)
    ]
    if not listed:
        return None
    place = {symbol: s for s, symbol in enumerate(functions.elements)}

    def weight(f: Angular) -> _Weight:
        return _Weight(f.eta, f.shift, functions.cutoff_of(f), f.narrow)

    def pair(f: Angular) -> tuple[int, int]:
        s, t = sorted(place[symbol] for symbol in f.elements)
        return s, t

    def reach(f: Angular) -> float:
        return functions.cutoff_of(f) ** 2 if f.narrow else 5.0 * functions.cutoff**2

    weights = sorted({weight(f) for _, f in listed})
    listed.sort(key=lambda item: (pair(item[1]), weights.index(weight(item[1]))))
    angular = [f for _, f in listed]
    groups = sorted({(pair(f), weights.index(weight(f))) for f in angular})
    pairs = sorted({pair(f) for f in angular})
    terms = sorted({(pair(f), f.lambda_, f.zeta) for f in angular})
    first = {q: min(n for n, term in enumerate(terms) if term[0] == q) for q in pairs}
    keys = [(pair(f), weights.index(weight(f))) for f in angular]
    powers = _powers(angular)
    direct = np.array([not _small(f.zeta) for f in angular], dtype=np.int64)
    return TripletPlan(
        pairs=np.array(pairs, dtype=np.int64),
        pair_reach=np.array([max(reach(f) for f in angular if pair(f) == q) for q in pairs]),
        pair_direct=np.array(
            [max(d for d, f in zip(direct, angular, strict=True) if pair(f) == q) for q in pairs],
            dtype=np.int64,
        ),
        pair_groups=_starts([groups_pair for groups_pair, _ in groups], pairs),
        pair_terms=_starts([term[0] for term in terms], pairs),
        group_weight=np.array([w for _, w in groups], dtype=np.int64),
        group_functions=_starts(keys, groups),
        group_direct=np.array([direct[_among(keys, key)].max() for key in groups]),
        group_degree=np.array(
            [
                max(int(np.flatnonzero(row).max(initial=0)) for row in powers[_among(keys, key)])
                for key in groups
            ],
            dtype=np.int64,
        ),
        term_lambda=np.array([term[1] for term in terms], dtype=np.float64),
        term_zeta=np.array([term[2] for term in terms], dtype=np.float64),
        column=np.array([column for column, _ in listed], dtype=np.int64),
        term=np.array(
            [terms.index((pair(f), f.lambda_, f.zeta)) - first[pair(f)] for f in angular],
            dtype=np.int64,
        ),
        factor=np.array([2.0 ** (1.0 - f.zeta) for f in angular]),
        powers=powers,
        direct=direct,
        **_radial_part(functions, weights),
    )


def _small(zeta: float) -> bool:
    return zeta <= MAX_MOMENT_ZETA and float(zeta).is_integer()


def _among(keys: list[tuple[tuple[int, int], int]], key: tuple[tuple[int, int], int]) -> list[int]:
    return [n for n, other in enumerate(keys) if other == key]


def _starts(sorted_keys: list, wanted: list) -> IntArray:  # type: ignore[type-arg] # any keys
    counts = [sum(key == one for key in sorted_keys) for one in wanted]
    return np.cumsum([0, *counts], dtype=np.int64)


def _powers(angular: list[Angular]) -> FloatArray:
    table = np.zeros((len(angular), MAX_MOMENT_ZETA + 1))
    for row, f in zip(table, angular, strict=True):
        if _small(f.zeta):
            n = int(f.zeta)
            for p in range(n + 1):
                row[p] = 2.0 ** (1 - n) * comb(n, p) * f.lambda_**p
    return table


def _radial_part(functions: FunctionSet, weights: list[_Weight]) -> dict:  # type: ignore[type-arg] # fields of the plan
    cutoffs = sorted({w.cutoff for w in weights})
    ranges = [max(w.shift**2, (w.cutoff - w.shift) ** 2) for w in weights]
    exponents = [w.eta * far for w, far in zip(weights, ranges, strict=True)]
    squarings = [max(0, ceil(log2(max(a, 1e-9) / _STEEPEST))) for a in exponents]
    fits = [
        _fit(lambda z, a=a / 2.0**m: np.exp(-0.5 * a * (1.0 - z)))  # type: ignore[misc] # a default
        for a, m in zip(exponents, squarings, strict=True)
    ]
    table = np.zeros((len(weights), max(len(fit) for fit in fits)))
    for row, fit in zip(table, fits, strict=True):
        row[: len(fit)] = fit
    return {
        "reach": max(cutoffs),
        "inner": float(functions.inner),
        "quadratic": functions.cutoff_function == "cosine",
        "cutoffs": np.array(cutoffs, dtype=np.float64),
        "cut": _fit(_CUT[functions.cutoff_function])[None],
        "eta": np.array([w.eta for w in weights], dtype=np.float64),
        "shift": np.array([w.shift for w in weights], dtype=np.float64),
        "weight_cutoff": np.array([cutoffs.index(w.cutoff) for w in weights], dtype=np.int64),
        "narrow": np.array([w.narrow for w in weights], dtype=np.int64),
        "scale": np.array([1.0 / far for far in ranges]),
        "squarings": np.array(squarings, dtype=np.int64),
        "degree": np.array([len(fit) - 1 for fit in fits], dtype=np.int64),
        "exponential": table,
    }


def _fit(function: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Give the coefficients, by power, of the lowest polynomial that is right to 1e−14.

    Interpolation at Chebyshev nodes of [−1, 1]; for degrees this low nothing is lost by going
    over to powers.
    """
    z = np.cos(np.linspace(0.0, np.pi, 400))[1:-1]
    exact = function(z)
    for degree in range(30):
        nodes = chebyshev.chebpts1(degree + 1)
        fitted = chebyshev.cheb2poly(chebyshev.chebfit(nodes, function(nodes), degree))
        error = np.abs(np.polynomial.polynomial.polyval(z, fitted) - exact)
        if (error < 1e-14 * np.abs(exact).max()).all():
            break
    return np.asarray(fitted, dtype=np.float64)


def _cosine(z: FloatArray) -> FloatArray:
    # cos²(πs/2) = sin²(π(1 − s)/2) with 1 − s = t/(1 + s): no cancellation near the cutoff.
    t, s = 0.5 * (1.0 + z), np.sqrt(0.5 * (1.0 - z))
    value: FloatArray = (np.sinc(0.5 * t / (1.0 + s)) * 0.5 * np.pi / (1.0 + s)) ** 2
    return value


def _tanh3(z: FloatArray) -> FloatArray:
    t = 0.5 * (1.0 + z)
    value: FloatArray = np.tanh(t) ** 3 / t**2
    return value


def _polynomial(power: int, *coefficients: float) -> Callable[[FloatArray], FloatArray]:
    """Give (1 − s)^power (c₀ + c₁ s + …), the first factor less (1 − s)²."""

    def value(z: FloatArray) -> FloatArray:
        t, s = 0.5 * (1.0 + z), 0.5 * (1.0 - z)
        result: FloatArray = t ** (power - 2) * np.polynomial.polynomial.polyval(s, coefficients)
        return result

    return value


_CUT: dict[CutoffFunction, Callable[[FloatArray], FloatArray]] = {
    "cosine": _cosine,
    "tanh3": _tanh3,
    "polynomial3": _polynomial(2, 1.0, 2.0),
    "polynomial5": _polynomial(3, 1.0, 3.0, 6.0),
    "polynomial7": _polynomial(4, 1.0, 4.0, 10.0, 20.0),
}
"""q(z) of each cutoff function."""
