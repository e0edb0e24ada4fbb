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

_VERSION = re.compile(r"\.v\d{3}(i\d+)?$")


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
    guests: Sequence[Relaxed] = (),
    renewed: Mapping[str, Candidate] | None = None,
) -> Generation:
    """Breed one generation: propose, relax on the committee, merge.

    Parameters
    ----------
    before
        The population.
    relaxer
        The committee in service now.
    settings
        Of the search.
    generation
        Its number, from 1; names the random streams.
    guests
        The best of other islands; they join the parents and compete for places.
    renewed
        What was relaxed on an older committee, by name, under the name (:func:`survivor`) with
        which it is relaxed anew; its old energy counts in the choice of parents alone.

    Returns
    -------
    Generation
        Depends on the arguments alone.
    """
    old = population_of(before, settings)
    if guests:
        old = merge(old, [describe(one, settings) for one in guests], settings)
    proposals = propose(old, settings, generation=generation)
    renewed = renewed or {}
    survivors = [renewed[one.name] for one in old.individuals if one.name in renewed]
    relaxed = relaxer.relax([*survivors, *proposals.candidates])
    individuals = tuple(describe(one, settings) for one in relaxed)
    current = tuple(one for one in old.individuals if one.name not in renewed)
    return Generation(
        population=merge(Population(individuals=current), individuals, settings),
        relaxed=individuals,
        made=proposals.made,
        failed=proposals.failed,
    )


def population_of(relaxed: Sequence[Relaxed], settings: SearchSettings) -> Population:
    """Rebuild a stored population."""
    return Population(individuals=tuple(describe(one, settings) for one in relaxed))


def survivor(candidate: Candidate, version: int, island: int | None = None) -> Candidate:
    """Name a structure that is relaxed anew on a newer committee; its old self is the parent.

    ``island`` is given where islands change to newer committees at times of their own: the same
    structure may then be relaxed anew from other geometries.
    """
    place = "" if island is None else f"i{island}"
    name = f"{_VERSION.sub('', candidate.name)}.v{version:03d}{place}"
    lineage = Lineage(
        operator="relaxation",
        parents=(candidate.name,),
        generation=candidate.lineage.generation,
        stream=candidate.lineage.stream,
    )
    return candidate.renamed(name, lineage)
