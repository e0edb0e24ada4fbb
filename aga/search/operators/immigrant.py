"""Immigrants: new random crystals, so that the population never closes upon itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate
from aga.structure.random_crystal import draw_crystal

__all__ = ["immigrant"]

VOLUMES = (0.8, 1.2)
"""Volume of an immigrant in target volumes."""


def immigrant(
    parents: Sequence[Candidate],  # noqa: ARG001 - every operator has the same signature
    rng: np.random.Generator,
    context: OperatorContext,
) -> Candidate:
    """Make a random crystal with the symmetry of a random space group.

    Parameters
    ----------
    parents
        None.
    rng
        Random stream of this offspring.
    context
        Composition, volume and distances.

    Raises
    ------
    aga.errors.GenerationError
        The atoms do not fit.

    References
    ----------
    Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021).
    """
    volume = context.volume * rng.uniform(*VOLUMES)
    return draw_crystal(context.counts, rng, volume=volume, limits=context.limits).candidate
