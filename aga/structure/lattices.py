"""Random lattices of the seven crystal systems."""

from __future__ import annotations

import numpy as np

from aga.structure.candidate import FloatArray

__all__ = ["FLATTEST", "random_lattice"]

SPREADS = (0.2, 0.8)
"""Standard deviation of the logarithm of an edge, drawn anew for each cell: most are compact, some
long or flat, as layered crystals are. PyXtal has 0.35 for all."""

SHEAR = 0.6
"""Largest shear of one vector along another: angles above about 50°."""

TRICLINIC = 0.6
"""Standard deviation of the logarithm of an edge of triclinic cells."""

FLATTEST = 8.0
"""Longest edge in shortest ones: the hexagonal cell of Bi2Te3 has 7."""

_TRIES = 100


def random_lattice(
    group: int, volume: float, rng: np.random.Generator, *, flattest: float = FLATTEST
) -> FloatArray:
    """Draw the conventional cell of a space group, unique axis b, hexagonal axes.

    Parameters
    ----------
    group
        Number of the space group; its crystal system decides.
    volume
        Of the cell, Å³.
    rng
        The only source of randomness.
    flattest
        No edge is longer than so many times another.

    Returns
    -------
    numpy.ndarray
        (3, 3) right-handed lattice vectors as rows, Å.
    """
    cell = np.eye(3)
    for _ in range(_TRIES):
        cell = _shape(group, rng)
        edges = np.sqrt((cell**2).sum(axis=1))
        if edges.max() < flattest * edges.min():
            break
    return np.asarray(cell * np.cbrt(volume / np.linalg.det(cell)))


def _shape(group: int, rng: np.random.Generator) -> FloatArray:
    spread = TRICLINIC if group <= 2 else rng.uniform(*SPREADS)
    a, b, c = np.exp(rng.normal(0.0, spread, 3))
    if group <= 2:  # triclinic
        u, v, w = rng.uniform(-SHEAR, SHEAR, 3)
        return np.array([[a, 0.0, 0.0], [u * b, b, 0.0], [v * c, w * c, c]])
    if group <= 15:  # monoclinic
        return np.array([[a, 0.0, 0.0], [0.0, b, 0.0], [rng.uniform(-SHEAR, SHEAR) * c, 0.0, c]])
    if group <= 74:  # orthorhombic
        return np.diag([a, b, c])
    if group <= 142:  # tetragonal
        return np.diag([a, a, c])
    if group <= 194:  # trigonal and hexagonal
        return np.array([[a, 0.0, 0.0], [-0.5 * a, np.sqrt(0.75) * a, 0.0], [0.0, 0.0, c]])
    return np.eye(3)
