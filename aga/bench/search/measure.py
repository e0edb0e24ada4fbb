"""All runs of a comparison: those that are missing are done, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aga.bench.search.arms import Arm
from aga.bench.search.jobs import Job, Record, perform
from aga.bench.search.problems import SEEDS, Problem
from aga.bench.search.provenance import provenance
from aga.bench.search.results import ResultsFile
from aga.bench.search.summary import summarise
from aga.parallel.pool import run_each

__all__ = ["Comparison", "Progress", "measure_searches"]

Progress = Callable[[str, Record | None], None]
"""Told the name of a run that begins, or of one that has ended with its record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared: every arm on every problem with ``seeds`` seeds, from 0.

    ``seeds`` None: as many as the problem says for direct arms, and 20 for others; ``cap``
    replaces the problems' caps of reference calls; ``quick`` cuts all down to seconds.
    """

    problems: Sequence[Problem]
    arms: Sequence[Arm]
    seeds: int | None = None
    cap: int | None = None
    quick: bool = False

    def jobs(self) -> list[Job]:
        """Give all runs; the first seed of all comes first, so that each table is soon begun."""
        rows = [
            (problem, arm, self._runs(problem, arm))
            for problem in map(self._cut, self.problems)
            for arm in self.arms
        ]
        return [
            Job(problem=problem, arm=arm, seed=seed)
            for seed in range(max((runs for _, _, runs in rows), default=0))
            for problem, arm, runs in rows
            if seed < runs
        ]

    def _runs(self, problem: Problem, arm: Arm) -> int:
        if self.seeds is not None:
            return self.seeds
        return problem.direct_seeds if arm.direct else SEEDS

    def _cut(self, problem: Problem) -> Problem:
        if self.cap is not None:
            problem = replace(problem, calls=self.cap)
        return problem.quick() if self.quick else problem


def measure_searches(
    comparison: Comparison,
    results: ResultsFile,
    *,
    workers: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Do the runs that are not in the results file, and sum up all.

    Parameters
    ----------
    comparison
        What is compared.
    results
        Each finished run is added at once.
    workers
        Runs at a time, each on one core; 0: none, only what is there is summed up.
    progress
        Told of each.

    Returns
    -------
    dict
        ``seeds`` (None where each row has its own), ``rows``, ``missing``, the number of runs
        that are not done, ``left_out``, how many of these were done by another code, and what
        :func:`aga.bench.search.provenance.provenance` says.

    Raises
    ------
    aga.errors.AgaError
        An arm can't be run here.
    """
    jobs = comparison.jobs()

    def hear(_number: int, said: Any) -> None:  # noqa: ANN401 - what a job says
        kind, value = said
        if kind == "finished":
            results.add(value)
        if progress is not None:
            name = (
                value if kind == "begun" else f"{value['problem']} {value['arm']} {value['seed']}"
            )
            progress(name, value if kind == "finished" else None)

    if workers:
        run_each(perform, results.missing(jobs), processes=workers, progress=hear)
    records = results.of(jobs)
    return {
        "seeds": comparison.seeds,
        "rows": summarise(records),
        "missing": len(results.missing(jobs)),
        "left_out": results.left_out(jobs),
        **provenance(records, {job.code() for job in jobs}),
    }
