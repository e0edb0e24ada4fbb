"""A generation, whatever it is relaxed on: what decides it, and where it is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from aga.cycle import Heritage, breed, survivor
from aga.errors import NotFoundError
from aga.search.individual import Individual
from aga.search.rates import OperatorRecord
from aga.store.documents import Step
from aga.structure.geometry import reduced
from aga.structure.protocols import Committee, Relaxed, Relaxer
from aga.structure.symmetry import space_groups
from aga.tasks.context import StepContext
from aga.tasks.situation import newest_assessment, newest_generations

__all__ = ["breed_on", "decided"]


def breed_on(
    context: StepContext,
    relaxer_of: Callable[[StepContext, int], Relaxer],
    committee_of: Callable[[StepContext, int], Committee | None] | None = None,
) -> dict[str, Any]:
    """Breed one generation and store its population.

    Parameters
    ----------
    context
        The step.
    relaxer_of
        Builds the relaxer on a version of the committee.
    committee_of
        Loads that version, where forces are needed too.
    """
    repository, search_id, settings = context.repository, context.search_id, context.settings.search
    step = decided(context)
    generation, version = int(step.generation or 0), int(step.args["committee"])
    stocks = [_stock(context, int(step.args["population"]))]
    stocks += [_stock(context, int(g), settings.migrants) for g in step.args["neighbours"]]
    place = int(step.args["island"]) if settings.schedule == "concurrent" else None
    bred = breed(
        stocks[0].individuals,
        relaxer_of(context, version),
        settings,
        generation=generation,
        heritage=Heritage(
            guests=[one for stock in stocks[1:] for one in stock.individuals],
            renewed={
                one.candidate.name: survivor(one.candidate, version, place)
                for stock in stocks
                if stock.version != version
                for one in stock.individuals
            },
            record=stocks[0].record,
        ),
        committee=None if committee_of is None else committee_of(context, version),
    )
    iteration = int(step.args.get("iteration", step.iteration))
    _store(context, iteration, version, bred.relaxed)
    population = [one.relaxed for one in bred.population.individuals]
    record = bred.record.to_dict()
    repository.put_population(search_id, generation, iteration, version, population, record)
    reasons = [one.relaxed.reason for one in bred.relaxed]
    return {
        "population": generation,
        "relaxed": len(bred.relaxed),
        "reasons": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        "shares": dict(bred.shares),
        "made": dict(bred.made),
        "entered": dict(bred.entered),
        "failed": dict(bred.failed),
        "dropped": dict(bred.population.dropped),
        "best": population[0].enthalpy_per_atom if population else None,
    }


def decided(context: StepContext) -> Step:
    """Give the step with everything that decides what it does.

    In the sequential schedule the plan says it all. In the concurrent one a generation takes the
    newest committee, and the newest populations of the other islands, at the moment it begins;
    that is written down, so that another attempt does the same.
    """
    repository, search_id, step = context.repository, context.search_id, context.attempt.step
    if "committee" in step.args:
        return step
    own, islands = int(step.args["island"]), context.settings.search.islands
    search = repository.get_search(search_id)
    newest = newest_assessment(repository, search)
    if newest is None:
        raise NotFoundError(f"search {search_id} has no committee yet", search=search_id)
    committee = (newest.result or {})["committee"]
    done = newest_generations(repository, search, islands, state="done")
    before = done.pop(own, None)
    again = before is not None and before.args["committee"] == committee
    args = {
        "committee": committee,
        "iteration": newest.iteration + 1,
        "since": int(before.args["since"]) + 1 if again and before is not None else 1,
        "neighbours": [other.generation for other in done.values()],
    }
    return repository.fix_args(context.attempt, args)


class _Stock(NamedTuple):
    """The best of a population, the committee that relaxed it, and the operators' record.

    Nothing before the first.
    """

    version: int | None
    individuals: list[Relaxed]
    record: OperatorRecord


def _stock(context: StepContext, generation: int, number: int | None = None) -> _Stock:
    if generation == 0:
        return _Stock(None, [], OperatorRecord())
    repository, search_id = context.repository, context.search_id
    version = repository.population_committee(search_id, generation)
    record = OperatorRecord.from_dict(repository.population_operators(search_id, generation))
    return _Stock(version, repository.get_population(search_id, generation)[:number], record)


def _found(one: Individual, tolerance: float) -> dict[str, Any]:
    """Give what is stored beside a relaxed structure: its symmetry and fingerprint."""
    groups = space_groups(reduced(one.candidate), tolerance)
    return {
        "space_group": groups.loose.to_dict(),
        "space_group_strict": groups.strict.to_dict(),
        "fingerprint": one.fingerprint.tolist(),
    }


def _store(
    context: StepContext, iteration: int, version: int, relaxed: tuple[Individual, ...]
) -> None:
    repository, search_id = context.repository, context.search_id
    sound = [one for one in relaxed if one.fingerprint.size]
    tolerance = context.settings.search.symmetry_tolerance
    extras = {one.name: _found(one, tolerance) for one in sound}
    repository.put_relaxed(search_id, iteration, version, [one.relaxed for one in sound], extras)
    exploded = [one for one in relaxed if not one.fingerprint.size]
    repository.put_candidates(search_id, iteration, [one.candidate for one in exploded])
    for one in exploded:
        repository.mark_failed(
            search_id, one.name, "exploded", "the relaxation on the committee exploded"
        )
