"""What a generation breeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from aga.config import SearchSettings
from aga.errors import GenerationError
from aga.rng import stream
from aga.search.nursery import Nursery, in_words
from aga.search.operators import OPERATORS, Operator
from aga.search.population import Population, select_parents
from aga.structure.candidate import Candidate, Lineage

__all__ = ["TRIES", "Proposals", "propose"]

TRIES = 12
"""Attempts with the drawn operator before a random immigrant takes the place."""

HOPELESS = 2
"""Places that stay empty at the start of a generation before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """The offspring of a generation.

    ``made`` counts the candidates of each operator; ``failed`` the tries that gave no
    acceptable structure, by ``operator: reason``; ``missing`` places that stayed empty.
    """

    candidates: tuple[Candidate, ...]
    made: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0


def propose(population: Population, settings: SearchSettings, *, generation: int) -> Proposals:
    """Breed one generation.

    Every offspring has a random stream of its own, ``propose/GENERATION/INDEX``, from which its
    operator (by the weights of the settings), parents and structure come. Structures with atoms
    too close, with a volume out of range, or like one of the population or of this generation
    are bred anew, at most :data:`TRIES` times; then a random immigrant takes the place, and
    where that fails too it stays empty.

    Parameters
    ----------
    population
        May be empty: then all offspring are immigrants.
    settings
        Of the search.
    generation
        Counted over the whole search; part of the names ``g003-017``.

    Raises
    ------
    aga.errors.GenerationError
        Not a single acceptable structure was found.
    """
    nursery = Nursery(settings, population)
    made: Counter[str] = Counter()
    for index in range(settings.offspring):
        operator = _bred(nursery, population, generation, index)
        if operator is not None:
            made[operator] += 1
        elif not made and index + 1 >= HOPELESS:
            break
    if not made:
        raise GenerationError(
            f"generation {generation}: no acceptable structure ({in_words(nursery.failed)})",
            remedy="widen search.volume_range or lower search.min_distance_factor",
            generation=generation,
        )
    return Proposals(
        candidates=tuple(nursery.candidates),
        made=dict(made),
        failed=dict(nursery.failed),
        missing=settings.offspring - len(nursery.candidates),
    )


def _bred(nursery: Nursery, population: Population, generation: int, index: int) -> str | None:
    """Breed one offspring; give the name of the operator that made it, None where none did."""
    names = ("propose", generation, index)
    rng = stream(nursery.settings.seed, *names)
    drawn = _drawn_operator(nursery.settings, len(population), rng)
    for attempt in range(2 * TRIES):
        operator = drawn if attempt < TRIES else OPERATORS["random"]
        parents = select_parents(population, operator.parents, rng)
        try:
            child = operator.function([p.candidate for p in parents], rng, nursery.context)
        except GenerationError as error:
            nursery.failed[f"{operator.name}: {error.reason}"] += 1
            if operator.parents == 0:
                return None  # it has made its own tries, many and slow ones
            continue
        lineage = Lineage(
            operator=operator.name,
            parents=tuple(parent.name for parent in parents),
            generation=generation,
            stream="/".join(map(str, names)),
        )
        child = child.renamed(f"g{generation:03d}-{index:03d}", lineage)
        # once only immigrants are left, one like the population is better than none
        known_too = attempt < TRIES + TRIES // 2
        objection = nursery.objection(child, known_too=known_too)
        if objection is None:
            return operator.name
        nursery.failed[f"{operator.name}: {objection}"] += 1
    return None


def _drawn_operator(
    settings: SearchSettings, population: int, rng: np.random.Generator
) -> Operator:
    """Draw an operator by its weight; what can't be applied leaves its share to the others."""
    counts = settings.atom_counts()
    usable = [op for op in OPERATORS.values() if op.applicable(counts, population)]
    weight = np.array([getattr(settings.operators, op.name) for op in usable])
    if weight.sum() <= 0:
        return OPERATORS["random"]
    return usable[int(rng.choice(len(usable), p=weight / weight.sum()))]
