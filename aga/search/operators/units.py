"""Formula units come and go, where cells of several sizes are searched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase.data import atomic_numbers

from aga.errors import GenerationError
from aga.search.operators.cells import arranged, clearances
from aga.search.operators.context import OperatorContext
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import fractional

__all__ = ["add_unit", "remove_unit"]

POINTS = 120
"""Places tried for each atom that is added."""


def add_unit(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Add a formula unit; its atoms go where most room is.

    The volume grows in proportion, half of the time in all directions, else along one axis. The
    atoms are placed one by one in random order, each at the random point that is farthest from
    all others, in shortest distances allowed.

    Parameters
    ----------
    parents
        One.
    rng
        Random stream of this offspring.
    context
        Sizes allowed and shortest distances.

    Raises
    ------
    aga.errors.GenerationError
        The parent has as many as are allowed.

    References
    ----------
    Tipton & Hennig, J. Phys.: Condens. Matter 25, 495401 (2013), number-of-atoms mutation;
    Lyakhov, Oganov, Stokes & Zhu, Comput. Phys. Commun. 184, 1172 (2013).
    """
    (parent,) = parents
    units = _next(parent, context, +1)
    cell = _resized(parent, units / (units - 1), rng)
    numbers, places = parent.numbers, fractional(parent)
    unit = [atomic_numbers[s] for s, n in context.counts_of(1).items() for _ in range(n)]
    for number in rng.permutation(unit):
        points = rng.random((POINTS, 3))
        limits = np.array([context.limits.limit(int(number), int(z)) for z in numbers])
        room = (clearances(points, places, cell) / limits).min(axis=1)
        places = np.vstack([places, points[int(np.argmax(room))]])
        numbers = np.append(numbers, number)
    return arranged(parent, numbers, places, cell, context)


def remove_unit(
    parents: Sequence[Candidate], rng: np.random.Generator, context: OperatorContext
) -> Candidate:
    """Remove a formula unit: a random atom and the nearest ones that complete the unit.

    The volume shrinks in proportion, half of the time in all directions, else along one axis.
    Parameters, errors and source as for :func:`add_unit`.
    """
    (parent,) = parents
    units = _next(parent, context, -1)
    cell = _resized(parent, units / (units + 1), rng)
    places = fractional(parent)
    first = places[int(rng.integers(len(parent)))]
    missing = Counter({atomic_numbers[s]: n for s, n in context.counts_of(1).items()})
    keep = np.ones(len(parent), dtype=bool)
    for k in np.argsort(clearances(first[None], places, parent.cell)[0], kind="stable"):
        number = int(parent.numbers[k])
        if missing[number] > 0:
            missing[number] -= 1
            keep[k] = False
    return arranged(parent, parent.numbers[keep], places[keep], cell, context)


def _next(parent: Candidate, context: OperatorContext, change: int) -> int:
    units = context.units_of(parent) + change
    if units not in context.units:
        raise GenerationError(f"{parent.name}: no cells of {units} formula units are searched")
    return units


def _resized(parent: Candidate, factor: float, rng: np.random.Generator) -> FloatArray:
    """Scale the cell's volume, isotropically or along one axis."""
    if rng.random() < 0.5:
        return np.asarray(parent.cell * np.cbrt(factor))
    scale = np.ones(3)
    scale[int(rng.integers(3))] = factor
    return np.asarray(parent.cell * scale[:, None])
