"""Sets of atom-centred symmetry functions: which functions describe an atom's surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from ase.data import atomic_numbers

from aga.errors import InputError

__all__ = ["Angular", "FunctionSet", "Radial", "automatic", "preset"]

MAX_ZETA = 4
"""Largest exponent ζ: the moments up to this degree are known to the kernels."""


class Radial(NamedTuple):
    """G2 of Behler (2011): Σ_j exp(−η (R_ij − R_s)²) f_c(R_ij) over neighbours of one element.

    ``eta`` in Å⁻², ``shift`` (R_s) in Å.
    """

    element: str
    eta: float
    shift: float


class Angular(NamedTuple):
    """G5 of Behler (2011), the wide angular function over one unordered pair of elements.

    2^{1−ζ} Σ_{j<k} (1 + λ cos θ_jik)^ζ exp(−η (R_ij² + R_ik²)) f_c(R_ij) f_c(R_ik);
    ``eta`` in Å⁻²; ``zeta`` an integer from 1 to 4.
    """

    elements: tuple[str, str]
    eta: float
    zeta: int
    lambda_: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSet:
    """The symmetry functions of every atom, the same for each central element.

    Parameters
    ----------
    elements
        Element symbols, in alphabetical order.
    cutoff
        Radius in Å at which every function and its slope are zero (cosine cutoff).
    radial, angular
        The functions; the descriptor has the radial ones first, in the order given.

    Raises
    ------
    aga.errors.InputError
        Unknown or unsorted elements, a function over an element outside the set, a ζ outside
        1 … 4, or a number that isn't finite or positive where it must be.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    elements: tuple[str, ...]
    cutoff: float
    radial: tuple[Radial, ...] = ()
    angular: tuple[Angular, ...] = ()

    def __post_init__(self) -> None:
        _check_elements(self.elements)
        if not (np.isfinite(self.cutoff) and self.cutoff > 0):
            raise InputError(f"symmetry functions: the cutoff must be above 0 Å, not {self.cutoff}")
        if not self.size:
            raise InputError("symmetry functions: the set is empty")
        for function in self.radial:
            self._check_function(function.element, function.eta, function.shift)
        for angular in self.angular:
            self._check_function(angular.elements[0], angular.eta, angular.lambda_)
            self._check_function(angular.elements[1], angular.eta, angular.lambda_)
            if angular.zeta not in range(1, MAX_ZETA + 1):
                raise InputError(
                    f"symmetry functions: ζ must be 1, 2, 3 or 4, not {angular.zeta}",
                    zeta=angular.zeta,
                )

    def _check_function(self, element: str, eta: float, other: float) -> None:
        if element not in self.elements:
            raise InputError(
                f"symmetry functions: {element} is not among {', '.join(self.elements)}",
                element=element,
            )
        if not (np.isfinite([eta, other]).all() and eta >= 0):
            raise InputError(f"symmetry functions: η = {eta} or its companion {other} is no number")

    @property
    def size(self) -> int:
        """Number of functions per atom."""
        return len(self.radial) + len(self.angular)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers, in the order of ``elements``."""
        return tuple(atomic_numbers[symbol] for symbol in self.elements)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values; floats keep every bit."""
        return {
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "radial": [list(f) for f in self.radial],
            "angular": [[list(f.elements), f.eta, f.zeta, f.lambda_] for f in self.angular],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            elements=tuple(data["elements"]),
            cutoff=float(data["cutoff"]),
            radial=tuple(Radial(el, float(eta), float(rs)) for el, eta, rs in data["radial"]),
            angular=tuple(
                Angular((pair[0], pair[1]), float(eta), int(zeta), float(lam))
                for pair, eta, zeta, lam in data["angular"]
            ),
        )


def _check_elements(elements: Sequence[str]) -> None:
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers or symbol == "X"]
    if unknown or not elements:
        raise InputError(
            f"symmetry functions: no such element: {', '.join(unknown) or 'none given'}"
        )
    if list(elements) != sorted(set(elements)):
        raise InputError("symmetry functions: elements must be distinct and in alphabetical order")


def _pairs(elements: Sequence[str]) -> list[tuple[str, str]]:
    return [(a, b) for a, b in combinations_with_replacement(elements, 2)]


_PRESETS: dict[str, tuple[float, tuple[float, ...], tuple[float, ...], tuple[int, ...]]] = {
    "tio2": (
        6.5,
        (0.003214, 0.035711, 0.071421, 0.124987, 0.214264, 0.357106, 0.714213, 1.428426),
        (0.000357, 0.028569, 0.089277),
        (1, 2, 4),
    ),
    "cuauoh": (
        6.0,
        (0.0009, 0.0100, 0.0200, 0.0350, 0.0600, 0.1000, 0.2000),
        (0.0001, 0.0030, 0.0080),
        (1, 4),
    ),
}
"""Cutoff in Å, η of the radial and of the angular functions in Å⁻², ζ."""


def preset(
    name: Literal["tio2", "cuauoh"], elements: Sequence[str], cutoff: float | None = None
) -> FunctionSet:
    """Give a published set for the elements of a search.

    Parameters
    ----------
    name
        ``tio2``: η, ζ and λ of Artrith & Urban for TiO2 (70 functions for two elements, cutoff
        6.5 Å); ``cuauoh``: the set published for Cu, Au, O and H (148 functions for four
        elements; its source prints no cutoff, 6.0 Å is ours).
    elements
        Element symbols, in any order; the parameters apply to every neighbour element and pair.
    cutoff
        Å; the preset's own where None.

    Raises
    ------
    aga.errors.InputError
        No such preset or element.

    References
    ----------
    N. Artrith, A. Urban, Computational Materials Science 114, 135 (2016).
    """
    if name not in _PRESETS:
        raise InputError(
            f"no preset of symmetry functions is called {name!r}; there are {', '.join(_PRESETS)}"
        )
    own, radial, angular, zetas = _PRESETS[name]
    symbols = tuple(sorted(set(elements)))
    return FunctionSet(
        elements=symbols,
        cutoff=own if cutoff is None else cutoff,
        radial=tuple(Radial(el, eta, 0.0) for el in symbols for eta in radial),
        angular=_angular(symbols, angular, zetas),
    )


def _angular(
    elements: Sequence[str], etas: Sequence[float], zetas: Sequence[int]
) -> tuple[Angular, ...]:
    return tuple(
        Angular(pair, eta, zeta, lam)
        for pair in _pairs(elements)
        for eta in etas
        for lam in (-1.0, 1.0)
        for zeta in zetas
    )


def automatic(elements: Sequence[str], cutoff: float = 5.0) -> FunctionSet:
    """Give a set for any chemistry: shifted radial Gaussians and wide angular functions.

    Radial: nine Gaussians per neighbour element, their centres evenly spaced from 1 Å to the
    cutoff (the shifted grid of Gastegger 2018, eq. 8) and their width equal to the spacing, so
    that neighbours overlap and no distance is left out. Angular: three widths η, spaced like
    the squares of lengths between two fifths of the cutoff and far beyond it, for λ = ±1 and
    ζ = 1, 2, 4 (18) with one element; with more elements the pairs multiply, and two widths with
    ζ = 1, 4 (8 per pair) keep the set moderate.

    Parameters
    ----------
    elements
        Element symbols, in any order.
    cutoff
        Å; above 2.

    Raises
    ------
    aga.errors.InputError
        No such element, or a cutoff of 2 Å or less.

    References
    ----------
    M. Gastegger et al., J. Chem. Phys. 148, 241709 (2018); G. Imbalzano et al., J. Chem. Phys.
    148, 241730 (2018).
    """
    if not cutoff > 2.0:
        raise InputError(f"symmetry functions: the cutoff must be above 2 Å, not {cutoff}")
    symbols = tuple(sorted(set(elements)))
    centres = np.linspace(1.0, cutoff, 10)[:-1]
    width = float(centres[1] - centres[0])
    eta = round(1.0 / (2.0 * width**2), 6)
    one = len(symbols) == 1
    lengths = np.array([0.4, 0.6, 2.0] if one else [0.5, 2.0]) * cutoff
    etas = [round(float(1.0 / (2.0 * length**2)), 6) for length in lengths[::-1]]
    return FunctionSet(
        elements=symbols,
        cutoff=float(cutoff),
        radial=tuple(
            Radial(el, eta, round(float(shift), 6)) for el in symbols for shift in centres
        ),
        angular=_angular(symbols, etas, (1, 2, 4) if one else (1, 4)),
    )
