"""The whole benchmark: structures saved by schedule and workers, idle time, the cost per job."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from aga.bench.schedule.cost import Cost, measure_cost
from aga.bench.schedule.limits import limits
from aga.bench.schedule.throughput import Case, Row, measure_case
from aga.store.server import start, stop

__all__ = ["MAIN", "Measured", "Options", "default_cases", "measure_schedule"]

MAIN = (2, 8)
"""GA and DFT workers of the comparison of the two schedules."""

LARGE: tuple[Case, ...] = (
    Case(schedule="concurrent", ga=2, oracle=13, train=1, unit=2.0),
    Case(schedule="concurrent", ga=6, oracle=54, train=4, unit=6.0),
)
"""Sixteen and sixty-four workers; the more of them share the cores, the longer their jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to measure.

    ``cases`` in turn; ``finished`` are the two numbers of finished jobs between which the cost per
    job is compared; ``database`` is the address of a database, None for an own embedded server
    that is removed afterwards.
    """

    cases: tuple[Case, ...]
    finished: tuple[int, int] = (100, 10_000)
    database: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came out."""

    rows: tuple[Row, ...]
    costs: tuple[Cost, ...]

    @property
    def ratio(self) -> float | None:
        """Structures saved by the concurrent schedule over those by the sequential one."""
        by = {
            row.case.schedule: row.saved
            for row in self.rows
            if (row.case.ga, row.case.oracle) == MAIN
        }
        if "concurrent" not in by or not by.get("sequential"):
            return None
        return by["concurrent"] / by["sequential"]

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "concurrent_over_sequential": self.ratio,
            "rows": [row.to_dict() for row in self.rows],
            "finished_jobs": [cost.finished for cost in self.costs],
            "cpu_ms_per_job": {f"at_{c.finished}": c.worker_ms for c in self.costs},
            "server_cpu_ms_per_job": {f"at_{c.finished}": c.server_ms for c in self.costs},
            "commands_per_job": self.costs[-1].commands,
            "limits": limits(self.costs[-1]),
        }


def default_cases(
    ga: Sequence[int] = (1, 2), oracle: Sequence[int] = (2, 4, 8), *, large: bool = True
) -> tuple[Case, ...]:
    """Give both schedules for every number of workers, and the large crews."""
    grid = [
        Case(schedule=schedule, ga=g, oracle=o, unit=1.0)
        for g in ga
        for o in oracle
        for schedule in ("sequential", "concurrent")
    ]
    return (*grid, *(LARGE if large else ()))


def quick(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Give the comparison alone, over a third of the time."""
    return tuple(replace(c, window=16.0) for c in cases if (c.ga, c.oracle) == MAIN)


def measure_schedule(options: Options, say: Callable[[str], None] = lambda _: None) -> Measured:
    """Measure all cases and the cost per job.

    Parameters
    ----------
    options
        What to measure.
    say
        Told how far it is.

    Raises
    ------
    aga.errors.AgaError
        The server or a worker did not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="aga-bench-schedule-"))
    try:
        if options.database is not None:
            return _measure(options, options.database, None, folder, say)
        server = start(folder / "db")
        try:
            # A database for each case: none carries the fireworks of those before.
            return _measure(options, str(server.uri), server.pid, folder, say, apart=True)
        finally:
            stop(folder / "db")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(
    options: Options,
    database: str,
    server: int | None,
    folder: Path,
    say: Callable[[str], None],
    *,
    apart: bool = False,
) -> Measured:
    rows = []
    for number, case in enumerate(options.cases, 1):
        name = f"{number}/{len(options.cases)} {case.schedule}, {case.ga} GA, {case.oracle} DFT"
        place = folder / f"case-{number}"
        own = f"{database}-{number}" if apart else database
        rows.append(measure_case(case, own, place, partial(_say, say, name)))
    own = f"{database}-cost" if apart else database
    costs = measure_cost(own, server, folder / "cost", options.finished, say)
    return Measured(rows=tuple(rows), costs=tuple(costs))


def _say(say: Callable[[str], None], case: str, text: str) -> None:
    say(f"{case}: {text}")
