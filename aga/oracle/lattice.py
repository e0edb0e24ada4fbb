"""Cells and k-points: what every engine that samples the Brillouin zone does alike."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import spglib
from ase.geometry import minkowski_reduce
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from spglib import SpglibDataset

from aga.structure.candidate import Candidate, FloatArray

__all__ = ["Axes", "few_symmetries", "kpoint_grid", "reduced_cell"]

NIGGLI_TOLERANCE = 0.1
"""Å², of scalar products of lattice vectors."""

TRICLINIC = 2
"""The last space group of crystals without axes."""

EXACTLY = 1e-4
"""Å, within which a crystal has the symmetry that a program may find by itself."""


def reduced_cell(candidate: Candidate) -> tuple[Candidate, FloatArray]:
    """Give the structure in its Niggli-reduced cell, and the (3, 3) integer operation.

    ``reduced = operation @ cell``; nothing is turned and the positions stay where they are. A
    skewed cell has long reciprocal vectors and would cost many times the k-points of a compact
    one; and the same crystal found in another cell should get the same grid. So comparisons
    are tolerant (:data:`NIGGLI_TOLERANCE`): almost equal lengths count as equal.
    """
    reduced = None
    with suppress(spglib.SpglibError):
        reduced = spglib.niggli_reduce(candidate.cell, eps=NIGGLI_TOLERANCE)
    if reduced is None:
        reduced = np.asarray(minkowski_reduce(candidate.cell)[0])
    operation = np.rint(reduced @ np.linalg.inv(candidate.cell))
    if np.linalg.det(operation) < 0:
        operation = -operation
    cell = operation @ candidate.cell
    return candidate.moved(candidate.positions, cell), operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """Axes and origin of the space-group tables, within the structure they were found in.

    Parameters
    ----------
    rotation
        (3, 3) that turns row vectors to these axes: the fourfold or the hexagonal axis along z,
        the twofold one of a monoclinic crystal along y.
    origin
        (3,) in Å, before the turn.
    """

    rotation: FloatArray
    origin: FloatArray

    @classmethod
    def of(cls, candidate: Candidate) -> Axes:
        """Find them; a triclinic crystal keeps those that it has."""
        found = _symmetry(candidate)
        if found is None or found.number <= TRICLINIC:
            return cls(rotation=np.eye(3), origin=np.zeros(3))
        origin = -np.linalg.solve(found.transformation_matrix, found.origin_shift)
        return cls(
            rotation=np.asarray(found.std_rotation_matrix, dtype=np.float64).T,
            origin=origin @ candidate.cell,
        )

    def turned(self, candidate: Candidate) -> Candidate:
        """Give the structure in these axes."""
        positions = (candidate.positions - self.origin) @ self.rotation
        return candidate.moved(positions, candidate.cell @ self.rotation)

    def turned_back(self, candidate: Candidate) -> Candidate:
        """Give a structure in these axes as it was before."""
        back = self.rotation.T
        return candidate.moved(candidate.positions @ back + self.origin, candidate.cell @ back)

    def forces_back(self, forces: FloatArray) -> FloatArray:
        """Turn forces (n, 3) back."""
        turned: FloatArray = forces @ self.rotation.T
        return turned

    def stress_back(self, stress: FloatArray) -> FloatArray:
        """Turn a stress (6,) back, in the order xx yy zz yz xz xy."""
        tensor = self.rotation @ voigt_6_to_full_3x3_stress(stress) @ self.rotation.T
        turned: FloatArray = full_3x3_to_voigt_6_stress(tensor)
        return turned


def few_symmetries(candidate: Candidate) -> bool:
    """Whether the crystal has at most two point operations."""
    found = _symmetry(candidate)
    return found is None or len(_point_operations(found)) <= 2


def _symmetry(candidate: Candidate) -> SpglibDataset | None:
    scaled = candidate.positions @ np.linalg.inv(candidate.cell)
    try:
        return spglib.get_symmetry_dataset(
            (candidate.cell, scaled, candidate.numbers), symprec=EXACTLY
        )
    except spglib.SpglibError:
        return None


def _point_operations(found: SpglibDataset) -> FloatArray:
    return np.unique(found.rotations, axis=0)


def kpoint_grid(cell: FloatArray, spacing: float) -> tuple[int, int, int]:
    """Give the smallest grid whose points are at most ``spacing`` (1/Å, with 2π) apart."""
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = (max(1, math.ceil(length / spacing - 1e-9)) for length in lengths)
    return a, b, c
