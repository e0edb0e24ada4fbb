"""Cells and k-points: what every engine that samples the Brillouin zone does alike."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import spglib
from ase.geometry import minkowski_reduce

from aga.structure.candidate import Candidate, FloatArray

__all__ = ["few_symmetries", "kpoint_grid", "reduced_cell"]

NIGGLI_TOLERANCE = 0.1
"""Å², of scalar products of lattice vectors."""


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


def few_symmetries(candidate: Candidate) -> bool:
    """Whether the crystal has at most two point operations."""
    scaled = candidate.positions @ np.linalg.inv(candidate.cell)
    try:
        found = spglib.get_symmetry((candidate.cell, scaled, candidate.numbers), symprec=1e-4)
    except spglib.SpglibError:
        return True
    return found is None or len(np.unique(found["rotations"], axis=0)) <= 2


def kpoint_grid(cell: FloatArray, spacing: float) -> tuple[int, int, int]:
    """Give the smallest grid whose points are at most ``spacing`` (1/Å, with 2π) apart."""
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = (max(1, math.ceil(length / spacing - 1e-9)) for length in lengths)
    return a, b, c
