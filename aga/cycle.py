"""The story of one generation and one iteration, as functions over the protocols.

Nothing here knows of FireWorks or a database: the steps of a stored search call these
functions, and so does :func:`run_search`, which runs a whole search in one process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aga.config import SearchSettings, Settings
from aga.errors import OracleError, SearchFailedError
from aga.search.acquisition import Acquisition, acquire
from aga.search.convergence import IterationRecord, Verdict, assess, record_iteration
from aga.search.individual import Individual, Known, describe, known
from aga.search.population import Population, merge
from aga.search.propose import initial_structures, propose
from aga.search.results import Finalist, Result, final_relaxations, rank
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Committee, Frame, Label, Oracle, Relaxed, Relaxer
from aga.units import ev_per_a3_from_gpa

__all__ = [
    "Generation",
    "Outcome",
    "Trained",
    "breed",
    "choose",
    "finalists",
    "judge",
    "known_structures",
    "population_of",
    "run_search",
    "survivor",
]

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


def known_structures(frames: Sequence[Frame], settings: SearchSettings) -> list[Known]:
    """Give the labelled structures of the search's own composition, lowest enthalpy first."""
    counts = settings.atom_counts()
    total = sum(counts.values())
    share = {el: n / total for el, n in counts.items()}

    def fits(frame: Frame) -> bool:
        symbols = frame.candidate.symbols
        return set(symbols) == set(share) and all(
            abs(symbols.count(el) / len(symbols) - part) < 1e-9 for el, part in share.items()
        )

    found = [known(frame, settings) for frame in frames if fits(frame)]
    return sorted(found, key=lambda one: (one.enthalpy_per_atom, one.name))


def choose(
    relaxed: Sequence[Relaxed],
    frames: Sequence[Frame],
    settings: SearchSettings,
    *,
    calls: int,
) -> Acquisition:
    """Choose what goes to the reference method, within what is left of the budget."""
    return acquire(
        [describe(one, settings) for one in relaxed],
        known_structures(frames, settings),
        settings,
        calls_left=max(0, settings.budget.reference_calls - calls),
    )


def judge(  # noqa: PLR0913 - what the verdict rests on
    history: Sequence[IterationRecord],
    frames: Sequence[Frame],
    relaxed: Sequence[Relaxed],
    committee: Committee,
    settings: SearchSettings,
    *,
    calls: int,
    hours: float,
) -> tuple[IterationRecord, Verdict]:
    """Sum up an iteration and decide whether the search goes on.

    Parameters
    ----------
    history
        Records of the iterations before, oldest first.
    frames
        Everything labelled so far.
    relaxed
        The candidates of this iteration as they were relaxed.
    committee
        The newest committee; asked about the best labelled structures and about the lowest
        candidates, whose predictions are older than it.
    settings
        Of the search.
    calls, hours
        Spent so far.
    """
    labelled = known_structures(frames, settings)
    best = labelled[: 4 * settings.convergence.best_structures]
    said = committee.predict([one.candidate for one in best])
    spreads = {one.name: p.energy_spread for one, p in zip(best, said, strict=True)}
    record = record_iteration(
        len(history),
        labelled,
        [describe(one, settings) for one in asked_again(relaxed, committee, settings)],
        spreads,
        settings,
        reference_calls=calls,
    )
    return record, assess([*history, record], settings, calls=calls, hours=hours)


def asked_again(
    relaxed: Sequence[Relaxed], committee: Committee, settings: SearchSettings
) -> list[Relaxed]:
    """Give relaxed structures with the energies that a newer committee predicts for them."""
    sound = [one for one in relaxed if one.reason in {"converged", "step_limit"}]
    pressure = ev_per_a3_from_gpa(settings.pressure)
    return [
        replace(
            one,
            energy=said.energy,
            enthalpy=said.energy + pressure * one.candidate.volume,
            energy_spread=said.energy_spread,
            force_spread=said.force_spread,
        )
        for one, said in zip(sound, committee.predict([r.candidate for r in sound]), strict=True)
    ]


def finalists(
    frames: Sequence[Frame],
    relaxed: Sequence[Relaxed],
    committee: Committee,
    settings: SearchSettings,
) -> list[Finalist]:
    """Choose the structures that the reference method relaxes at the end."""
    predicted = [describe(one, settings) for one in asked_again(relaxed, committee, settings)]
    return final_relaxations(known_structures(frames, settings), predicted, settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A committee in service: it predicts, and it relaxes."""

    committee: Committee
    relaxer: Relaxer


Train = Callable[[Sequence[Frame], int, Trained | None], Trained]
"""Train the committee of an iteration on the frames, from the previous one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A whole search: its verdict, results, frames, last population and what it cost."""

    verdict: Verdict
    results: tuple[Result, ...]
    frames: tuple[Frame, ...]
    population: Population
    history: tuple[IterationRecord, ...]
    calls: int


def run_search(
    settings: Settings,
    oracle: Oracle,
    train: Train,
    run_dir: Path,
    report: Callable[[IterationRecord, Verdict], None] | None = None,
) -> Outcome:
    """Run a whole search in this process; the same story as the stored one.

    Parameters
    ----------
    settings
        Of the search.
    oracle
        The reference method.
    train
        Trains a committee.
    run_dir
        Folder of the reference method's run directories.
    report
        Told the record and the verdict of each iteration.

    Raises
    ------
    aga.errors.SearchFailedError
        The reference method gave no label at all.
    """
    search = settings.search
    frames, calls = _label(initial_structures(search), oracle, run_dir)
    if not frames:
        raise SearchFailedError("the reference method failed on every initial structure")
    history: list[IterationRecord] = []
    population: list[Relaxed] = []
    pool: list[Relaxed] = []
    serving = train(frames, 0, None)
    while True:
        record, verdict = judge(
            history, frames, pool, serving.committee, search, calls=calls, hours=0.0
        )
        history.append(record)
        if report is not None:
            report(record, verdict)
        if verdict.state != "continue":
            break
        iteration = len(history)
        population, pool = _evolve(population, serving, search, iteration)
        names = {p.name for p in choose(pool, frames, search, calls=calls).picks}
        picked = [one.candidate for one in pool if one.candidate.name in names]
        new, spent = _label(picked, oracle, run_dir)
        calls += spent
        if new:
            frames = sorted([*frames, *new], key=lambda frame: frame.name)
            serving = train(frames, iteration, serving)
    chosen = finalists(frames, pool, serving.committee, search)
    pairs = _refine([one.candidate for one in chosen], oracle, run_dir, search)
    return Outcome(
        verdict=verdict,
        results=tuple(rank(pairs, search)),
        frames=tuple(frames),
        population=population_of(population, search),
        history=tuple(history),
        calls=calls,
    )


def _evolve(
    population: list[Relaxed], serving: Trained, search: SearchSettings, iteration: int
) -> tuple[list[Relaxed], list[Relaxed]]:
    """Breed the generations of an iteration; give the population and all that was relaxed."""
    pool: dict[str, Relaxed] = {}
    last = iteration * search.generations_per_iteration
    for generation in range(last - search.generations_per_iteration + 1, last + 1):
        first = (
            generation % search.generations_per_iteration == 1 % search.generations_per_iteration
        )
        bred = breed(
            population,
            serving.relaxer,
            search,
            generation=generation,
            renewed=iteration - 1 if first else None,
        )
        pool.update({one.name: one.relaxed for one in bred.relaxed})
        population = [one.relaxed for one in bred.population.individuals]
    return population, [pool[name] for name in sorted(pool)]


def _label(
    candidates: Sequence[Candidate], oracle: Oracle, run_dir: Path
) -> tuple[list[Frame], int]:
    frames: list[Frame] = []
    calls = 0
    for candidate in candidates:
        try:
            label = oracle.label(candidate, run_dir / candidate.name)
        except OracleError:
            calls += 1
            continue
        calls += label.evaluations
        frames.append(
            Frame(
                candidate=candidate,
                energy=label.energy,
                forces=label.forces,
                stress=label.stress,
                source=oracle.name,
            )
        )
    return frames, calls


def _refine(
    candidates: Sequence[Candidate], oracle: Oracle, run_dir: Path, search: SearchSettings
) -> list[tuple[Candidate, Label]]:
    pairs: list[tuple[Candidate, Label]] = []
    pressure = ev_per_a3_from_gpa(search.pressure)
    for candidate in candidates:
        folder = run_dir / f"{candidate.name}.ref"
        try:
            pairs.append(oracle.relax(candidate, folder, pressure=pressure))
        except OracleError:
            continue
    return pairs
