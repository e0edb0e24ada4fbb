"""A whole search in one process, for tests, benchmarks and scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aga.config import SearchSettings, Settings
from aga.cycle.generation import Heritage, breed, population_of, survivor
from aga.cycle.iteration import choose, finalists, judge, newcomers, prepared
from aga.cycle.telling import told
from aga.errors import OracleError, SearchFailedError
from aga.search.convergence import IterationRecord, Verdict
from aga.search.individual import Individual, describe
from aga.search.initial import initial_structures
from aga.search.islands import last_of_round, neighbours, predecessor
from aga.search.population import Population, merge
from aga.search.rates import OperatorRecord
from aga.search.results import Result, rank
from aga.structure.candidate import Candidate
from aga.structure.protocols import Committee, Frame, Label, Oracle, Relaxed, Relaxer
from aga.structure.relaxation_path import path_frames, with_thin_path
from aga.units import ev_per_a3_from_gpa

__all__ = ["Outcome", "Train", "Trained", "run_search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A committee in service: it predicts, and it relaxes."""

    committee: Committee
    relaxer: Relaxer


Train = Callable[[Sequence[Frame], int, Trained | None], Trained]
"""Train the committee of an iteration on the frames, from the previous one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A whole search: its verdict, results, frames, last population and what it cost.

    ``results`` say how often and when they were found, and their structure types.
    ``frames`` are the labelled structures, then those along the final relaxations
    (``search.relaxation_frames``); ``calls`` those of the loop, without the relaxations.
    """

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
    stocks: dict[int, _Stock] = {}
    version = 0
    pool: list[Relaxed] = []
    bred: list[list[Individual]] = []
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
        pool = _evolve(stocks, serving, version, search, iteration)
        bred.append([describe(one, search) for one in pool])
        acquisition = choose(pool, frames, search, calls=calls)
        by_name = {one.candidate.name: one.candidate for one in pool}
        picked = [by_name[pick.name] for pick in acquisition.picks]
        picked += newcomers(acquisition, search, iteration=iteration, calls=calls)
        new, spent = _label(picked, oracle, run_dir)
        calls += spent
        if new:
            frames = sorted([*frames, *new], key=lambda frame: frame.name)
            serving, version = train(frames, iteration, serving), iteration
    chosen = finalists(frames, pool, serving.committee, search)
    starts = prepared([one.candidate for one in chosen], serving.relaxer, search)
    pairs, path = _refine(starts, oracle, run_dir, search, frames)
    return Outcome(
        verdict=verdict,
        results=told(rank(pairs, search), bred, frames, history, search),
        frames=(*frames, *path),
        population=_last(stocks, search),
        history=tuple(history),
        calls=calls,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stock:
    """A population, the version of the committee that relaxed it, the operators' record."""

    version: int
    individuals: list[Relaxed]
    record: OperatorRecord


def _evolve(
    stocks: dict[int, _Stock],
    serving: Trained,
    version: int,
    search: SearchSettings,
    iteration: int,
) -> list[Relaxed]:
    """Breed the generations of an iteration; give all that was relaxed, by name."""
    pool: dict[str, Relaxed] = {}
    first, last = (
        last_of_round(n * search.generations_per_iteration, search.islands)
        for n in (iteration - 1, iteration)
    )
    nothing = _Stock(version=version, individuals=[], record=OperatorRecord())
    for generation in range(first + 1, last + 1):
        own = stocks.get(predecessor(generation, search.islands), nothing)
        others = [stocks[g] for g in neighbours(generation, search.islands)]
        guests = [one for other in others for one in other.individuals[: search.migrants]]
        outdated = [*own.individuals, *guests] if own.version != version else []
        bred = breed(
            own.individuals,
            serving.relaxer,
            search,
            generation=generation,
            heritage=Heritage(
                guests=guests,
                renewed={one.candidate.name: survivor(one.candidate, version) for one in outdated},
                record=own.record,
            ),
            committee=serving.committee,
        )
        pool.update({one.name: one.relaxed for one in bred.relaxed})
        individuals = [one.relaxed for one in bred.population.individuals]
        stocks[generation] = _Stock(version=version, individuals=individuals, record=bred.record)
    return [pool[name] for name in sorted(pool)]


def _last(stocks: dict[int, _Stock], search: SearchSettings) -> Population:
    """Give the last population; of several islands what they are as one."""
    newest = [stocks[g].individuals for g in sorted(stocks)[-search.islands :]]
    if len(newest) <= 1:
        return population_of([one for single in newest for one in single], search)
    together = Population()
    for one in newest:
        together = merge(together, population_of(one, search).individuals, search)
    return together


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
    candidates: Sequence[Candidate],
    oracle: Oracle,
    run_dir: Path,
    search: SearchSettings,
    frames: Sequence[Frame],
) -> tuple[list[tuple[Candidate, Label]], list[Frame]]:
    """Relax the best; give the ends with their labels, and frames along the ways to them."""
    pairs: list[tuple[Candidate, Label]] = []
    path: list[Frame] = []
    labelled = {frame.name: frame.candidate for frame in frames}
    pressure = ev_per_a3_from_gpa(search.pressure)
    for candidate in candidates:
        folder = run_dir / f"{candidate.name}.ref"
        try:
            relaxed, label = oracle.relax(candidate, folder, pressure=pressure)
        except OracleError:
            continue
        start = labelled.get(candidate.name)  # in a larger cell it is no step of the way
        known = [relaxed] if start is None or len(start) != len(candidate) else [relaxed, start]
        thin = with_thin_path(label, search.relaxation_frames, known=known)
        path += path_frames(candidate, thin, oracle.name)
        pairs.append((relaxed, replace(label, path=())))
    return pairs, path
