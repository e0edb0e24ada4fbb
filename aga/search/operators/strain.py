"""Lattice mutation: a random symmetric strain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate
from aga.structure.geometry import fractional, reduced

__all__ = ["strain"]

AMPLITUDES = (0.1, 0.4)
"""Standard deviation of the strain's components."""

_SMALLEST_STRETCH = 0.3


def strain(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Strain the lattice; the atoms keep their fractional positions.

    The cell becomes h(1 + ε) with a symmetric ε of Gaussian components, then is scaled to a
    volume drawn between the parent's and the target volume.

    Parameters
    ----------
    parents
        One.
    rng
        Random stream of this offspring.
    context
        Target volume.

    References
    ----------
    Glass, Oganov & Hansen, Comput. Phys. Commun. 175, 713 (2006), section 2.4.
    """
    (parent,) = parents
    components = rng.normal(0.0, rng.uniform(*AMPLITUDES), (3, 3))
    stretch = np.eye(3) + np.tril(components) + np.tril(components, -1).T
    # A strain beyond −1 would turn the crystal inside out.
    lengths, axes = np.linalg.eigh(stretch)
    stretch = axes @ np.diag(np.maximum(lengths, _SMALLEST_STRETCH)) @ axes.T
    cell = parent.cell @ stretch
    share = rng.random()
    volume = parent.volume ** (1 - share) * context.volume_of(len(parent)) ** share
    cell *= np.cbrt(volume / abs(np.linalg.det(cell)))
    return reduced(parent.moved(fractional(parent) @ cell, cell))
