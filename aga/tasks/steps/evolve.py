"""The steps of the genetic algorithm: seed, breed, acquire."""

from __future__ import annotations

from typing import Any

from aga.cycle import breed, choose
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.search.individual import Individual
from aga.search.propose import initial_structures
from aga.structure.protocols import Frame, Relaxed
from aga.tasks.context import StepContext
from aga.tasks.steps.learn import load_committee
from aga.training.data.formats import read_files

__all__ = ["acquire_picks", "breed_generation", "candidates_of", "relaxer_of", "seed"]


def seed(context: StepContext) -> dict[str, Any]:
    """Make the initial structures; take over the user's own labelled frames."""
    repository, search_id = context.repository, context.search_id
    candidates = initial_structures(context.settings.search)
    repository.put_candidates(search_id, 0, candidates)
    data = _own_data(context)
    repository.put_frames(search_id, 0, data)
    return {"label": [c.name for c in candidates], "data": [f.name for f in data]}


def _own_data(context: StepContext) -> list[Frame]:
    elements = sorted(context.settings.search.atom_counts())
    return read_files(context.settings.training.data, elements)


def relaxer_of(context: StepContext, version: int) -> BatchedRelaxer:
    """Build the relaxer on a committee of the store."""
    machine = context.settings.machine
    committee = load_committee(
        context.repository,
        context.search_id,
        version,
        device=machine.device,
        precision=machine.precision,
        threads=machine.threads,
    )
    return BatchedRelaxer.from_settings(committee, context.settings.search)


def breed_generation(context: StepContext) -> dict[str, Any]:
    """Breed one generation on the committee in service and store its population."""
    repository, search_id, step = context.repository, context.search_id, context.step
    generation, version = int(step.generation or 0), int(step.args["committee"])
    before = _population(context, int(step.args["population"]))
    first = generation % context.settings.search.generations_per_iteration
    bred = breed(
        before,
        relaxer_of(context, version),
        context.settings.search,
        generation=generation,
        renewed=version if first == 1 % context.settings.search.generations_per_iteration else None,
    )
    _store(context, version, bred.relaxed)
    population = [one.relaxed for one in bred.population.individuals]
    repository.put_population(search_id, generation, step.iteration, version, population)
    reasons = [one.relaxed.reason for one in bred.relaxed]
    return {
        "population": generation,
        "relaxed": len(bred.relaxed),
        "reasons": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        "made": dict(bred.made),
        "failed": dict(bred.failed),
        "dropped": dict(bred.population.dropped),
        "best": population[0].enthalpy_per_atom if population else None,
    }


def _population(context: StepContext, generation: int) -> list[Relaxed]:
    if generation == 0:
        return []
    return context.repository.get_population(context.search_id, generation)


def _store(context: StepContext, version: int, relaxed: tuple[Individual, ...]) -> None:
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    sound = [one for one in relaxed if one.fingerprint.size]
    extras = {
        one.name: {
            "space_group": one.space_group.to_dict(),
            "fingerprint": one.fingerprint.tolist(),
        }
        for one in sound
    }
    repository.put_relaxed(search_id, iteration, version, [one.relaxed for one in sound], extras)
    exploded = [one for one in relaxed if not one.fingerprint.size]
    repository.put_candidates(search_id, iteration, [one.candidate for one in exploded])
    for one in exploded:
        repository.mark_failed(
            search_id, one.name, "exploded", "the relaxation on the committee exploded"
        )


def candidates_of(context: StepContext, iteration: int) -> list[Relaxed]:
    """Give every sound structure relaxed in an iteration, by name."""
    return context.repository.relaxed_structures(context.search_id, iteration)


def acquire_picks(context: StepContext) -> dict[str, Any]:
    """Choose the candidates for the reference method."""
    repository, search_id = context.repository, context.search_id
    calls = repository.count_reference(search_id)
    acquisition = choose(
        candidates_of(context, context.step.iteration),
        repository.frames(search_id),
        context.settings.search,
        calls=calls,
    )
    picks = {pick.name: {"score": pick.score, "why": pick.why} for pick in acquisition.picks}
    repository.mark_picked(search_id, picks)
    return {"label": sorted(picks), "refused": dict(acquisition.refused), "calls": calls}
