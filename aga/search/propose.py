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
from aga.search.operators import OPERATORS, Forces, Operator, OperatorContext
from aga.search.population import Population, select_parents
from aga.search.rates import OperatorRecord, shares
from aga.structure.candidate import Candidate, Lineage
from aga.structure.pushing import pushed_apart

__all__ = ["TRIES", "Proposals", "propose"]

TRIES = 12
"""Attempts with the drawn operator before a random immigrant takes the place."""

HOPELESS = 2
"""Places that stay empty at the start of a generation before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """The offspring of a generation.

    ``shares`` are those that the operators were drawn with; ``made`` counts the candidates of
    each operator; ``failed`` the tries that gave no acceptable structure, also those within an
    operator, by ``operator: reason``; ``missing`` places that stayed empty.
    """

    candidates: tuple[Candidate, ...]
    shares: Mapping[str, float] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0


def propose(
    population: Population,
    settings: SearchSettings,
    *,
    generation: int,
    record: OperatorRecord | None = None,
    forces: Forces | None = None,
) -> Proposals:
    """Breed one generation.

    Every offspring has a random stream of its own, ``propose/GENERATION/INDEX``, from which its
    operator, parents and structure come. Atoms that came too close are pushed apart
    (:mod:`aga.structure.pushing`). Structures where that does not help, with a volume out of
    range, or like one of the population or of this generation are bred anew, at most
    :data:`TRIES` times; then a random immigrant takes the place, and where that fails too it
    stays empty.

    Parameters
    ----------
    population
        May be empty: then all offspring are immigrants.
    settings
        Of the search.
    generation
        Counted over the whole search; part of the names ``g003-017``.
    record
        What became of earlier offspring; with it the operators' shares adapt
        (:mod:`aga.search.rates`), unless ``adapt_operators`` is false.
    forces
        Of the committee; without it nothing is displaced along soft modes.

    Raises
    ------
    aga.errors.GenerationError
        Not a single acceptable structure was found.
    """
    breeder = _Breeder(
        nursery=Nursery(settings, population),
        context=OperatorContext.from_settings(settings, forces),
        population=population,
        shares=_shares(settings, len(population), record, has_forces=forces is not None),
    )
    nursery = breeder.nursery
    made: Counter[str] = Counter()
    for index in range(settings.offspring):
        operator = _bred(breeder, generation, index)
        if operator is not None:
            made[operator] += 1
        elif not made and index + 1 >= HOPELESS:
            break
    failed = nursery.failed + breeder.context.failed
    if not made:
        raise GenerationError(
            f"generation {generation}: no acceptable structure ({in_words(failed)})",
            remedy="widen search.volume_range or lower search.min_distance_factor",
            generation=generation,
        )
    return Proposals(
        candidates=tuple(nursery.candidates),
        shares=breeder.shares,
        made=dict(made),
        failed=dict(failed),
        missing=settings.offspring - len(nursery.candidates),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Breeder:
    """What all offspring of a generation have in common."""

    nursery: Nursery
    context: OperatorContext
    population: Population
    shares: Mapping[str, float]


def _bred(breeder: _Breeder, generation: int, index: int) -> str | None:
    """Breed one offspring; give the name of the operator that made it, None where none did."""
    nursery = breeder.nursery
    names = ("propose", generation, index)
    rng = stream(nursery.settings.seed, *names)
    drawn = _drawn_operator(breeder.shares, rng)
    for attempt in range(2 * TRIES):
        operator = drawn if attempt < TRIES else OPERATORS["random"]
        parents = select_parents(breeder.population, operator.parents, rng)
        try:
            child = operator.function([p.candidate for p in parents], rng, breeder.context)
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
        child = pushed_apart(child, nursery.limits)
        child = child.renamed(f"g{generation:03d}-{index:03d}", lineage)
        # once only immigrants are left, one like the population is better than none
        known_too = attempt < TRIES + TRIES // 2
        objection = nursery.objection(child, known_too=known_too)
        if objection is None:
            return operator.name
        nursery.failed[f"{operator.name}: {objection}"] += 1
    return None


def _shares(
    settings: SearchSettings, population: int, record: OperatorRecord | None, *, has_forces: bool
) -> dict[str, float]:
    """Give the operators' shares; what can't be applied leaves its own to the others."""
    counts, sizes = settings.atom_counts(), len(settings.unit_range())
    usable = [
        operator.name
        for operator in OPERATORS.values()
        if operator.applicable(counts, population, sizes=sizes, forces=has_forces)
    ]
    weights = settings.operators.model_dump()
    record = record if settings.adapt_operators else None
    return shares(weights, usable, record) or {"random": 1.0}


def _drawn_operator(shares_: Mapping[str, float], rng: np.random.Generator) -> Operator:
    share = np.array(list(shares_.values()))
    return OPERATORS[list(shares_)[int(rng.choice(len(share), p=share / share.sum()))]]
