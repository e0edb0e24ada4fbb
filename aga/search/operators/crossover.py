"""Crossover: cut two crystals and splice a part of one to a part of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers

from aga.errors import GenerationError
from aga.search.operators.cells import arranged, clearances, in_basis, random_basis
from aga.search.operators.context import OperatorContext
from aga.search.operators.cuts import CUTS, Cut
from aga.structure.candidate import Candidate, FloatArray, IntArray, determinant
from aga.structure.geometry import fractional

__all__ = ["crossover"]

SHIFTS = 12
"""Random origins tried for the one that spoils the composition least."""

OTHER_BASIS = 0.3
"""How often the second parent gets a basis of its own."""

SHARES = (0.25, 0.75)
"""Share of the child that comes from the first parent, as fraction of the volume."""


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
    the parts fit, as both cells are reduced – and shifted at random; of the first the atoms
    inside a cut (:mod:`aga.search.operators.cuts`) are taken, of the second those outside. The
    lattice is that of one parent or a mixture. Atoms too many are removed where it is tightest,
    and missing ones taken from what was left over, where they have most room, so the composition
    is exact. Of parents of different sizes the smaller is repeated while it fits into the other,
    and the child has as many formula units as its share of both, so a size between theirs.

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
    Deaven & Ho, Phys. Rev. Lett. 75, 288 (1995); Abraham & Probert, Phys. Rev. B 73, 224104
    (2006); Glass, Oganov & Hansen, Comput. Phys. Commun. 175, 713 (2006), section 2.3; Lonie &
    Zurek, Comput. Phys. Commun. 182, 372 (2011).
    """
    change = random_basis(rng)
    other = random_basis(rng) if rng.random() < OTHER_BASIS else change
    first, second = (
        in_basis(parent, basis)
        for parent, basis in zip(_alike(parents), (change, other), strict=True)
    )
    share = float(rng.uniform(*SHARES))
    sizes = [context.units_of(parent) for parent in parents]
    units = int(np.clip(round(share * sizes[0] + (1 - share) * sizes[1]), min(sizes), max(sizes)))
    wanted = Counter({atomic_numbers[s]: n for s, n in context.counts_of(units).items()})
    cell = _mixed(first, second, wanted.total(), rng)
    cut = CUTS[int(rng.integers(len(CUTS)))](share, cell, rng)
    splice = _best_splice((first, second), cut, wanted, rng)
    if splice is None:
        raise GenerationError(f"{first.name} and {second.name} share no cut")
    keep = _exact(splice, wanted, cell, rng)
    order = keep[np.argsort(splice.numbers[keep], kind="stable")]
    return arranged(parents[0], splice.numbers[order], splice.scaled[order], cell, context)


def _alike(parents: Sequence[Candidate]) -> list[Candidate]:
    """Repeat the smaller of two parents as often as it fits into the larger."""
    most = max(len(parent) for parent in parents)
    return [_repeated(parent, most // len(parent)) for parent in parents]


def _repeated(candidate: Candidate, times: int) -> Candidate:
    """Repeat a cell, each factor of the number along the axis that is the shortest then."""
    if times == 1:
        return candidate
    factor = next(f for f in range(2, times + 1) if times % f == 0)
    axis = int(np.argmin(np.linalg.norm(candidate.cell, axis=1)))
    images = np.arange(factor)[:, None, None] * candidate.cell[axis]
    cell = np.array(candidate.cell)
    cell[axis] *= factor
    larger = Candidate(
        name=candidate.name,
        numbers=np.tile(candidate.numbers, factor),
        positions=(candidate.positions + images).reshape(-1, 3),
        cell=cell,
        lineage=candidate.lineage,
    )
    return _repeated(larger, times // factor)


def _mixed(first: Candidate, second: Candidate, atoms: int, rng: np.random.Generator) -> FloatArray:
    """Give a lattice between those of the parents, for so many atoms; often one of the two."""
    mixture = float(np.clip(rng.uniform(-0.25, 1.25), 0.0, 1.0))
    # Lower triangular matrices with positive diagonals: any mixture is one again.
    triangles = [np.linalg.cholesky(p.cell @ p.cell.T) for p in (first, second)]
    cell = mixture * triangles[0] + (1 - mixture) * triangles[1]
    room = mixture * first.volume / len(first) + (1 - mixture) * second.volume / len(second)
    return np.asarray(cell * np.cbrt(atoms * room / determinant(cell)))


def _best_splice(
    parents: tuple[Candidate, Candidate], cut: Cut, wanted: Counter[int], rng: np.random.Generator
) -> _Splice | None:
    """Try origins for the one that gives the composition as it is, or nearest to it."""
    numbers = np.concatenate([parent.numbers for parent in parents])
    of_first = np.arange(len(numbers)) < len(parents[0])
    places = np.concatenate([fractional(parent) for parent in parents])
    shifts = np.repeat(rng.random((SHIFTS, 2, 3)), [len(parent) for parent in parents], axis=1)
    scaled = (places + shifts) % 1.0
    taken = cut(scaled.reshape(-1, 3)).reshape(SHIFTS, -1) == of_first
    wrong = np.zeros(SHIFTS)
    for number, count in wanted.items():
        wrong += abs(taken[:, numbers == number].sum(axis=1) - count)
    of_both = taken[:, of_first].any(axis=1) & taken[:, ~of_first].any(axis=1)
    best = int(np.argmin(np.where(of_both, wrong, np.inf)))
    if not of_both[best]:
        return None
    return _Splice(numbers, scaled[best], np.flatnonzero(taken[best]))


def _exact(
    splice: _Splice, wanted: Counter[int], cell: FloatArray, rng: np.random.Generator
) -> IntArray:
    """Give the indices of the atoms that make up exactly the composition."""
    numbers = splice.numbers
    chosen = [int(k) for k in rng.permutation(splice.taken)]
    have = Counter(numbers[chosen].tolist())
    if have == wanted:
        return np.array(chosen, dtype=np.int64)
    inside = set(chosen)
    left = [int(k) for k in rng.permutation(len(numbers)) if k not in inside]
    apart = clearances(splice.scaled, splice.scaled, cell)
    np.fill_diagonal(apart, np.inf)
    for number in wanted:
        for _ in range(have[number] - wanted[number]):
            own = [k for k in chosen if numbers[k] == number]
            chosen.remove(own[int(np.argmin(apart[np.ix_(own, chosen)].min(axis=1)))])
    for number in wanted:
        for _ in range(wanted[number] - have[number]):
            spare = [k for k in left if numbers[k] == number]
            room = apart[np.ix_(spare, chosen)].min(axis=1, initial=np.inf)
            best = spare[int(np.argmax(room))]
            chosen.append(best)
            left.remove(best)
    return np.array(chosen, dtype=np.int64)
