"""Mirror: a part of the crystal is mirrored or turned within itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.cells import in_basis, random_basis
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import fractional, reduced

__all__ = ["mirror"]

SHARES = (0.25, 0.75)
"""Share of the volume that is mirrored or turned."""

ORDERS = (2, 3, 4, 6)
"""Orders of the rotations of a ball."""


def mirror(
    parents: Sequence[Candidate],
    rng: np.random.Generator,
    context: OperatorContext,  # noqa: ARG001 - every operator has the same signature
) -> Candidate:
    """Mirror, invert or rotate a slab or a ball of the crystal and leave the rest.

    A slab is mirrored in its middle plane, turned by 180° in it, or inverted, all in fractional
    coordinates, so that its atoms stay in the slab: twins arise in this way. A ball around a
    random atom or point is turned about a random axis, or mirrored in a random plane.

    Parameters
    ----------
    parents
        One.
    rng
        Random stream of this offspring.
    context
        Not needed.

    Raises
    ------
    aga.errors.GenerationError
        All atoms or none lie in the part.

    References
    ----------
    Vilhelmsen & Hammer, J. Chem. Phys. 141, 044711 (2014), and the mirror mutation of ASE's
    genetic algorithm, for clusters; Liu, Comput. Phys. Commun. 185, 1893 (2014), twist operator.
    """
    parent = in_basis(parents[0], random_basis(rng))
    share = float(rng.uniform(*SHARES))
    return reduced(_slab(parent, share, rng) if rng.random() < 0.5 else _ball(parent, share, rng))


def _slab(parent: Candidate, share: float, rng: np.random.Generator) -> Candidate:
    scaled = (fractional(parent) + rng.random(3)) % 1.0
    inside = scaled[:, 2] < share
    _check(parent, inside)
    # any change of signs but none; about the slab's middle, so that it stays in its place
    signs = 1.0 - 2.0 * ((int(rng.integers(1, 8)) >> np.arange(3)) & 1)
    middle = np.array([0.5, 0.5, 0.5 * share])
    scaled[inside] = middle + signs * (scaled[inside] - middle)
    return parent.moved(scaled @ parent.cell)


def _ball(parent: Candidate, share: float, rng: np.random.Generator) -> Candidate:
    scaled = fractional(parent)
    centre = scaled[int(rng.integers(len(scaled)))] if rng.random() < 0.5 else rng.random(3)
    apart = scaled - centre
    vectors = (apart - np.rint(apart)) @ parent.cell
    radius = np.cbrt(3.0 * share * parent.volume / (4.0 * np.pi))
    inside = np.linalg.norm(vectors, axis=1) < radius
    _check(parent, inside)
    moved = np.where(inside[:, None], vectors @ _turn(rng).T, vectors)
    return parent.moved(moved + centre @ parent.cell)


def _turn(rng: np.random.Generator) -> FloatArray:
    """Give a rotation about a random axis, or the mirror plane across it."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    if rng.random() < 0.5:
        return np.asarray(np.eye(3) - 2.0 * np.outer(axis, axis))
    angle = 2.0 * np.pi / ORDERS[int(rng.integers(len(ORDERS)))]
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    # Rodrigues' formula
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def _check(parent: Candidate, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
    if inside.all() or not inside.any():
        raise GenerationError(f"{parent.name}: all of its atoms or none in the part")
