"""Slip: a layer slides over the rest of the crystal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.cells import in_basis, random_basis
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate
from aga.structure.geometry import fractional, reduced

__all__ = ["slip"]

SHARES = (0.2, 0.8)
"""Thickness of the layer as fraction of the axis that crosses it."""


def slip(
    parents: Sequence[Candidate],
    rng: np.random.Generator,
    context: OperatorContext,  # noqa: ARG001 - every operator has the same signature
) -> Candidate:
    """Shift all atoms of a layer by one vector within its plane.

    The layer lies between two planes that two vectors of a random basis of the lattice span, at a
    random height. So stacking sequences change while bonds within the layers stay.

    Parameters
    ----------
    parents
        One.
    rng
        Random stream of this offspring.
    context
        Not needed.

    Raises
    ------
    aga.errors.GenerationError
        All atoms or none lie in the layer.

    References
    ----------
    Liu, Comput. Phys. Commun. 185, 1893 (2014), slip operator.
    """
    parent = in_basis(parents[0], random_basis(rng))
    scaled = fractional(parent)
    layer = (scaled[:, 2] + rng.random()) % 1.0 < rng.uniform(*SHARES)
    if layer.all() or not layer.any():
        raise GenerationError(f"{parent.name}: no plane between its atoms")
    scaled[layer, :2] += rng.random(2)
    return reduced(parent.moved(scaled @ parent.cell))
