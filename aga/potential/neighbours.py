"""Neighbour lists of packed structures, by enumeration of periodic images.

For the cells of a structure search (up to a few hundred atoms) enumerating the images of each
pair costs a few per cent of the descriptor, less than the call overhead of a cell list; so the
list is made afresh for every geometry and holds no history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from aga.errors import StructureError
from aga.potential.batch import Batch
from aga.potential.jit import compiled
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["MIN_DISTANCE", "PairArrays", "Pairs", "find_pairs"]

MIN_DISTANCE = 1e-3
"""Å; two atoms closer than this stand on one point."""

MAX_IMAGES = 200_000
"""Periodic images per pair of atoms; more means a collapsed or extremely skewed cell."""

MAX_NEIGHBOURS = 20_000
"""Neighbours per atom expected from the density; more means a collapsed cell."""


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
    shifts
        (P, 3) lattice translation of the neighbour.
    vectors
        (P, 3) from the central atom to the neighbour, in Å:
        ``positions[second] − positions[first] + shifts @ cell``.
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
    shifts: npt.NDArray[np.int32]
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
    species = _species(batch, numbers)
    ranges = _image_ranges(batch, cutoff)
    counts = batch.counts
    expected = counts * 4.2 * (cutoff + 1.0) ** 3 * counts / batch.volumes
    owners = batch.owners
    order = np.lexsort((species, owners))
    starts = np.zeros((len(batch.numbers), len(numbers) + 1), dtype=np.int64)
    geometry = _Geometry(
        batch.positions, batch.cells, batch.offsets, ranges, float(cutoff), species, order
    )
    found = int(expected.sum()) + 64
    while True:
        room = _Room(
            np.empty(found, dtype=np.int64),
            np.empty((found, 3), dtype=np.int32),
            np.empty((found, 3)),
            starts,
        )
        found, closest, where = _enumerate(geometry, room)
        if found <= len(room.second):
            break
    if closest < MIN_DISTANCE:
        _refuse(batch, int(owners[where]), f"two atoms stand on one point ({closest:.1e} Å apart)")
    return Pairs(
        cutoff=float(cutoff),
        second=room.second[:found],
        shifts=room.shifts[:found],
        vectors=room.vectors[:found],
        starts=starts,
        species=species,
        owners=owners,
        structures=len(batch),
    )


def _refuse(batch: Batch, index: int, what: str, **facts: str) -> NoReturn:
    name = batch.names[index]
    raise StructureError(f"{name}: {what}", structure=name, index=index, **facts)


def _species(batch: Batch, numbers: tuple[int, ...]) -> IntArray:
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
        _refuse(batch, int(batch.owners[atom]), what, element=symbol)
    return species


def _image_ranges(batch: Batch, cutoff: float) -> FloatArray:
    """Give (B, 3) the cutoff in units of the distances between lattice planes."""
    finite = np.isfinite(batch.positions).all(axis=1)
    if not finite.all():
        _refuse(batch, int(batch.owners[np.argmin(finite)]), "a position is not finite")
    finite = np.isfinite(batch.cells).all(axis=(1, 2))
    if not finite.all():
        _refuse(batch, int(np.argmin(finite)), "the cell is not finite")
    volumes = batch.volumes
    areas = np.linalg.norm(
        np.cross(np.roll(batch.cells, -1, 1), np.roll(batch.cells, -2, 1)), axis=2
    )
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        ranges: FloatArray = cutoff * areas / volumes[:, None]
        images = (2.0 * ranges + 1.0).prod(axis=1)
        neighbours = 4.2 * cutoff**3 * batch.counts / volumes
    good = (images < MAX_IMAGES) & (neighbours < MAX_NEIGHBOURS)  # False for NaN too
    if not good.all():
        index = int(np.argmin(good))
        _refuse(batch, index, f"the cell has collapsed or is too skewed ({volumes[index]:.3g} Å³)")
    return ranges


# Images a hair more than needed: the distance decides, not the rounding of the fractions.
@compiled
def _low(reach: float, fraction: float) -> int:
    return int(np.ceil(-reach - fraction - 1e-9))


@compiled
def _high(reach: float, fraction: float) -> int:
    return int(np.floor(reach - fraction + 1e-9)) + 1


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
    shifts: npt.NDArray[np.int32]
    vectors: FloatArray
    starts: IntArray


@compiled
def _enumerate(geometry: _Geometry, room: _Room) -> tuple[int, float, int]:
    """Fill the arrays as far as they reach; give the number of pairs, and the closest one."""
    offsets, elements = geometry.offsets, room.starts.shape[1] - 1
    found, closest, where = 0, np.inf, 0
    for b in range(len(offsets) - 1):
        inverse = np.linalg.inv(geometry.cells[b])
        for i in range(offsets[b], offsets[b + 1]):
            place = offsets[b]
            for s in range(elements):
                room.starts[i, s] = found
                last = place
                while last < offsets[b + 1] and geometry.species[geometry.order[last]] == s:
                    last += 1
                others = geometry.order[place:last]
                found, r = _around(geometry, room, (b, i, found), others, inverse)
                if r < closest:
                    closest, where = r, i
                place = last
            room.starts[i, elements] = found
    return found, closest, where


@compiled
def _around(
    geometry: _Geometry,
    room: _Room,
    state: tuple[int, int, int],
    others: IntArray,
    inverse: FloatArray,
) -> tuple[int, float]:
    """Append the images of the others seen from atom i; give the new count and the closest."""
    b, i, found = state
    cell, (n0, n1, n2), positions = geometry.cells[b], geometry.ranges[b], geometry.positions
    closest = np.inf
    for j in others:
        dx = positions[j, 0] - positions[i, 0]
        dy = positions[j, 1] - positions[i, 1]
        dz = positions[j, 2] - positions[i, 2]
        f0 = dx * inverse[0, 0] + dy * inverse[1, 0] + dz * inverse[2, 0]
        f1 = dx * inverse[0, 1] + dy * inverse[1, 1] + dz * inverse[2, 1]
        f2 = dx * inverse[0, 2] + dy * inverse[1, 2] + dz * inverse[2, 2]
        for a in range(_low(n0, f0), _high(n0, f0)):
            for p in range(_low(n1, f1), _high(n1, f1)):
                for q in range(_low(n2, f2), _high(n2, f2)):
                    x = dx + a * cell[0, 0] + p * cell[1, 0] + q * cell[2, 0]
                    y = dy + a * cell[0, 1] + p * cell[1, 1] + q * cell[2, 1]
                    z = dz + a * cell[0, 2] + p * cell[1, 2] + q * cell[2, 2]
                    r = np.sqrt(x * x + y * y + z * z)
                    if r >= geometry.cutoff or (i == j and a == 0 and p == 0 and q == 0):
                        continue
                    closest = min(closest, r)
                    if found < len(room.second):
                        room.second[found] = j
                        room.shifts[found] = a, p, q
                        room.vectors[found] = x, y, z
                    found += 1
    return found, closest
