"""Published sets of symmetry functions, and sets made for any chemistry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

from aga.errors import InputError
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial

__all__ = ["automatic", "fine", "preset"]


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
    one = len(set(elements)) == 1
    lengths = (0.4, 0.6, 2.0) if one else (0.5, 2.0)
    return _made(elements, cutoff, 9, lengths, (1, 2, 4) if one else (1, 4))


def fine(elements: Sequence[str], cutoff: float = 5.5) -> FunctionSet:
    """Give a larger set, for data that can tell more about each atom.

    As :func:`automatic`, with fourteen radial Gaussians per neighbour element, narrower ones, and
    for each pair of elements angular widths from a quarter of the cutoff on, so that near
    neighbours are seen by themselves: three widths (18 functions), five with one element (30).

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
    """
    one = len(set(elements)) == 1
    lengths = (0.25, 0.4, 0.6, 1.0, 3.0) if one else (0.25, 0.4, 0.8)
    return _made(elements, cutoff, 14, lengths, (1, 2, 4))


def _made(
    elements: Sequence[str],
    cutoff: float,
    shifts: int,
    lengths: Sequence[float],
    zetas: Sequence[int],
) -> FunctionSet:
    """Make a set: so many shifted Gaussians, angular widths in cutoffs, and ζ."""
    if not cutoff > 2.0:
        raise InputError(f"symmetry functions: the cutoff must be above 2 Å, not {cutoff}")
    symbols = tuple(sorted(set(elements)))
    centres = np.linspace(1.0, cutoff, shifts + 1)[:-1]
    width = float(centres[1] - centres[0])
    eta = round(1.0 / (2.0 * width**2), 6)
    widths = np.array(lengths) * cutoff
    etas = [round(float(1.0 / (2.0 * length**2)), 6) for length in widths[::-1]]
    return FunctionSet(
        elements=symbols,
        cutoff=float(cutoff),
        radial=tuple(
            Radial(el, eta, round(float(shift), 6)) for el in symbols for shift in centres
        ),
        angular=_angular(symbols, etas, zetas),
    )
