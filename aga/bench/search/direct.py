"""Arms that relax every structure directly on the reference method; the ledger ends them."""

from __future__ import annotations

from itertools import count

from aga.bench.search.bout import Bout
from aga.cycle.generation import Heritage, breed
from aga.search.population import Population
from aga.search.propose import propose
from aga.structure.protocols import Relaxed

__all__ = ["genetic", "random_search"]


def random_search(bout: Bout) -> None:
    """Relax random symmetric crystals, one after the other, for ever.

    They are the immigrants of a generation without parents: all alike in one generation of
    ``offspring`` are drawn anew.

    Raises
    ------
    aga.bench.search.ledger.Ended
        The answer is found or a cap reached.
    """
    relaxer, search = bout.relaxer(), bout.settings.search
    for generation in count(1):
        relaxer.relax(propose(Population(), search, generation=generation).candidates)


def genetic(bout: Bout) -> None:
    """Breed generation after generation, as the search does, but relax on the reference method.

    Operators adapt as in a search. Soft modes are left away: their forces would be reference
    calls, some dozens for each offspring.

    Raises
    ------
    aga.bench.search.ledger.Ended
        The answer is found or a cap reached.
    """
    relaxer, search = bout.relaxer(), bout.settings.search
    population: list[Relaxed] = []
    heritage = Heritage()
    for generation in count(1):
        bred = breed(population, relaxer, search, generation=generation, heritage=heritage)
        heritage = Heritage(record=bred.record)
        population = [one.relaxed for one in bred.population.individuals]
