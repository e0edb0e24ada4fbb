"""What must be right with a batch before its neighbours can be listed."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from aga.errors import StructureError
from aga.potential.batch import Batch
from aga.potential.jit import compiled
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["image_ranges", "refuse", "species_of"]

MAX_IMAGES = 200_000
"""Periodic images per pair of atoms; more means a collapsed or extremely skewed cell."""

MAX_NEIGHBOURS = 20_000
"""Neighbours per atom expected from the density; more means a collapsed cell."""


def refuse(batch: Batch, index: int, what: str, **facts: str) -> NoReturn:
    """Raise a ``StructureError`` that names the structure and its place in the batch."""
    name = batch.names[index]
    raise StructureError(f"{name}: {what}", structure=name, index=index, **facts)


def species_of(batch: Batch, numbers: tuple[int, ...]) -> IntArray:
    """Give each atom's place among the known elements."""
    table = np.full(max([*numbers, int(batch.numbers.max(initial=0))]) + 1, -1, dtype=np.int64)
    table[list(numbers)] = np.arange(len(numbers))
    species: IntArray = table[batch.numbers]
    if (species < 0).any():
        from ase.data import chemical_symbols  # noqa: PLC0415 - only for the message

        atom = int(np.argmax(species < 0))
        known = ", ".join(chemical_symbols[z] for z in numbers)
        symbol = chemical_symbols[batch.numbers[atom]]
        what = f"the potential does not know {symbol} (only {known})"
        refuse(batch, int(batch.owners[atom]), what, element=symbol)
    return species


def image_ranges(batch: Batch, cutoff: float) -> FloatArray:
    """Give (B, 3) the cutoff in units of the distances between lattice planes."""
    finite = np.isfinite(batch.positions).all(axis=1)
    if not finite.all():
        refuse(batch, int(batch.owners[np.argmin(finite)]), "a position is not finite")
    finite = np.isfinite(batch.cells).all(axis=(1, 2))
    if not finite.all():
        refuse(batch, int(np.argmin(finite)), "the cell is not finite")
    ranges = np.empty((len(batch), 3))
    index, volume = _survey(batch.cells, batch.offsets, cutoff, ranges)
    if index >= 0:
        refuse(batch, index, f"the cell has collapsed or is too skewed ({volume:.3g} Å³)")
    return ranges


@compiled
def _survey(
    cells: FloatArray, offsets: IntArray, cutoff: float, ranges: FloatArray
) -> tuple[int, float]:
    """Write the cutoff in units of the distances between lattice planes.

    Gives the first structure that has collapsed, −1 if none, and its volume.
    """
    for b in range(len(cells)):
        volume = abs(np.linalg.det(cells[b]))
        images = 1.0
        for axis in range(3):
            u, v = cells[b, (axis + 1) % 3], cells[b, (axis + 2) % 3]
            x = u[1] * v[2] - u[2] * v[1]
            y = u[2] * v[0] - u[0] * v[2]
            z = u[0] * v[1] - u[1] * v[0]
            ranges[b, axis] = cutoff * np.sqrt(x * x + y * y + z * z) / volume
            images *= 2.0 * ranges[b, axis] + 1.0
        neighbours = 4.2 * cutoff**3 * (offsets[b + 1] - offsets[b]) / volume
        if not (images < MAX_IMAGES and neighbours < MAX_NEIGHBOURS):  # so for NaN too
            return b, volume
    return -1, 0.0
