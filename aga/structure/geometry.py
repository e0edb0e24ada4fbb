"""Distances in periodic cells: what is too close, and the cell that shows it best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from matscipy.neighbours import neighbour_list
from spglib import SpglibError, niggli_reduce

from aga.config import SearchSettings
from aga.errors import StructureError
from aga.structure.candidate import Candidate, FloatArray, IntArray, determinant

__all__ = [
    "DistanceLimits",
    "fractional",
    "neighbour_pairs",
    "reduced",
    "room",
    "shortest_distances",
    "too_close",
    "wrapped",
]

_MAX_REACH = 60.0
"""Å; no two atoms of a crystal that anybody searches are farther from their next images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceLimits:
    """The shortest distance allowed between two atoms.

    Parameters
    ----------
    factor
        In sums of covalent radii (Cordero et al., Dalton Trans. 2832, 2008).
    overrides
        Å, for pairs of atomic numbers in ascending order; they replace the factor.
    """

    factor: float
    overrides: Mapping[tuple[int, int], float]

    @classmethod
    def from_settings(cls, settings: SearchSettings) -> Self:
        """Take the limits of a search; ``Ti-O`` and ``O-Ti`` are one pair.

        Raises
        ------
        aga.errors.StructureError
            A key of ``min_distances`` is not a pair of elements.
        """
        overrides = {_pair(key): value for key, value in settings.min_distances.items()}
        return cls(factor=settings.min_distance_factor, overrides=overrides)

    def limit(self, first: int, second: int) -> float:
        """Give the limit in Å of two atomic numbers."""
        return float(self._table()[first, second])

    def of(self, first: str, second: str) -> float:
        """Give the limit in Å of two elements."""
        return self.limit(int(atomic_numbers[first]), int(atomic_numbers[second]))

    def matrix(self, numbers: IntArray) -> FloatArray:
        """Give the (n, n) limits in Å of atoms with these atomic numbers."""
        return np.asarray(self._table()[np.ix_(numbers, numbers)])

    def _table(self) -> FloatArray:
        return _limits(self.factor, tuple(self.overrides.items()))


@lru_cache(maxsize=64)
def _limits(factor: float, overrides: tuple[tuple[tuple[int, int], float], ...]) -> FloatArray:
    """Give the limits in Å of all pairs of atomic numbers; not to be written to."""
    radii = np.asarray(covalent_radii, dtype=np.float64)
    table = factor * (radii[:, None] + radii[None, :])
    for (first, second), limit in overrides:
        table[first, second] = table[second, first] = limit
    table.setflags(write=False)
    return table


def _pair(key: str) -> tuple[int, int]:
    symbols = key.split("-")
    if len(symbols) != 2 or any(symbol not in atomic_numbers for symbol in symbols):
        raise StructureError(
            f"min_distances: {key!r} is not a pair of elements", remedy="write pairs such as Ti-O"
        )
    first, second = sorted(int(atomic_numbers[symbol]) for symbol in symbols)
    return first, second


def neighbour_pairs(candidate: Candidate, cutoff: float) -> tuple[IntArray, IntArray, FloatArray]:
    """List all pairs of atoms closer than a cutoff, periodic images among them.

    Parameters
    ----------
    candidate
        Any cell, also one much smaller than the cutoff.
    cutoff
        Å.

    Returns
    -------
    i, j, d
        (p,) indices and (p,) distances in Å; every pair appears in both directions, an atom and
        its own image too.
    """
    i, j, d = neighbour_list(
        "ijd",
        cutoff=float(cutoff),
        positions=np.array(candidate.positions),
        cell=np.array(candidate.cell),
        pbc=np.ones(3, dtype=bool),
    )
    return np.asarray(i, dtype=np.int64), np.asarray(j, dtype=np.int64), np.asarray(d)


def too_close(candidate: Candidate, limits: DistanceLimits) -> bool:
    """Tell whether any two atoms (or an atom and its image) are closer than allowed."""
    table = limits.matrix(candidate.numbers)
    i, j, d = neighbour_pairs(candidate, float(table.max()))
    return bool(np.any(d < table[i, j]))


def shortest_distances(candidate: Candidate) -> dict[tuple[str, str], float]:
    """Give the shortest distance in Å of each pair of elements.

    Keys are symbols in alphabetical order; a pair of one element counts the images of a lone
    atom.
    """
    kinds = sorted({int(z) for z in candidate.numbers}, key=lambda z: chemical_symbols[z])
    wanted = {(a, b) for index, a in enumerate(kinds) for b in kinds[index:]}
    cutoff = 1.2 * float(np.cbrt(candidate.volume / len(candidate)))
    while True:
        i, j, d = neighbour_pairs(candidate, cutoff)
        found = {
            (a, b): float(d[mask].min())
            for a, b in wanted
            if (mask := (candidate.numbers[i] == a) & (candidate.numbers[j] == b)).any()
        }
        if len(found) == len(wanted) or cutoff > _MAX_REACH:
            return {(chemical_symbols[a], chemical_symbols[b]): x for (a, b), x in found.items()}
        cutoff *= 1.6


def room(candidate: Candidate) -> float:
    """Give the shortest distance between atoms in (volume per atom)^⅓: at most 1.12, if packed."""
    edge = float(np.cbrt(candidate.volume / len(candidate)))
    return min(shortest_distances(candidate).values()) / edge


def fractional(candidate: Candidate) -> FloatArray:
    """Give the (n, 3) positions in lattice vectors, in [0, 1)."""
    scaled = np.linalg.solve(candidate.cell.T, candidate.positions.T).T % 1.0
    scaled[scaled >= 1.0] = 0.0  # −1e−17 % 1 is 1
    return np.asarray(scaled)


def wrapped(candidate: Candidate) -> Candidate:
    """Move every atom into the cell."""
    return candidate.moved(fractional(candidate) @ candidate.cell)


def reduced(candidate: Candidate) -> Candidate:
    """Describe the same crystal, unturned, by its Niggli cell with the atoms inside.

    The cell of Niggli (Křivý & Gruber, Acta Cryst. A 32, 297, 1976) has the shortest vectors
    and angles between 60° and 120°; it comes out right-handed. A cell that spglib can't reduce
    is only wrapped: no structure is lost or changed here.
    """
    try:
        cell = niggli_reduce(candidate.cell)
    except SpglibError:
        return wrapped(candidate)
    if cell is None:
        return wrapped(candidate)
    wanted = np.linalg.solve(candidate.cell.T, np.asarray(cell, dtype=np.float64).T).T
    change = np.rint(wanted)
    # Within its tolerance spglib may give vectors that are none of the lattice, or of a sublattice.
    if np.abs(wanted - change).max() > 1e-3 or abs(round(determinant(change))) != 1:
        return wrapped(candidate)
    # The integer matrix times the given cell keeps the lattice to the last bit.
    exact = change @ candidate.cell
    if determinant(exact) < 0:
        exact = -exact
    return wrapped(candidate.moved(candidate.positions, exact))
