"""Neighbour lists of packed structures, by looking through periodic images.

For each structure the images of all atoms that can be within the cutoff of any atom in the cell
are written down once, by element; each atom then looks through them all, as vectors. For the
cells of a structure search (up to some hundred atoms) this costs a few per cent of the
descriptor, less than the call overhead of a cell list; so the list is made afresh for every
geometry and holds no history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aga.potential.batch import Batch
from aga.potential.jit import compiled, vectorised
from aga.potential.soundness import image_ranges, refuse, species_of
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["MIN_DISTANCE", "PairArrays", "Pairs", "find_pairs"]

MIN_DISTANCE = 1e-3
"""Å; two atoms closer than this stand on one point."""


class PairArrays(NamedTuple):
    """The arrays of :class:`Pairs` that kernels read (a named tuple: numba can take it)."""

    vectors: FloatArray
    second: IntArray
    starts: IntArray
    owners: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """Every atom with each of its neighbours within the cutoff (a full list).

    Sorted by central atom and, within one, by the element of the neighbour; an atom's own
    periodic images are among its neighbours.

    Parameters
    ----------
    cutoff
        Å.
    second
        (P,) the neighbour's atom index in the batch.
    vectors
        (P, 3) from the central atom to the neighbour, in Å.
    starts
        (N, E + 1) atom i has its neighbours of element s in ``starts[i, s]:starts[i, s + 1]``.
    species
        (N,) index of each atom's element.
    owners
        (N,) structure of each atom.
    structures
        B.
    """

    cutoff: float
    second: IntArray
    vectors: FloatArray
    starts: IntArray
    species: IntArray
    owners: IntArray
    structures: int

    def __len__(self) -> int:
        """Give the number of pairs, each counted from both sides."""
        return len(self.second)

    @property
    def arrays(self) -> PairArrays:
        """What kernels read."""
        return PairArrays(self.vectors, self.second, self.starts, self.owners)

    @property
    def first(self) -> IntArray:
        """(P,) the central atom of each pair."""
        return np.repeat(np.arange(len(self.starts)), self.starts[:, -1] - self.starts[:, 0])


def find_pairs(batch: Batch, cutoff: float, numbers: tuple[int, ...]) -> Pairs:
    """List all pairs closer than the cutoff.

    Parameters
    ----------
    batch
        Packed structures; cells may be smaller than the cutoff and positions outside them.
    cutoff
        Å.
    numbers
        Atomic numbers that the model knows, in the order of its elements.

    Raises
    ------
    aga.errors.StructureError
        A number is not finite, an element is not known (named), two atoms stand on one point,
        or the cell has collapsed. ``facts["index"]`` is the structure's place in the batch.
    """
    species = species_of(batch, numbers)
    ranges = image_ranges(batch, cutoff)
    owners = batch.owners
    starts = np.zeros((len(batch.numbers), len(numbers) + 1), dtype=np.int64)
    geometry = _Geometry(
        batch.positions,
        batch.cells,
        batch.offsets,
        ranges,
        float(cutoff),
        species,
        np.lexsort((species, owners)),
    )
    found = _expected(batch, cutoff)
    while True:
        room = _Room(np.empty(found, dtype=np.int64), np.empty((found, 3)), starts)
        found, meeting = _list_pairs(geometry, room)
        if found <= len(room.second):
            break
    if meeting >= 0:
        refuse(
            batch,
            int(owners[meeting]),
            f"two atoms stand on one point, or nearly: {_who(batch, meeting)}",
        )
    return Pairs(
        cutoff=float(cutoff),
        second=room.second[:found],
        vectors=room.vectors[:found],
        starts=starts,
        species=species,
        owners=owners,
        structures=len(batch),
    )


def _expected(batch: Batch, cutoff: float) -> int:
    """Guess the number of pairs from the volume of the cells, generously."""
    volumes = batch.volumes
    counts = np.diff(batch.offsets)
    return int((counts * counts * (4.2 * (cutoff + 1.0) ** 3) / volumes).sum()) + 64


def _who(batch: Batch, atom: int) -> str:
    from ase.data import chemical_symbols  # noqa: PLC0415 - only for the message

    place = atom - int(batch.offsets[batch.owners[atom]])
    return f"atom {place} ({chemical_symbols[batch.numbers[atom]]}) has one within {MIN_DISTANCE} Å"


class _Geometry(NamedTuple):
    positions: FloatArray
    cells: FloatArray
    offsets: IntArray
    ranges: FloatArray
    cutoff: float
    species: IntArray
    order: IntArray
    """Atoms of each structure, by element."""


class _Room(NamedTuple):
    second: IntArray
    vectors: FloatArray
    starts: IntArray


class _Images(NamedTuple):
    """Images of the atoms of one structure that some atom in the cell can see, by element."""

    points: FloatArray
    """(3, I) in Å."""
    atom: IntArray
    """(I,) place in the batch."""
    starts: IntArray
    """(E + 1,) the images of element s."""
    home: FloatArray
    """(n, 3) the atoms themselves, inside the cell."""


@compiled
def _list_pairs(geometry: _Geometry, room: _Room) -> tuple[int, int]:
    """Fill the arrays as far as they reach; give the number of pairs, and an atom on another."""
    offsets, second, starts = geometry.offsets, room.second, room.starts
    vectors, elements = room.vectors, starts.shape[1] - 1
    found, meeting = 0, -1
    for b in range(len(offsets) - 1):
        images = _images(geometry, b, elements)
        points, atom = images.points, images.atom
        gaps, near = np.empty(len(atom)), np.empty(len(atom), dtype=np.int64)
        for i in range(offsets[b], offsets[b + 1]):
            home = images.home[i - offsets[b]]
            if _look(points, home, geometry.cutoff, gaps, near) != 1 and meeting < 0:
                meeting = i
            place = 0
            for s in range(elements):
                starts[i, s] = found
                while near[place] < images.starts[s + 1]:
                    g = near[place]
                    if found < len(second):
                        second[found] = atom[g]
                        vectors[found, 0] = points[0, g] - home[0]
                        vectors[found, 1] = points[1, g] - home[1]
                        vectors[found, 2] = points[2, g] - home[2]
                    found += 1
                    place += 1
            starts[i, elements] = found
    return found, meeting


@vectorised
def _look(
    points: FloatArray, home: FloatArray, cutoff: float, gaps: FloatArray, near: IntArray
) -> int:
    """Write the images within the cutoff, and an end mark; give those that are at home itself.

    One of those, and only one, is the atom.
    """
    x, y, z = home[0], home[1], home[2]
    for g in range(len(gaps)):
        dx, dy, dz = points[0, g] - x, points[1, g] - y, points[2, g] - z
        gaps[g] = dx * dx + dy * dy + dz * dz
    count, here = 0, 0
    for g in range(len(gaps)):
        at_home = gaps[g] < MIN_DISTANCE * MIN_DISTANCE
        here += at_home
        near[count] = g  # kept only if the count goes on
        count += (gaps[g] < cutoff * cutoff) & (not at_home)
    near[count] = len(gaps)
    return here


# Images a hair more than needed: the distance decides, not the rounding of the fractions.
@compiled
def _low(reach: float, least: float) -> int:
    return int(np.ceil(least - reach - 1e-9))


@compiled
def _high(reach: float, most: float) -> int:
    return int(np.floor(most + reach + 1e-9)) + 1


@compiled
def _images(geometry: _Geometry, b: int, elements: int) -> _Images:
    """List what the atoms of structure b, moved into the cell, can see."""
    cell, (n0, n1, n2) = geometry.cells[b], geometry.ranges[b]
    begin, end = geometry.offsets[b], geometry.offsets[b + 1]
    fractions = geometry.positions[begin:end] @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    home = fractions @ cell
    least, most = np.empty(3), np.empty(3)
    for axis in range(3):
        least[axis], most[axis] = fractions[:, axis].min(), fractions[:, axis].max()
    count = 0
    for f in fractions:
        count += (
            (_high(n0, most[0] - f[0]) - _low(n0, least[0] - f[0]))
            * (_high(n1, most[1] - f[1]) - _low(n1, least[1] - f[1]))
            * (_high(n2, most[2] - f[2]) - _low(n2, least[2] - f[2]))
        )
    points, atom = np.empty((3, count)), np.empty(count + 1, dtype=np.int64)
    starts = np.zeros(elements + 1, dtype=np.int64)
    g, s = 0, 0
    for j in geometry.order[begin:end]:
        while s < geometry.species[j]:
            s += 1
            starts[s] = g
        f, h = fractions[j - begin], home[j - begin]
        for p in range(_low(n0, least[0] - f[0]), _high(n0, most[0] - f[0])):
            for q in range(_low(n1, least[1] - f[1]), _high(n1, most[1] - f[1])):
                for r in range(_low(n2, least[2] - f[2]), _high(n2, most[2] - f[2])):
                    for a in range(3):
                        points[a, g] = h[a] + p * cell[0, a] + q * cell[1, a] + r * cell[2, a]
                    atom[g] = j
                    g += 1
    starts[s + 1 :] = g
    return _Images(points, atom[:count], starts, home)
