"""The same crystal in a cell of another size."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from itertools import product

import numpy as np
import spglib
from spglib import niggli_reduce

from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.geometry import fractional, reduced

__all__ = ["of_size", "random_supercell", "smallest_cell", "supercell"]

LARGEST_MULTIPLE = 64
"""Primitive cells in a supercell; the number of different supercells grows with its square."""


def of_size(candidate: Candidate, sizes: Collection[int], tolerance: float) -> Candidate | None:
    """Describe a crystal by a reduced cell with an allowed number of atoms.

    The cell is kept where its number of atoms is allowed; else the primitive cell is repeated to
    the smallest allowed one.

    Parameters
    ----------
    candidate
        Any cell.
    sizes
        Numbers of atoms allowed.
    tolerance
        Å, within which atoms count as images of each other.

    Returns
    -------
    Candidate or None
        None where no allowed number of atoms is a multiple of that of the primitive cell, or
        only one of more than :data:`LARGEST_MULTIPLE`.
    """
    if len(candidate) in sizes:
        return reduced(candidate)
    small = smallest_cell(candidate, tolerance)
    for size in sorted(sizes):
        copies, rest = divmod(size, len(small))
        if not rest and copies <= LARGEST_MULTIPLE:
            return supercell(small, copies)
    return None


def smallest_cell(candidate: Candidate, tolerance: float) -> Candidate:
    """Give the reduced primitive cell with atoms where they are, not moved to ideal places."""
    try:
        found = spglib.standardize_cell(
            (candidate.cell, fractional(candidate), candidate.numbers),
            to_primitive=True,
            no_idealize=True,
            symprec=tolerance,
        )
    except spglib.SpglibError:
        found = None
    if found is None or len(found[2]) >= len(candidate):
        return reduced(candidate)
    cell, scaled, numbers = (np.asarray(part) for part in found)
    return reduced(
        Candidate(
            name=candidate.name,
            numbers=numbers.astype(np.int64),
            positions=scaled @ cell,
            cell=cell,
            lineage=candidate.lineage,
        )
    )


def supercell(candidate: Candidate, copies: int) -> Candidate:
    """Repeat a cell, to the most compact one of so many copies; reduced, ordered by element."""
    best: tuple[float, IntArray] | None = None
    for matrix in _lattices(copies):
        cell = niggli_reduce(matrix @ candidate.cell)
        if cell is None:
            continue
        size = float((np.asarray(cell) ** 2).sum())
        if best is None or size < best[0] - 1e-9:
            best = (size, matrix)
    matrix = np.diag([1, 1, copies]) if best is None else best[1]
    return reduced(_repeated(candidate, matrix))


def random_supercell(candidate: Candidate, copies: int, rng: np.random.Generator) -> Candidate:
    """Repeat a cell, to any one of so many copies, all equally likely; reduced."""
    lattices = _lattices(copies)
    return reduced(_repeated(candidate, lattices[int(rng.integers(len(lattices)))]))


@lru_cache(maxsize=64)
def _lattices(copies: int) -> tuple[IntArray, ...]:
    """Give every sublattice of an index once, by its Hermite normal form."""
    found: list[IntArray] = []
    for a in range(1, copies + 1):
        if copies % a:
            continue
        for b in range(1, copies // a + 1):
            if (copies // a) % b:
                continue
            c = copies // (a * b)
            found += [
                np.array([[a, d, e], [0, b, f], [0, 0, c]])
                for d, e, f in product(range(b), range(c), range(c))
            ]
    return tuple(found)


def _repeated(candidate: Candidate, matrix: IntArray) -> Candidate:
    a, b, c = (int(n) for n in np.diag(matrix))  # triangular: these translations are all different
    steps = np.array([[i, j, k] for i in range(a) for j in range(b) for k in range(c)])
    shifts: FloatArray = steps @ candidate.cell
    positions = (candidate.positions[:, None] + shifts).reshape(-1, 3)
    numbers = np.repeat(candidate.numbers, len(steps))
    return Candidate(
        name=candidate.name,
        numbers=numbers,
        positions=positions,
        cell=matrix @ candidate.cell,
        lineage=candidate.lineage,
    )
