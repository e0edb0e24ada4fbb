"""Crossover: cut two crystals and splice a slab of one to a slab of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.geometry import fractional, reduced

__all__ = ["crossover"]

SHIFTS = 12
"""Random origins tried for the one that spoils the composition least."""

OTHER_BASIS = 0.3
"""How often the second parent gets a basis of its own."""

CUTS = (0.25, 0.75)
"""Share of the child that comes from the first parent, as fraction of the axis."""

_IMAGES = np.array(list(product((-1, 0, 1), repeat=3)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Splice:
    numbers: IntArray
    scaled: FloatArray
    taken: IntArray


def crossover(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Cut and splice in fractional coordinates.

    Both parents are described by a random basis of their lattices – mostly the same one, so that
    the slabs fit, as both cells are reduced – and shifted at random; of the first the atoms
    below a plane across the third axis are taken, of the second those above. The lattice is that
    of one parent or a mixture. Atoms too many are removed and missing ones taken from what was
    left over, where they have most room, so the composition is exact.

    Parameters
    ----------
    parents
        Two of the same composition.
    rng
        Random stream of this offspring.
    context
        The composition.

    Raises
    ------
    aga.errors.GenerationError
        No shift brings atoms of both parents together.

    References
    ----------
    Deaven & Ho, Phys. Rev. Lett. 75, 288 (1995); Glass, Oganov & Hansen, Comput. Phys. Commun.
    175, 713 (2006), section 2.3.
    """
    change = _random_basis(rng)
    other = _random_basis(rng) if rng.random() < OTHER_BASIS else change
    first, second = (
        parent.moved(parent.positions, basis @ parent.cell)
        for parent, basis in zip(parents, (change, other), strict=True)
    )
    share = rng.uniform(*CUTS)
    mixture = float(np.clip(rng.uniform(-0.25, 1.25), 0.0, 1.0))
    # Lower triangular matrices with positive diagonals: any mixture is one again.
    triangles = [np.linalg.cholesky(p.cell @ p.cell.T) for p in (first, second)]
    cell = mixture * triangles[0] + (1 - mixture) * triangles[1]
    volume = mixture * first.volume + (1 - mixture) * second.volume
    cell *= np.cbrt(volume / np.linalg.det(cell))
    splice = _best_splice(first, second, share, rng)
    if splice is None:
        raise GenerationError(f"{first.name} and {second.name} share no cut")
    keep = _exact(splice, _numbers(first), cell, rng)
    order = keep[np.argsort(splice.numbers[keep], kind="stable")]
    child = Candidate(
        name=first.name,
        numbers=splice.numbers[order],
        positions=splice.scaled[order] @ cell,
        cell=cell,
        lineage=first.lineage,
    )
    return reduced(_sorted_like(child, context))


def _numbers(candidate: Candidate) -> Counter[int]:
    return Counter(candidate.numbers.tolist())


def _sorted_like(child: Candidate, context: OperatorContext) -> Candidate:
    """Put the elements in the order of the composition."""
    place = {symbol: k for k, symbol in enumerate(context.counts)}
    order = np.argsort([place.get(s, 0) for s in child.symbols], kind="stable")
    return Candidate(
        name=child.name,
        numbers=child.numbers[order],
        positions=child.positions[order],
        cell=child.cell,
        lineage=child.lineage,
    )


def _random_basis(rng: np.random.Generator) -> FloatArray:
    """Give a (3, 3) integer matrix of determinant 1: axes permuted and turned round.

    Half of the time one axis is sheared by another.
    """
    orders = list(permutations(range(3)))
    change = np.eye(3)[list(orders[int(rng.integers(len(orders)))])]
    change *= rng.choice([-1.0, 1.0], 3)[:, None]
    if rng.random() < 0.5:
        row, column = rng.choice(3, 2, replace=False)
        change[row] += rng.choice([-1.0, 1.0]) * change[column]
    return change if np.linalg.det(change) > 0 else -change


def _best_splice(
    first: Candidate, second: Candidate, share: float, rng: np.random.Generator
) -> _Splice | None:
    """Try origins until one leaves the composition as it is; else take the closest."""
    wanted = _numbers(first)
    numbers = np.concatenate([first.numbers, second.numbers])
    below = np.arange(len(numbers)) < len(first)
    best: tuple[int, _Splice] | None = None
    for _ in range(SHIFTS):
        scaled = np.concatenate([(fractional(p) + rng.random(3)) % 1.0 for p in (first, second)])
        taken = np.where(below, scaled[:, 2] < share, scaled[:, 2] >= share)
        if not taken[below].any() or not taken[~below].any():
            continue
        have = Counter(numbers[taken].tolist())
        wrong = sum(abs(have[z] - wanted[z]) for z in wanted)
        if best is None or wrong < best[0]:
            best = (wrong, _Splice(numbers, scaled, np.flatnonzero(taken)))
        if wrong == 0:
            break
    return None if best is None else best[1]


def _exact(
    splice: _Splice, wanted: Counter[int], cell: FloatArray, rng: np.random.Generator
) -> IntArray:
    """Give the indices of the atoms that make up exactly the composition."""
    chosen = [int(k) for k in rng.permutation(splice.taken)]
    for number in wanted:
        of_kind = [k for k in chosen if splice.numbers[k] == number]
        for surplus in of_kind[wanted[number] :]:
            chosen.remove(surplus)
    left = [int(k) for k in rng.permutation(len(splice.numbers)) if k not in set(splice.taken)]
    for number in wanted:
        missing = wanted[number] - sum(splice.numbers[k] == number for k in chosen)
        for _ in range(missing):
            spare = [k for k in left if splice.numbers[k] == number]
            room = [_clearance(splice.scaled, k, chosen, cell) for k in spare]
            best = spare[int(np.argmax(room))]
            chosen.append(best)
            left.remove(best)
    return np.array(chosen, dtype=np.int64)


def _clearance(scaled: FloatArray, atom: int, others: Sequence[int], cell: FloatArray) -> float:
    """Distance in Å from an atom to the nearest of others, over the neighbouring cells."""
    if not others:
        return float("inf")
    apart = scaled[list(others)] - scaled[atom]
    apart = (apart - np.rint(apart))[:, None, :] + _IMAGES[None, :, :]
    return float(np.linalg.norm(apart @ cell, axis=2).min())
