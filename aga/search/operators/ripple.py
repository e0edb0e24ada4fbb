"""Ripple: a wave runs through the crystal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.search.operators.cells import in_basis, random_basis, spacing
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate
from aga.structure.geometry import fractional, reduced

__all__ = ["ripple"]

AMPLITUDES = (0.2, 1.0)
"""Largest displacement in (volume per atom)^⅓."""

MOST_WAVES = 2
"""Largest number of waves along an axis."""


def ripple(
    parents: Sequence[Candidate],
    rng: np.random.Generator,
    context: OperatorContext,  # noqa: ARG001 - every operator has the same signature
) -> Candidate:
    """Displace the atoms along one axis by a cosine of the others.

    Δx = ρ cos(2πμy + θ) cos(2πηz + φ) in fractional coordinates of a random basis, with random
    phases, so the displacement is as periodic as the cell. The second
    number of waves may be 0.

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
    Lonie & Zurek, Comput. Phys. Commun. 182, 372 (2011).
    """
    parent = in_basis(parents[0], random_basis(rng))
    scaled = fractional(parent)
    waves = np.array([rng.integers(1, MOST_WAVES + 1), rng.integers(0, MOST_WAVES + 1)])
    phases = rng.random(2) * (waves > 0)
    wave = np.cos(2 * np.pi * (waves * scaled[:, 1:] + phases)).prod(axis=1)
    length = rng.uniform(*AMPLITUDES) * spacing(parent)
    scaled[:, 0] += length / float(np.linalg.norm(parent.cell[0])) * wave
    return reduced(parent.moved(scaled @ parent.cell))
