"""Random lattices of the seven crystal systems."""

from __future__ import annotations

import numpy as np

from aga.structure.candidate import FloatArray

__all__ = ["random_lattice"]

SPREAD = 0.35
"""Standard deviation of the logarithm of an edge, as PyXtal has it."""

SHEAR = 0.6
"""Largest shear of one vector along another: angles above about 50°."""

FLATTEST = 2.5
"""Longest edge in shortest ones."""

_TRIES = 100


def random_lattice(group: int, volume: float, rng: np.random.Generator) -> FloatArray:
    """Draw the conventional cell of a space group, unique axis b, hexagonal axes.

    Parameters
    ----------
    group
        Number of the space group; its crystal system decides.
    volume
        Of the cell, Å³.
    rng
        The only source of randomness.

    Returns
    -------
    numpy.ndarray
        (3, 3) right-handed lattice vectors as rows, Å; no edge longer than :data:`FLATTEST` times
        another.
    """
    cell = np.eye(3)
    for _ in range(_TRIES):
        cell = _shape(group, rng)
        edges = np.sqrt((cell**2).sum(axis=1))
        if edges.max() < FLATTEST * edges.min():
            break
    return np.asarray(cell * np.cbrt(volume / np.linalg.det(cell)))


def _shape(group: int, rng: np.random.Generator) -> FloatArray:
    a, b, c = np.exp(rng.normal(0.0, SPREAD, 3))
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
