"""The population: the best distinct structures, spread over niches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aga.config import SearchSettings
from aga.search.individual import Individual
from aga.structure.fingerprint import cosine_distances

__all__ = ["Population", "merge", "select_parents"]

DUPLICATE_ENTHALPY = 0.02
"""eV/atom within which two structures of one fingerprint are the same minimum."""

NICHE_RADIUS = 5.0
"""Radius of a niche in fingerprint tolerances."""

NICHE_SHARE = 0.25
"""Share of the population that one niche may hold while others have members waiting."""

SELECTION_PRESSURE = 3.0
"""The best is chosen e³ times as often as the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Individuals in ascending enthalpy per atom; ``dropped`` counts why others left."""

    individuals: tuple[Individual, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Give the number of individuals."""
        return len(self.individuals)


def merge(
    population: Population, newcomers: Sequence[Individual], settings: SearchSettings
) -> Population:
    """Let newcomers compete with the population for its places.

    Exploded and untrusted relaxations are dropped (their energies mean nothing), then of each
    set of duplicates (fingerprint within the tolerance and enthalpy within
    :data:`DUPLICATE_ENTHALPY`) all but the lowest. Places go in the order of enthalpy, but a
    niche – the surroundings of an accepted structure in fingerprint space – gets no more than
    :data:`NICHE_SHARE` of them until every other structure has been considered; so one funnel
    can't take the whole population (niching after Lyakhov, Oganov, Stokes & Zhu, Comput. Phys.
    Commun. 184, 1172, 2013).

    Both must have been relaxed on the same committee: relax the population anew after training.
    """
    dropped: Counter[str] = Counter()
    usable: list[Individual] = []
    for individual in [*population.individuals, *newcomers]:
        reason = individual.relaxed.reason
        if reason == "untrusted":
            dropped["untrusted"] += 1
        elif reason == "exploded" or individual.fingerprint.size == 0:
            dropped["exploded"] += 1
        else:
            usable.append(individual)
    usable.sort(key=lambda one: (one.enthalpy_per_atom, one.name))
    distinct = _distinct(usable, settings.fingerprint_tolerance)
    dropped["duplicate"] = len(usable) - len(distinct)
    kept = _niched(distinct, settings)
    dropped["too_high"] = len(distinct) - len(kept)
    return Population(individuals=tuple(kept), dropped={key: n for key, n in dropped.items() if n})


def _distinct(individuals: Sequence[Individual], tolerance: float) -> list[Individual]:
    """Keep the first, hence lowest, of each set of duplicates."""
    kept: list[Individual] = []
    for one in individuals:
        apart = cosine_distances(one.fingerprint, [k.fingerprint for k in kept])
        twins = [kept[i] for i in np.flatnonzero(apart < tolerance)]
        gaps = [one.enthalpy_per_atom - twin.enthalpy_per_atom for twin in twins]
        if not gaps or min(gaps) > DUPLICATE_ENTHALPY:
            kept.append(one)
    return kept


def _niched(individuals: Sequence[Individual], settings: SearchSettings) -> list[Individual]:
    size = settings.population_size
    radius = NICHE_RADIUS * settings.fingerprint_tolerance
    most = max(1, int(NICHE_SHARE * size))
    founders: list[Individual] = []
    members: Counter[int] = Counter()
    kept: list[Individual] = []
    waiting: list[Individual] = []
    for one in individuals:
        apart = cosine_distances(one.fingerprint, [f.fingerprint for f in founders])
        niche = int(np.argmin(apart)) if founders else -1
        if niche < 0 or apart[niche] > radius:
            niche = len(founders)
            founders.append(one)
        if members[niche] < most and len(kept) < size:
            members[niche] += 1
            kept.append(one)
        else:
            waiting.append(one)
    kept += waiting[: size - len(kept)]
    return sorted(kept, key=lambda one: (one.enthalpy_per_atom, one.name))


def select_parents(
    population: Population, count: int, rng: np.random.Generator
) -> tuple[Individual, ...]:
    """Choose different parents with exponential ranking (the lower, the likelier).

    Raises
    ------
    ValueError
        The population is smaller than the number of parents.
    """
    size = len(population)
    if size < count:
        raise ValueError(f"{count} parents asked of a population of {size}")
    if count == 0:
        return ()
    weight = np.exp(-SELECTION_PRESSURE * np.arange(size) / max(1, size - 1))
    chosen = rng.choice(size, size=count, replace=False, p=weight / weight.sum())
    return tuple(population.individuals[int(i)] for i in chosen)
