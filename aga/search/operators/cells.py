"""What several operators do with a cell: other bases, elements in order, room between atoms."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from ase.data import atomic_numbers

from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate, FloatArray, IntArray, determinant
from aga.structure.geometry import reduced

__all__ = ["arranged", "clearances", "in_basis", "random_basis", "spacing"]

_AXES = [np.eye(3)[list(order)] for order in permutations(range(3))]


def random_basis(rng: np.random.Generator) -> FloatArray:
    """Give a (3, 3) integer matrix of determinant 1: axes permuted and turned round.

    Half of the time one axis is sheared by another.
    """
    change = _AXES[int(rng.integers(len(_AXES)))].copy()
    change *= 1.0 - 2.0 * rng.integers(2, size=(3, 1))
    if rng.random() < 0.5:
        row, step, sign = rng.integers((3, 2, 2)).tolist()
        change[row] += (1.0 - 2.0 * sign) * change[(row + 1 + step) % 3]
    return change if determinant(change) > 0 else -change


def in_basis(candidate: Candidate, basis: FloatArray) -> Candidate:
    """Describe the same crystal by other vectors of its lattice: rows of ``basis`` times its."""
    return candidate.moved(candidate.positions, basis @ candidate.cell)


def arranged(
    parent: Candidate,
    numbers: IntArray,
    scaled: FloatArray,
    cell: FloatArray,
    context: OperatorContext,
) -> Candidate:
    """Build a child: its reduced cell, the elements in the order of the composition.

    Parameters
    ----------
    parent
        Gives name and lineage.
    numbers, scaled, cell
        (n,) atomic numbers, (n, 3) fractional positions, (3, 3) lattice vectors in Å.
    context
        The composition.
    """
    place = {atomic_numbers[symbol]: k for k, symbol in enumerate(context.counts)}
    order = np.argsort([place.get(number, 0) for number in numbers.tolist()], kind="stable")
    return reduced(
        Candidate(
            name=parent.name,
            numbers=numbers[order],
            positions=scaled[order] @ cell,
            cell=cell,
            lineage=parent.lineage,
        )
    )


def clearances(points: FloatArray, others: FloatArray, cell: FloatArray) -> FloatArray:
    """Give the distances (p, m) in Å of points from the nearest images of atoms.

    ``points`` (p, 3) and ``others`` (m, 3) are fractional. Exact up to half the smallest height of
    the cell; longer ones may come out too long in a cell that is not reduced.
    """
    apart = points[:, None, :] - others[None, :, :]
    apart = (apart - np.rint(apart)) @ cell
    return np.asarray(np.sqrt(np.einsum("ijk,ijk->ij", apart, apart)))


def spacing(candidate: Candidate) -> float:
    """Give the cube root in Å of the volume per atom: the measure of a displacement."""
    return float(np.cbrt(candidate.volume / len(candidate)))
