"""The symmetry operations of a structure, and the structure moved onto them exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import spglib

from aga.structure.candidate import Candidate, FloatArray, IntArray

__all__ = ["Operations", "symmetrised"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Operations:
    """The m operations of a space group on a cell of n atoms.

    Parameters
    ----------
    rotations
        (m, 3, 3) orthogonal matrices in Cartesian coordinates, proper or not.
    images
        (m, n) the atom that each atom is taken to (up to lattice translations).
    """

    rotations: FloatArray
    images: IntArray

    def __len__(self) -> int:
        """Give the number of operations."""
        return len(self.rotations)


def symmetrised(candidate: Candidate, tolerance: float) -> tuple[Candidate, Operations]:
    """Move lattice and atoms onto the symmetry found within a tolerance.

    The lattice is stretched without rotation to the mean of its images under all operations,
    the atoms likewise; number and order of the atoms stay. A structure that spglib can't read
    comes back as it is with the identity alone.

    Parameters
    ----------
    candidate
        The structure.
    tolerance
        Å.
    """
    trivial = Operations(
        rotations=np.eye(3)[None], images=np.arange(len(candidate), dtype=np.int64)[None]
    )
    scaled = np.asarray(candidate.positions @ np.linalg.inv(candidate.cell), dtype=np.float64)
    try:
        found = spglib.get_symmetry_dataset(
            (candidate.cell, scaled, candidate.numbers), symprec=tolerance
        )
    except spglib.SpglibError:
        return candidate, trivial
    if found is None or len(found.rotations) == 1:
        return candidate, trivial
    turns = np.asarray(found.rotations, dtype=np.float64)
    cell = _symmetric_cell(candidate.cell, turns)
    moved, images = _symmetric_positions(
        candidate, scaled, turns, np.asarray(found.translations, dtype=np.float64)
    )
    if not (np.sort(images, axis=1) == trivial.images).all():
        return candidate, trivial  # operations that do not permute the atoms: no group
    rotations = cell.T @ turns @ np.linalg.inv(cell.T)
    return candidate.moved(moved @ cell, cell), Operations(rotations=rotations, images=images)


def _symmetric_cell(cell: FloatArray, turns: FloatArray) -> FloatArray:
    """Give the cell whose metric is the mean over the rotations (m, 3, 3) of the lattice."""
    metric = (turns.swapaxes(1, 2) @ (cell @ cell.T) @ turns).mean(axis=0)
    inverse = np.linalg.inv(cell)
    values, axes = np.linalg.eigh(inverse @ metric @ inverse.T)
    stretched: FloatArray = cell @ ((axes * np.sqrt(values)) @ axes.T)
    return stretched


def _symmetric_positions(
    candidate: Candidate, scaled: FloatArray, turns: FloatArray, shifts: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Give the mean of all images of each atom, fractional (n, 3), and the images (m, n)."""
    numbers = candidate.numbers
    total, images = np.zeros_like(scaled), np.empty((len(turns), len(scaled)), dtype=np.int64)
    unlike = np.where(numbers[:, None] == numbers[None, :], 0.0, np.inf)
    for k, (turn, shift) in enumerate(zip(turns, shifts, strict=True)):
        taken = scaled @ turn.T + shift
        apart = taken[:, None] - scaled[None, :]
        near = apart - np.round(apart)
        images[k] = (((near @ candidate.cell) ** 2).sum(axis=2) + unlike).argmin(axis=1)
        own = near[np.arange(len(scaled)), images[k]]
        np.add.at(total, images[k], own)
    return scaled + total / len(turns), images
