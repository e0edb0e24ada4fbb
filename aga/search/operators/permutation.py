"""Permutation: unlike atoms change places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate

__all__ = ["permutation"]


def permutation(
    parents: Sequence[Candidate],
    rng: np.random.Generator,
    context: OperatorContext,  # noqa: ARG001 - every operator has the same signature
) -> Candidate:
    """Swap one or more pairs of atoms of different elements.

    Parameters
    ----------
    parents
        One, with two elements at least.
    rng
        Random stream of this offspring.
    context
        Not needed.

    Raises
    ------
    aga.errors.GenerationError
        All atoms are of one element.

    References
    ----------
    Glass, Oganov & Hansen, Comput. Phys. Commun. 175, 713 (2006), section 2.4.
    """
    (parent,) = parents
    numbers = parent.numbers
    if len(set(numbers.tolist())) < 2:
        raise GenerationError(f"{parent.name}: permutation needs two elements")
    positions = np.array(parent.positions)
    free = list(range(len(parent)))
    # A pair is drawn from the atoms that have not moved yet, so no swap undoes another.
    for _ in range(1 + rng.binomial(len(parent) // 2, 0.25)):
        pairs = [(i, j) for i in free for j in free if i < j and numbers[i] != numbers[j]]
        if not pairs:
            break
        i, j = pairs[int(rng.integers(len(pairs)))]
        positions[[i, j]] = positions[[j, i]]
        free = [k for k in free if k not in (i, j)]
    return parent.moved(positions)
