"""The population: the best distinct structures, spread over niches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aga.config import SearchSettings
from aga.search.duplicates import twin_of
from aga.search.individual import Individual
from aga.search.islands import round_of
from aga.structure.fingerprint import Shelf
from aga.structure.matching import CloseCalls

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

    Leave, and are counted as ``dropped``,

    - ``exploded`` and ``untrusted`` relaxations: their energies mean nothing;
    - ``duplicate``: of structures that are one (:func:`aga.search.duplicates.twin_of`, enthalpies
      within :data:`DUPLICATE_ENTHALPY`) all but the lowest;
    - ``age``: those proposed more than ``max_age`` generations of their island ago, but for the
      ``elites`` lowest (age after Hornby, GECCO 2006: what has had its time makes room);
    - ``too_high``: those that get no place. Places go in the order of enthalpy, but a niche – the
      surroundings of an accepted structure in fingerprint space – gets no more than
      :data:`NICHE_SHARE` of them until every other structure has been considered; so one funnel
      can't take the whole population (niching after Lyakhov, Oganov, Stokes & Zhu, Comput. Phys.
      Commun. 184, 1172, 2013).

    Both must have been relaxed on the same committee: relax the population anew after training.
    What comes out does not depend on the order of arrival.
    """
    everyone = [*population.individuals, *newcomers]
    dropped: Counter[str] = Counter()
    usable: list[Individual] = []
    for individual in everyone:
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
    young = _young(distinct, _newest(everyone), settings)
    dropped["age"] = len(distinct) - len(young)
    kept = _niched(young, settings)
    dropped["too_high"] = len(young) - len(kept)
    return Population(individuals=tuple(kept), dropped={key: n for key, n in dropped.items() if n})


def _distinct(individuals: Sequence[Individual], tolerance: float) -> list[Individual]:
    """Keep the first, hence lowest, of each set of duplicates."""
    calls = CloseCalls(tolerance)
    kept: list[Individual] = []
    shelf = Shelf()
    for one in individuals:
        apart = shelf.distances(one.fingerprint)
        if twin_of(one, kept, calls, DUPLICATE_ENTHALPY, apart) is None:
            kept.append(one)
            shelf.add(one.fingerprint)
    return kept


def _newest(individuals: Sequence[Individual]) -> int:
    """Give the generation that is at work: that of the newest structures."""
    return max((one.candidate.lineage.generation for one in individuals), default=0)


def _young(
    individuals: Sequence[Individual], newest: int, settings: SearchSettings
) -> list[Individual]:
    """Leave out, after the elites, what was proposed too many generations ago."""
    if settings.max_age is None:
        return list(individuals)
    islands, elites = settings.islands, settings.elites
    oldest = round_of(newest, islands) - settings.max_age
    return [
        one
        for place, one in enumerate(individuals)
        if place < elites or round_of(one.candidate.lineage.generation, islands) >= oldest
    ]


def _niched(individuals: Sequence[Individual], settings: SearchSettings) -> list[Individual]:
    size = settings.population_size
    radius = NICHE_RADIUS * settings.fingerprint_tolerance
    most = max(1, int(NICHE_SHARE * size))
    founders = Shelf()
    members: Counter[int] = Counter()
    kept: list[Individual] = []
    waiting: list[Individual] = []
    for one in individuals:
        apart = founders.distances(one.fingerprint)
        niche = int(np.argmin(apart)) if len(founders) else -1
        if niche < 0 or apart[niche] > radius:
            niche = len(founders)
            founders.add(one.fingerprint)
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
    # the first to come of so many clocks that ring at these rates: drawn without replacement
    chosen = np.argsort(rng.exponential(size=size) / weight)[:count]
    return tuple(population.individuals[i] for i in chosen.tolist())
