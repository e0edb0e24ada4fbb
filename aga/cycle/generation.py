"""One generation: propose, relax on the committee, merge into the population."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aga.config import SearchSettings
from aga.search.individual import Individual, describe
from aga.search.population import Population, merge
from aga.search.propose import propose
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Relaxed, Relaxer

__all__ = ["Generation", "breed", "population_of", "survivor"]

_VERSION = re.compile(r"\.v\d{3}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What one generation brought.

    ``population`` after the merge; ``relaxed`` every structure relaxed in it, survivors
    relaxed anew included; ``made`` counts the candidates of each operator, ``failed`` the
    tries that gave none.
    """

    population: Population
    relaxed: tuple[Individual, ...]
    made: Mapping[str, int]
    failed: Mapping[str, int]


def breed(
    before: Sequence[Relaxed],
    relaxer: Relaxer,
    settings: SearchSettings,
    *,
    generation: int,
    renewed: int | None,
) -> Generation:
    """Breed one generation: propose, relax on the committee, merge.

    Parameters
    ----------
    before
        The population, relaxed on the committee that was in service.
    relaxer
        The committee in service now.
    settings
        Of the search.
    generation
        Its number, from 1; names the random streams.
    renewed
        Version of the committee if it is newer than the one that relaxed ``before``: the
        survivors are relaxed anew, under names of their own. None if it is the same.

    Returns
    -------
    Generation
        Depends on the arguments alone.
    """
    old = population_of(before, settings)
    proposals = propose(old, settings, generation=generation)
    survivors = [] if renewed is None else [survivor(r.candidate, renewed) for r in before]
    relaxed = relaxer.relax([*survivors, *proposals.candidates])
    individuals = tuple(describe(one, settings) for one in relaxed)
    start = old if renewed is None else Population()
    return Generation(
        population=merge(start, individuals, settings),
        relaxed=individuals,
        made=proposals.made,
        failed=proposals.failed,
    )


def population_of(relaxed: Sequence[Relaxed], settings: SearchSettings) -> Population:
    """Rebuild a stored population."""
    return Population(individuals=tuple(describe(one, settings) for one in relaxed))


def survivor(candidate: Candidate, version: int) -> Candidate:
    """Name a structure that is relaxed anew on a newer committee; its old self is the parent."""
    name = f"{_VERSION.sub('', candidate.name)}.v{version:03d}"
    lineage = Lineage(
        operator="relaxation",
        parents=(candidate.name,),
        generation=candidate.lineage.generation,
        stream=candidate.lineage.stream,
    )
    return candidate.renamed(name, lineage)
