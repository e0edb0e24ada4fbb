"""What a relaxation came through, as labelled structures to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.protocols import Frame, Label, PathPoint

__all__ = [
    "ALIKE",
    "distance",
    "path_frames",
    "path_name",
    "relaxed_lineage",
    "thinned",
    "with_thin_path",
]

ALIKE = 0.02
"""Å; structures nearer than this teach the same (a bond of 10 eV/Å² differs by 2 meV)."""


class Geometry(Protocol):
    """What has ``positions`` (n, 3) and a ``cell`` (3, 3), in Å."""

    @property
    def positions(self) -> FloatArray:
        """Cartesian positions, Å."""
        ...

    @property
    def cell(self) -> FloatArray:
        """Lattice vectors as rows, Å."""
        ...


def distance(one: Geometry, other: Geometry) -> float:
    """Tell how far apart two structures of the same atoms in the same cell vectors are, in Å.

    The root of the sum of two squares: how far an atom has moved within the cell (root mean
    square over atoms, nearest images, the common drift left out), and how far the strain of the
    cell takes neighbours apart (Green's strain, Frobenius norm, times the edge of the cube that
    one atom has). Turning or moving a structure as a whole changes nothing.
    """
    inverse = np.linalg.inv(one.cell)
    moved = other.positions @ np.linalg.inv(other.cell) - one.positions @ inverse
    # About the first atom, for the mean of wrapped differences is none; then the drift itself.
    moved = moved - moved[0]
    moved = (moved - np.rint(moved)) @ one.cell
    moved = moved - moved.mean(axis=0)
    stretch = inverse @ other.cell
    strain = 0.5 * (stretch @ stretch.T - np.eye(3))
    edge = (abs(np.linalg.det(one.cell)) / len(moved)) ** (1 / 3)
    return float(np.sqrt((moved**2).sum() / len(moved) + (edge**2) * (strain**2).sum()))


def thinned(
    path: Sequence[PathPoint], number: int, *, known: Sequence[Geometry] = ()
) -> tuple[PathPoint, ...]:
    """Choose the points of a path that are most worth learning from.

    An optimizer's steps are no measure: the first ones go far, dozens near the end stay within
    hundredths of an ångström, and FIRE comes back to where it has been. So the choice goes by
    :func:`distance`, one point after the other, each time the one that is farthest from all that
    are known or chosen (farthest-point sampling: T. F. Gonzalez, Theor. Comput. Sci. 38, 293,
    1985). That spreads the points evenly along the way walked, whatever the optimizer, and what
    is chosen for a smaller ``number`` is among what is chosen for a larger one. Energies have no
    say: frames high up are weighed by the training.

    Parameters
    ----------
    path
        In the order in which the relaxation went.
    number
        At most so many.
    known
        Structures that are labelled anyway, of the same atoms in the same cell vectors: the end
        of the relaxation, and its start where that has a label. Nothing like them is chosen.

    Returns
    -------
    tuple
        Points of the path in its order, no two nearer than :data:`ALIKE`; those whose numbers
        are not finite, or not there for each atom, are never among them.
    """
    points = [point for point in path if _complete(point)]
    apart = np.full(len(points), np.inf)
    for one in known:
        apart = np.minimum(apart, [distance(one, point) for point in points])
    chosen: list[int] = []
    while points and len(chosen) < number:
        farthest = int(np.argmax(apart))
        if apart[farthest] < ALIKE:
            break
        chosen.append(farthest)
        apart = np.minimum(apart, [distance(points[farthest], point) for point in points])
    return tuple(points[k] for k in sorted(chosen))


def with_thin_path(label: Label, number: int, *, known: Sequence[Geometry]) -> Label:
    """Give the label of a relaxation with its path :func:`thinned`."""
    return replace(label, path=thinned(label.path, number, known=known))


def relaxed_lineage(start: Candidate) -> Lineage:
    """Give the lineage of what the reference method makes of a structure by relaxing it."""
    return Lineage(
        operator="reference_relaxation",
        parents=(start.name,),
        generation=start.lineage.generation,
        stream=start.lineage.stream,
    )


def path_frames(start: Candidate, label: Label, source: str) -> list[Frame]:
    """Give every point of a label's path as labelled data.

    Parameters
    ----------
    start
        The structure that was relaxed; the frames are named after it and have it as parent.
    label
        Of the relaxation, its path thinned.
    source
        Name of the reference method.

    Returns
    -------
    list
        In the order of the path; the operator of their lineage is ``reference_relaxation``.
    """
    lineage = relaxed_lineage(start)
    return [
        Frame(
            candidate=start.moved(point.positions, point.cell).renamed(
                path_name(start.name, number), lineage
            ),
            energy=point.energy,
            forces=point.forces,
            stress=point.stress,
            source=source,
        )
        for number, point in enumerate(label.path, start=1)
    ]


def path_name(name: str, number: int) -> str:
    """Name a point of the relaxation of a structure, from 1: ``g003-017.ref.p01``."""
    return f"{name}.ref.p{number:02d}"


def _complete(point: PathPoint) -> bool:
    """Whether energy and forces are there for each atom, and every number is finite."""
    parts = (point.positions, point.cell, point.energy, point.forces, point.stress)
    return np.shape(point.forces) == np.shape(point.positions) and all(
        part is None or bool(np.isfinite(part).all()) for part in parts
    )
