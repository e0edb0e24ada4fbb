"""Sets of atom-centred symmetry functions: which functions describe an atom's surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
from ase.data import atomic_numbers

from aga.errors import InputError

__all__ = ["Angular", "CutoffFunction", "FunctionSet", "Radial"]

CutoffFunction = Literal["cosine", "tanh3", "polynomial3", "polynomial5", "polynomial7"]
"""How every function goes to zero at its cutoff, with x = r/r_c below 1:

``cosine``
    ½(cos πx + 1); its second derivative jumps at the cutoff.
``tanh3``
    tanh³(1 − x); two continuous derivatives at the cutoff.
``polynomial3``, ``polynomial5``, ``polynomial7``
    1 − 3x² + 2x³, 1 − 10x³ + 15x⁴ − 6x⁵, 1 − 35x⁴ + 84x⁵ − 70x⁶ + 20x⁷: one, two and three
    continuous derivatives.

References: Behler, J. Chem. Phys. 134, 074106 (2011); Singraber, Behler, Dellago, J. Chem. Theory
Comput. 15, 1827 (2019), table 1.
"""


class Radial(NamedTuple):
    """G2 of Behler (2011): Σ_j exp(−η (R_ij − R_s)²) f_c(R_ij) over neighbours of one element.

    ``eta`` in Å⁻², ``shift`` (R_s) in Å; ``cutoff`` in Å, the set's own where None; ``centre``
    the central element that has this function, each one where None.
    """

    element: str
    eta: float
    shift: float = 0.0
    cutoff: float | None = None
    centre: str | None = None


class Angular(NamedTuple):
    """An angular function over one unordered pair of neighbour elements (Behler 2011).

    Wide (G5): 2^{1−ζ} Σ_{j<k} (1 + λ cos θ_jik)^ζ g(R_ij) g(R_ik) with
    g(R) = exp(−η (R − R_s)²) f_c(R); narrow (G4): the same with a third factor g(R_jk).
    ``eta`` in Å⁻², ``zeta`` at least 1 and not necessarily an integer, ``lambda_`` from −1 to 1,
    ``shift`` (R_s) in Å; ``cutoff`` and ``centre`` as for :class:`Radial`.
    """

    elements: tuple[str, str]
    eta: float
    zeta: float
    lambda_: float
    shift: float = 0.0
    narrow: bool = False
    cutoff: float | None = None
    centre: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSet:
    """The symmetry functions of the atoms of each element.

    Parameters
    ----------
    elements
        Element symbols, in alphabetical order.
    cutoff
        Å, the largest radius; functions that name no other end there.
    cutoff_function
        How they end, see :data:`CutoffFunction`.
    inner
        Share of the cutoff below which the cutoff function is 1, from 0 to below 1; none for
        ``tanh3``.
    radial, angular
        The functions. An atom's descriptor has those of its element, the radial ones first, in
        the order given.

    Raises
    ------
    aga.errors.InputError
        Unknown or unsorted elements, a function over an element outside the set, an element
        without functions, or a number that makes no sense; each named.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    elements: tuple[str, ...]
    cutoff: float
    cutoff_function: CutoffFunction = "cosine"
    inner: float = 0.0
    radial: tuple[Radial, ...] = ()
    angular: tuple[Angular, ...] = ()

    def __post_init__(self) -> None:
        _check_elements(self.elements)
        if not (np.isfinite(self.cutoff) and self.cutoff > 0):
            raise InputError(f"symmetry functions: the cutoff must be above 0 Å, not {self.cutoff}")
        self._check_cutoff_function()
        for function in self.every:
            self._check_function(function)
        for symbol in self.elements:
            if not self.of(symbol):
                raise InputError(
                    f"symmetry functions: {symbol} has none; the set is empty for it",
                    element=symbol,
                )

    def _check_cutoff_function(self) -> None:
        if self.cutoff_function not in get_args(CutoffFunction):
            known = ", ".join(get_args(CutoffFunction))
            raise InputError(
                f"symmetry functions: no cutoff function is called {self.cutoff_function!r}; "
                f"there are {known}"
            )
        if not 0.0 <= self.inner < 1.0 or (self.inner and self.cutoff_function == "tanh3"):
            raise InputError(
                f"symmetry functions: an inner cutoff of {self.inner} of the cutoff does not go "
                f"with {self.cutoff_function}"
            )

    def _check_function(self, function: Radial | Angular) -> None:
        own = () if function.centre is None else (function.centre,)
        for element in (*_neighbours(function), *own):
            if element not in self.elements:
                raise InputError(
                    f"symmetry functions: {element} is not among {', '.join(self.elements)}",
                    element=element,
                )
        if not (np.isfinite([function.eta, function.shift]).all() and function.eta >= 0):
            raise InputError(
                f"symmetry functions: η = {function.eta} or R_s = {function.shift} is no number "
                "or below zero"
            )
        if function.cutoff is not None and not 0.0 < function.cutoff <= self.cutoff:
            raise InputError(
                f"symmetry functions: a cutoff of {function.cutoff} Å is not between 0 and that "
                f"of the set, {self.cutoff} Å"
            )
        if isinstance(function, Angular):
            if not (np.isfinite(function.zeta) and function.zeta >= 1):
                raise InputError(
                    f"symmetry functions: ζ must be 1 or more, not {function.zeta}",
                    zeta=function.zeta,
                )
            if not -1.0 <= function.lambda_ <= 1.0:
                raise InputError(
                    f"symmetry functions: λ must be from −1 to 1, not {function.lambda_}"
                )

    @property
    def every(self) -> tuple[Radial | Angular, ...]:
        """All functions, the radial ones first."""
        return self.radial + self.angular

    def of(self, centre: str) -> tuple[Radial | Angular, ...]:
        """Give the functions of one central element, in the order of its descriptor."""
        return tuple(f for f in self.every if f.centre in {None, centre})

    def cutoff_of(self, function: Radial | Angular) -> float:
        """Give the cutoff of a function in Å."""
        return self.cutoff if function.cutoff is None else function.cutoff

    @property
    def size(self) -> int:
        """Length of the descriptor, D: the largest number of functions of any element.

        An element with fewer has zeros at the end.
        """
        return max(len(self.of(symbol)) for symbol in self.elements)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers, in the order of ``elements``."""
        return tuple(atomic_numbers[symbol] for symbol in self.elements)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values; floats keep every bit."""
        return {
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "cutoff_function": self.cutoff_function,
            "inner": self.inner,
            "radial": [f._asdict() for f in self.radial],
            "angular": [{**f._asdict(), "elements": list(f.elements)} for f in self.angular],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            elements=tuple(data["elements"]),
            cutoff=float(data["cutoff"]),
            cutoff_function=data["cutoff_function"],
            inner=float(data["inner"]),
            radial=tuple(Radial(**f) for f in data["radial"]),
            angular=tuple(
                Angular(**{**f, "elements": (f["elements"][0], f["elements"][1])})
                for f in data["angular"]
            ),
        )


def _neighbours(function: Radial | Angular) -> tuple[str, ...]:
    return (function.element,) if isinstance(function, Radial) else function.elements


def _check_elements(elements: Sequence[str]) -> None:
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers or symbol == "X"]
    if unknown or not elements:
        raise InputError(
            f"symmetry functions: no such element: {', '.join(unknown) or 'none given'}"
        )
    if list(elements) != sorted(set(elements)):
        raise InputError("symmetry functions: elements must be distinct and in alphabetical order")
