"""The workers of a benchmark of the schedule: processes that begin together."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aga.bench.schedule.steps import Pace
from aga.errors import SiteError
from aga.parallel.process import child_environment, end_groups

__all__ = ["Crew", "Mission", "crew"]

STARTING = 300.0
"""Seconds for all workers to import and connect."""

ENDING = 60.0
"""Seconds for a worker to end its step and to report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mission:
    """What the workers of a crew share.

    Parameters
    ----------
    database
        Address of the database.
    search
        Identifier of the search that they serve.
    pace
        How long steps take.
    numbers
        How many workers serve each category.
    max_idle
        Seconds without work after which a worker ends; None: when it is told to.
    """

    database: str
    search: str
    pace: Pace
    numbers: Mapping[str, int]
    max_idle: float | None = None


@dataclass(slots=True, kw_only=True)
class Crew:
    """Workers that are ready to begin."""

    folder: Path
    names: list[str] = field(default_factory=list)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def begin(self) -> None:
        """Let all begin at once."""
        (self.folder / "start").touch()

    def name_of(self, pid: int) -> str:
        """Name the worker with a process number: ``oracle 3``."""
        numbers = [process.pid for process in self.processes]
        return self.names[numbers.index(pid)] if pid in numbers else f"process {pid}"

    def end(self) -> list[dict[str, Any]]:
        """Let all end after the step in hand; give their reports.

        Raises
        ------
        aga.errors.SiteError
            A worker left none; the message has the end of its log.
        """
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        return self.reports()

    def reports(self, patience: float = ENDING) -> list[dict[str, Any]]:
        """Wait, ``patience`` seconds at most, until all have ended; give their reports.

        Raises
        ------
        aga.errors.SiteError
            As :meth:`end`.
        """
        deadline = time.monotonic() + patience
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        files = [self.folder / f"{name}.report" for name in self.names]
        for name, file in zip(self.names, files, strict=True):
            if not file.exists():
                raise self.failure(name)
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]

    def failure(self, name: str) -> SiteError:
        """Give the error of a worker that did not do its part, with the end of its log."""
        log = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        tail = "\n".join(log.splitlines()[-8:])
        return SiteError(
            f"the worker {name} of the benchmark ended without a report:\n{tail}",
            remedy="with many workers, look for a lack of memory: each takes about 150 MB",
        )


@contextmanager
def crew(
    mission: Mission, folder: Path, say: Callable[[str], None] = lambda _: None
) -> Iterator[Crew]:
    """Start workers and wait until all are ready to begin; end them at last.

    Parameters
    ----------
    mission
        What they do.
    folder
        For their orders, logs and reports.
    say
        Told how far they are.

    Raises
    ------
    aga.errors.SiteError
        They did not come up.
    """
    folder.mkdir(parents=True)
    workers = Crew(folder=folder)
    try:
        for category, number in mission.numbers.items():
            for index in range(number):
                _start(workers, mission, category, f"{category} {index + 1}")
        _wait_until_ready(workers, say)
        yield workers
    finally:
        end_groups([process for process in workers.processes if process.poll() is None])


def _start(workers: Crew, mission: Mission, category: str, name: str) -> None:
    file = workers.folder / f"{name}.json"
    order = {
        "database": mission.database,
        "search": mission.search,
        "pace": mission.pace.to_dict(),
        "category": category,
        "max_idle": mission.max_idle,
        "recover_every": 30.0,
        "start": str(workers.folder / "start"),
    }
    file.write_text(json.dumps(order), encoding="utf-8")
    with (workers.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "aga.bench.schedule.worker", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=child_environment(),
            start_new_session=True,
        )
    workers.names.append(name)
    workers.processes.append(process)


def _wait_until_ready(workers: Crew, say: Callable[[str], None]) -> None:
    deadline = time.monotonic() + STARTING
    while True:
        missing = [n for n in workers.names if not (workers.folder / f"{n}.ready").exists()]
        if not missing:
            return
        say(f"{len(workers.names) - len(missing)} of {len(workers.names)} workers are ready")
        for name, process in zip(workers.names, workers.processes, strict=True):
            if process.poll() is not None:
                raise workers.failure(name)
        if time.monotonic() > deadline:
            raise workers.failure(missing[0])
        time.sleep(0.2)
