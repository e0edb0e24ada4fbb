"""Coordinate mutation: random displacements of the atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate
from aga.structure.geometry import reduced

__all__ = ["displaced", "rattle"]

AMPLITUDES = (0.05, 0.25)
"""Standard deviation of the displacements in (volume per atom)^⅓."""

SHARES = (0.4, 1.0)
"""Share of the atoms that move."""


def displaced(candidate: Candidate, rng: np.random.Generator, amplitude: float) -> Candidate:
    """Displace every atom by a Gaussian with this standard deviation in Å per component."""
    return candidate.moved(candidate.positions + rng.normal(0.0, amplitude, (len(candidate), 3)))


def rattle(
    parents: Sequence[Candidate],
    rng: np.random.Generator,
    context: OperatorContext,  # noqa: ARG001 - every operator has the same signature
) -> Candidate:
    """Displace some of the atoms by Gaussian steps.

    Parameters
    ----------
    parents
        One.
    rng
        Random stream of this offspring.
    context
        Not needed.

    References
    ----------
    Pickard & Needs, J. Phys.: Condens. Matter 23, 053201 (2011), "shaking";
    Vilhelmsen & Hammer, J. Chem. Phys. 141, 044711 (2014), rattle mutation.
    """
    (parent,) = parents
    amplitude = rng.uniform(*AMPLITUDES) * float(np.cbrt(parent.volume / len(parent)))
    moving = rng.random(len(parent)) < rng.uniform(*SHARES)
    moving[rng.integers(len(parent))] = True
    moved = displaced(parent, rng, amplitude)
    return reduced(parent.moved(np.where(moving[:, None], moved.positions, parent.positions)))
