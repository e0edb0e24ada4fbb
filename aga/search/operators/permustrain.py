"""Permustrain: unlike atoms change places and the lattice is strained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.search.operators.context import OperatorContext
from aga.search.operators.permutation import permutation
from aga.search.operators.strain import strain
from aga.structure.candidate import Candidate

__all__ = ["permustrain"]


def permustrain(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Permute, then strain: atoms of other sizes ask for another lattice.

    Parameters
    ----------
    parents
        One, with two elements at least.
    rng
        Random stream of this offspring.
    context
        Target volume.

    Raises
    ------
    aga.errors.GenerationError
        All atoms are of one element.

    References
    ----------
    Lonie & Zurek, Comput. Phys. Commun. 182, 372 (2011).
    """
    return strain([permutation(parents, rng, context)], rng, context)
