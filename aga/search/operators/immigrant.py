"""Immigrants: new random crystals, so that the population never closes upon itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import gcd

import numpy as np

from aga.errors import GenerationError
from aga.search.operators.cells import spacing
from aga.search.operators.context import OperatorContext
from aga.search.operators.rattle import displaced
from aga.structure.candidate import Candidate
from aga.structure.cell_limits import CellLimits
from aga.structure.random_crystal import draw_crystal
from aga.structure.supercells import LARGEST_MULTIPLE, random_supercell

__all__ = ["immigrant"]

VOLUMES = (0.8, 1.2)
"""Volume of an immigrant in target volumes."""

KICKED = 0.9
"""Share of the immigrants whose symmetry is broken."""

KICK = 0.03
"""Standard deviation of the displacements that break it, in (volume per atom)^⅓."""

FEW = 6
"""Atoms up to which a cell is filled better without symmetry."""

SYMMETRIC = 0.25
"""Share of the cells of so few atoms that get a space group, in ``symmetric_share``."""


def immigrant(
    parents: Sequence[Candidate],  # noqa: ARG001 - every operator has the same signature
    rng: np.random.Generator,
    context: OperatorContext,
) -> Candidate:
    """Make a random crystal, with the symmetry of a random space group (``symmetric_share``).

    Where cells of several sizes are searched, each size is equally likely. Some of the crystals
    (``subcell_share``) are several copies of a smaller random cell, fewer copies likelier: a cell
    that is larger than the ground state's own is filled by chance far less often than its own.
    Cells of up to six atoms, copied or not, get a space group in a quarter of ``symmetric_share``.
    Most of the crystals, or the cells that are copied, get displacements of a few hundredths of
    an Å: a relaxation never leaves the symmetry that it begins with, and so ends on saddle points
    that the smallest displacement rolls off.

    Parameters
    ----------
    parents
        None.
    rng
        Random stream of this offspring.
    context
        Composition, sizes, volume and distances.

    Raises
    ------
    aga.errors.GenerationError
        The atoms do not fit.

    References
    ----------
    Fredericks et al., Comput. Phys. Commun. 261, 107810 (2021); copies of a smaller cell: Lyakhov,
    Oganov & Valle, Comput. Phys. Commun. 181, 1623 (2010).
    """
    counts = context.counts_of(context.units[int(rng.integers(len(context.units)))])
    copies = _copies(counts, rng, context.subcell_share)
    if copies > 1:
        try:
            return _drawn(counts, rng, context, copies)
        except GenerationError:
            context.failed["random: subcell"] += 1
    return _drawn(counts, rng, context, 1)


def _copies(counts: Mapping[str, int], rng: np.random.Generator, share: float) -> int:
    """Draw the number of copies: 1, or with weights 1/k² a divisor k of all counts."""
    most = gcd(*counts.values())
    numbers = [k for k in range(2, min(most, LARGEST_MULTIPLE) + 1) if most % k == 0]
    if not numbers or rng.random() >= share:
        return 1
    weights = 1.0 / np.array(numbers) ** 2
    return numbers[int(rng.choice(len(numbers), p=weights / weights.sum()))]


def _drawn(
    counts: Mapping[str, int], rng: np.random.Generator, context: OperatorContext, copies: int
) -> Candidate:
    """Make a crystal of so many copies of a cell."""
    inner = {symbol: n // copies for symbol, n in counts.items()}
    atoms, options = sum(inner.values()), context.crystals
    if atoms <= FEW:
        options = replace(options, symmetric_share=SYMMETRIC * options.symmetric_share)
    if copies > 1:  # the limits of the cell are for the whole
        options = replace(options, shape=CellLimits())
    volume = context.volume_of(atoms) * rng.uniform(*VOLUMES)
    draw = draw_crystal(inner, rng, volume=volume, limits=context.limits, options=options)
    context.failed.update({f"random: {reason}": n for reason, n in draw.failed.items()})
    crystal = draw.candidate
    if rng.random() < KICKED:
        crystal = displaced(crystal, rng, KICK * spacing(crystal))
    return crystal if copies == 1 else random_supercell(crystal, copies, rng)
