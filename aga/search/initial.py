"""What the first iteration of a search starts from."""

from __future__ import annotations

import numpy as np

from aga.config import SearchSettings
from aga.errors import GenerationError
from aga.rng import stream
from aga.search.nursery import Nursery, in_words
from aga.search.operators.rattle import displaced
from aga.search.population import Population
from aga.search.propose import TRIES
from aga.structure.candidate import Candidate, Lineage
from aga.structure.random_crystal import draw_crystal

__all__ = ["initial_structures"]

INITIAL_VOLUMES = (0.75, 1.3)
"""Volumes of the initial structures in target volumes: the potential must learn both sides."""

INITIAL_RATTLE = (0.03, 0.08)
"""Displacement in (volume per atom)^⅓ of every third initial structure.

Forces vanish by symmetry on many sites of a symmetric crystal; displaced atoms feel them.
"""


def initial_structures(settings: SearchSettings) -> list[Candidate]:
    """Make the random symmetric structures of iteration 0, ``i000-000`` and so on.

    Their volumes are spread evenly over :data:`INITIAL_VOLUMES` (within ``volume_range``), and
    every third is rattled lightly. Alike structures are drawn again a few times, then kept: a
    small cell has few forms.

    Raises
    ------
    aga.errors.GenerationError
        The atoms do not fit at the shortest distances allowed.
    """
    number = settings.initial_structures
    low, high = np.clip(INITIAL_VOLUMES, *settings.volume_range)
    order = stream(settings.seed, "initial", "volumes").permutation(number)
    nursery = Nursery(settings, Population())
    for index in range(number):
        share = (order[index] + 0.5) / number
        _initial(nursery, index, float(low * (high / low) ** share))
    return nursery.candidates


def _initial(nursery: Nursery, index: int, stretch: float) -> None:
    settings, context = nursery.settings, nursery.context
    names = ("initial", index)
    rng = stream(settings.seed, *names)
    name = f"i000-{index:03d}"
    lineage = Lineage(operator="random", stream="/".join(map(str, names)))
    for attempt in range(2 * TRIES):
        crystal = draw_crystal(
            context.counts,
            rng,
            volume=stretch * context.volume,
            limits=context.limits,
            name=name,
        ).candidate
        if index % 3 == 2:
            amplitude = rng.uniform(*INITIAL_RATTLE) * float(np.cbrt(crystal.volume / len(crystal)))
            crystal = displaced(crystal, rng, amplitude)
        if attempt == TRIES:
            nursery.bred.clear()
        if nursery.objection(crystal.renamed(name, lineage), known_too=False) is None:
            return
    raise GenerationError(
        f"{name}: no structure of {dict(context.counts)} in {2 * TRIES} tries "
        f"({in_words(nursery.failed)})",
        remedy="lower search.min_distance_factor or set search.volume_per_atom",
        structure=name,
    )
