"""Immigrants: new random crystals, so that the population never closes upon itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.search.operators.cells import spacing
from aga.search.operators.context import OperatorContext
from aga.search.operators.rattle import displaced
from aga.structure.candidate import Candidate
from aga.structure.random_crystal import draw_crystal

__all__ = ["immigrant"]

VOLUMES = (0.8, 1.2)
"""Volume of an immigrant in target volumes."""

KICKED = 0.9
"""Share of the immigrants whose symmetry is broken."""

KICK = 0.03
"""Standard deviation of the displacements that break it, in (volume per atom)^⅓."""


def immigrant(
    parents: Sequence[Candidate],  # noqa: ARG001 - every operator has the same signature
    rng: np.random.Generator,
    context: OperatorContext,
) -> Candidate:
    """Make a random crystal, with the symmetry of a random space group (``symmetric_share``).

    Where cells of several sizes are searched, each size is equally likely. Most of the
    crystals get displacements of a few hundredths of an Å: a relaxation never leaves the symmetry
    that it begins with, and so ends on saddle points that the smallest displacement rolls off.

    Parameters
    ----------
    parents
        None.
    rng
        Random stream of this offspring.
    context
        Composition, sizes, volume and distances.

    Raises
    ------
    aga.errors.GenerationError
        The atoms do not fit.

    References
    ----------
    Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021).
    """
    counts = context.counts_of(context.units[int(rng.integers(len(context.units)))])
    volume = context.volume_of(sum(counts.values())) * rng.uniform(*VOLUMES)
    draw = draw_crystal(counts, rng, volume=volume, limits=context.limits, options=context.crystals)
    context.failed.update({f"random: {reason}": n for reason, n in draw.failed.items()})
    crystal = draw.candidate
    if rng.random() < KICKED:
        crystal = displaced(crystal, rng, KICK * spacing(crystal))
    return crystal
