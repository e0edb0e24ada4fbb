"""One generation: propose, relax on the committee, merge into the population."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aga.config import SearchSettings
from aga.search.individual import Individual, describe
from aga.search.operators import Forces
from aga.search.population import Population, merge
from aga.search.propose import Proposals, propose
from aga.search.rates import OperatorRecord
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.protocols import Committee, Relaxed, Relaxer

__all__ = ["Generation", "Heritage", "breed", "population_of", "survivor"]

_VERSION = re.compile(r"\.v\d{3}(i\d+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heritage:
    """What a generation takes over beside its population.

    ``guests``, the best of other islands, join the parents and compete for places. ``renewed``
    holds what was relaxed on an older committee, by name, under the name (:func:`survivor`) with
    which it is relaxed anew; its old energy counts in the choice of parents alone. ``record``
    tells what became of the island's earlier offspring.
    """

    guests: Sequence[Relaxed] = ()
    renewed: Mapping[str, Candidate] = field(default_factory=dict)
    record: OperatorRecord = field(default_factory=OperatorRecord)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What one generation brought.

    ``population`` after the merge; ``relaxed`` every structure relaxed in it, survivors
    relaxed anew included; ``shares`` of the operators in force; ``made`` counts the candidates
    of each operator, ``entered`` those of them in the population, ``failed`` the tries that gave
    none; ``record`` is that of the heritage with this generation added.
    """

    population: Population
    relaxed: tuple[Individual, ...]
    shares: Mapping[str, float]
    made: Mapping[str, int]
    entered: Mapping[str, int]
    failed: Mapping[str, int]
    record: OperatorRecord


def breed(
    before: Sequence[Relaxed],
    relaxer: Relaxer,
    settings: SearchSettings,
    *,
    generation: int,
    heritage: Heritage | None = None,
    committee: Committee | None = None,
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
    heritage
        Guests, who is relaxed anew, the operators' record; nothing of these where None.
    committee
        Gives the forces for soft modes; these are left out where None.

    Returns
    -------
    Generation
        Depends on the arguments alone.
    """
    heritage = heritage or Heritage()
    old = population_of(before, settings)
    if heritage.guests:
        old = merge(old, [describe(one, settings) for one in heritage.guests], settings)
    proposals = propose(
        old,
        settings,
        generation=generation,
        record=heritage.record,
        forces=None if committee is None else _forces_of(committee),
    )
    renewed = heritage.renewed
    survivors = [renewed[one.name] for one in old.individuals if one.name in renewed]
    relaxed = relaxer.relax([*survivors, *proposals.candidates])
    individuals = tuple(describe(one, settings) for one in relaxed)
    current = tuple(one for one in old.individuals if one.name not in renewed)
    population = merge(Population(individuals=current), individuals, settings)
    entered = _entered(proposals, population)
    return Generation(
        population=population,
        relaxed=individuals,
        shares=proposals.shares,
        made=proposals.made,
        entered=entered,
        failed=proposals.failed,
        record=heritage.record.after(proposals.made, entered),
    )


def _forces_of(committee: Committee) -> Forces:
    def forces(candidates: Sequence[Candidate]) -> list[FloatArray]:
        return [prediction.forces for prediction in committee.predict(candidates)]

    return forces


def _entered(proposals: Proposals, population: Population) -> dict[str, int]:
    """Count the offspring that got a place in the population, by operator."""
    kept = {one.name for one in population.individuals}
    return dict(Counter(c.lineage.operator for c in proposals.candidates if c.name in kept))


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
