"""Atoms into a cell with the symmetry of a space group, no two of them too close."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from aga.structure.candidate import FloatArray, IntArray
from aga.structure.occupation import occupation
from aga.structure.wyckoff import Site, sites

__all__ = ["placed"]

POINTS = 12
"""Places tried for a position with freedom, all at once."""

CHOICE = 3
"""Allowed places of which the roomiest is taken.

Atoms that barely keep their distance have forces that no reference method likes: of random TiO2
at 0.65 covalent radii a third exceeded 100 eV/Å where the first place was taken, a fifth with the
best of three.
"""

TIGHT_POINTS = 60
"""Places tried where atoms hardly fit; the first is taken, for distance kept is space lost."""

_IMAGES = np.array(np.meshgrid(*[[-1.0, 0.0, 1.0]] * 3, indexing="ij")).reshape(3, -1).T
_SELF = len(_IMAGES) // 2


def placed(
    group: int,
    counts: Mapping[int, int],
    cell: FloatArray,
    limits: FloatArray,
    rng: np.random.Generator,
    *,
    tight: bool = False,
) -> tuple[IntArray, FloatArray] | None:
    """Make one attempt at a primitive cell: draw Wyckoff positions, then a place for each.

    Positions without freedom come first, for nothing can be done where these clash. Distances
    are taken from one atom of a position, to which all its others are equivalent, so that an
    attempt costs little in groups of high order.

    Parameters
    ----------
    group
        Number of the space group.
    counts
        Atoms in the primitive cell by atomic number; they fit the group.
    cell
        (3, 3) primitive vectors in Å.
    limits
        (e, e) shortest distances in Å of the elements in the order of ``counts``.
    rng
        The only source of randomness.
    tight
        Take the first allowed place of many, not the roomiest of a few.

    Returns
    -------
    numbers, scaled
        (n,) atomic numbers and (n, 3) fractions of the primitive cell, or None where some
        position found no place. Only the nearest images are looked at: in a very flat cell the
        result has to be checked again.
    """
    kinds = np.array(list(counts), dtype=np.int64)
    table = sites(group)
    taken = [(e, table[k]) for e, k in occupation(group, tuple(counts.values()), rng)]
    taken.sort(key=lambda one: one[1].free)
    points, choice = (TIGHT_POINTS, 1) if tight else (POINTS, CHOICE)
    elements = np.zeros(0, dtype=np.int64)
    scaled = np.zeros((0, 3))
    for element, site in taken:
        parameters = rng.random((points if site.free else 1, 3))
        shortest = np.concatenate(
            [np.full(site.size, limits[element, element]), limits[element, elements]]
        )
        orbit = _orbit(site, parameters, scaled, cell, shortest, choice)
        if orbit is None:
            return None
        scaled = np.concatenate([scaled, orbit])
        elements = np.concatenate([elements, np.full(len(orbit), element)])
    order = np.argsort(elements, kind="stable")
    return kinds[elements[order]], scaled[order]


def _orbit(
    site: Site,
    parameters: FloatArray,
    others: FloatArray,
    cell: FloatArray,
    shortest: FloatArray,
    choice: int,
) -> FloatArray | None:
    """Find a roomy place for a position; give its points, None where all tried are too close.

    ``parameters`` (k, 3) are the places, ``others`` (n, 3) the points that are there,
    ``shortest`` (m + n,) the distances in Å allowed to the position's own and the other points,
    ``choice`` the number of allowed places to choose from.
    """
    points = np.matmul(site.turns, parameters[:, None, :, None])[..., 0] + site.shifts
    there = np.broadcast_to(others, (len(points), *others.shape))
    apart = np.concatenate([points, there], axis=1) - points[:, :1]
    away = ((apart - np.rint(apart))[:, :, None, :] + _IMAGES) @ cell
    squares = np.einsum("knix,knix->kni", away, away)
    squares[:, 0, _SELF] = np.inf  # the atom itself
    room = (squares.min(axis=2) / shortest**2).min(axis=1)
    free = np.flatnonzero(room >= 1.0)[:choice]
    return np.asarray(points[free[room[free].argmax()]]) if free.size else None
