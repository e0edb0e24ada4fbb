"""Atoms that are too close are pushed apart, before a relaxation sees them.

Pickard & Needs, J. Phys.: Condens. Matter 23, 053201 (2011): random structures are made with
hard spheres that push each other away; here offspring whose parts have been put together.
"""

from __future__ import annotations

import numpy as np
from matscipy.neighbours import neighbour_list

from aga.structure.candidate import Candidate
from aga.structure.geometry import DistanceLimits

__all__ = ["pushed_apart"]

STEPS = 30
"""Rounds of pushing before it is given up."""

BEYOND = 1.02
"""Where pushed atoms aim at, in shortest distances allowed."""

SAME_PLACE = 1e-3
"""Å below which two atoms have no direction to part in."""


def pushed_apart(candidate: Candidate, limits: DistanceLimits) -> Candidate:
    """Move atoms that are closer than allowed away from each other, both as far.

    Parameters
    ----------
    candidate
        In any cell, which stays as it is.
    limits
        The shortest distances allowed.

    Returns
    -------
    Candidate
        The same one where no atoms are too close, or where pushing does not part them: in too
        small a cell, or one that is too thin for an atom and its own image.
    """
    table = limits.matrix(candidate.numbers)
    positions = np.array(candidate.positions)
    for step in range(STEPS):
        i, j, vectors, apart = neighbour_list(
            "ijDd",
            cutoff=float(table.max()),
            positions=positions,
            cell=np.array(candidate.cell),
            pbc=np.ones(3, dtype=bool),
        )
        short = table[i, j] - apart
        if not (short > 0.0).any():
            return candidate.moved(positions) if step else candidate
        close = short > 0.0
        if (i[close] == j[close]).any() or apart.min() < SAME_PLACE:
            break
        gap = 0.5 * (BEYOND * table[i, j] - apart)[close]
        away = vectors[close] * (gap / apart[close])[:, None]
        np.subtract.at(positions, i[close], away)
    return candidate
