"""One job of an external program: as many runs as its repairs take, within one time limit."""

from __future__ import annotations

import json
import re
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aga.errors import OracleError
from aga.oracle.base import disk_full, disk_full_as_error
from aga.oracle.repair import Inputs, Ladder, Repair, changed
from aga.oracle.runner import SCRATCH, Run, fresh_directory, mark, run
from aga.oracle.seal import Seal, hashes, seal_of
from aga.parallel.die_with_parent import CANNOT_START
from aga.structure.candidate import Candidate

__all__ = ["Done", "Job", "Program", "how_it_ended", "tail"]

LOG = "repairs.json"

_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded|ENOSPC", re.IGNORECASE)


class Program(ABC):
    """What a job must know of a program: how to tell it what to do, and how it answers."""

    name: str = ""
    output: str = "output.txt"
    ladder: Ladder = Ladder(repairs=())

    @abstractmethod
    def command(self) -> list[str]:
        """Give program and arguments, for the run's directory."""

    @abstractmethod
    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write the input files; the program must repeat ``seal`` in what it answers."""

    @abstractmethod
    def examine(self, ended: Run, candidate: Candidate) -> None:
        """Raise :class:`aga.errors.OracleError` unless the run came to its end."""

    @abstractmethod
    def missing(self, ended: Run) -> None:
        """Raise what is wrong with the machine where the program could not be started."""

    def marked(self, ended: Run) -> str:
        """Give the text in which the program repeats the seal."""
        return ended.text(self.output)

    def environment(self) -> Mapping[str, str]:
        """Give the variables of the program beside those of this process."""
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A run that came to its end, with the input it had."""

    ended: Run
    inputs: Inputs
    seal: Seal

    @property
    def directory(self) -> Path:
        """The folder of the run."""
        return self.ended.directory


class Job:
    """One label, or one round of a relaxation.

    Parameters
    ----------
    program
        What is run.
    run_dir
        Folder for the directories of the runs, and for the log of the repairs.
    stem
        Name of these directories.
    timeout
        Seconds for all runs together.
    """

    def __init__(self, program: Program, run_dir: Path, stem: str, timeout: float) -> None:
        self.program = program
        self.ladder = program.ladder.fresh()
        self.run_dir = run_dir
        self.stem = stem
        self.timeout = timeout
        self.deadline = time.monotonic() + timeout
        self.runs = 0
        self.repairs: list[str] = []
        self.last: Done | None = None

    def run(self, candidate: Candidate, inputs: Inputs) -> Done:
        """Run the program, repairing what can be repaired.

        Raises
        ------
        aga.errors.OracleError
            Not repaired; ``facts`` have the repairs that were tried.
        """
        repair: Repair | None = None
        while True:
            try:
                return self._once(candidate, inputs, repair)
            except OracleError as error:
                repair = self.ladder.after(error, self.repairs, self.runs)
                self._write_down(error, repair)
                if repair is None:
                    error.facts.setdefault("repairs", list(self.repairs))
                    raise
                self.repairs.append(repair.name)
                inputs = changed(inputs, repair.changes)

    def salvage(self, error: OracleError, candidate: Candidate) -> Done:
        """Give the last run though it failed: the steps of a relaxation before that are good.

        Raises
        ------
        aga.errors.OracleError
            The error given, where it says that the output is not to be believed; ``garbage``
            where the output does not belong to the input.
        """
        if self.last is None or error.reason == "garbage":
            raise error
        where = f"{self.program.name}: {candidate.name}"
        text = self.program.marked(self.last.ended)
        self.last.seal.check(self.last.directory, text, where=where)
        return self.last

    def finished(self, directory: Path) -> None:
        """Mark a run whose result has been accepted, and remove its scratch files."""
        shutil.rmtree(directory / SCRATCH, ignore_errors=True)
        with disk_full_as_error(directory):
            mark(directory, "done")

    def _once(self, candidate: Candidate, inputs: Inputs, repair: Repair | None) -> Done:
        self.runs += 1
        with disk_full_as_error(self.run_dir):
            directory = fresh_directory(self.run_dir, self.stem)
            if repair is not None and repair.warm_up:
                self._start(directory, candidate, changed(inputs, repair.warm_up))
            done = self.last = self._start(directory, candidate, inputs)
        try:
            self._check(done, candidate)
        except OracleError as error:
            mark(directory, "failed", reason=error.reason)
            raise
        return done

    def _start(self, directory: Path, candidate: Candidate, inputs: Inputs) -> Done:
        seal = seal_of(self.program.name, candidate, inputs)
        before = hashes(directory)  # what a warm-up has left is no input
        self.program.write(directory, candidate, inputs, seal.mark)
        written = hashes(directory).items()
        seal.write(directory, {name: sha for name, sha in written if before.get(name) != sha})
        ended = run(
            self.program.command(),
            directory,
            stdout=self.program.output,
            timeout=max(0.1, self.deadline - time.monotonic()),
            environment=self.program.environment(),
        )
        if ended.returncode == CANNOT_START:
            self.program.missing(ended)
        return Done(ended=ended, inputs=inputs, seal=seal)

    def _check(self, done: Done, candidate: Candidate) -> None:
        """Decide from what is in the directory whether the program did what it was asked."""
        ended, where = done.ended, f"{self.program.name}: {candidate.name}"
        for name in (self.program.output, "stderr.txt"):
            if _NO_SPACE.search(ended.text(name)):
                raise disk_full(ended.directory)
        if ended.timed_out:
            raise OracleError(
                f"{where}: still running after {self.timeout:g} s",
                reason="timeout",
                remedy="raise oracle.timeout",
                directory=str(ended.directory),
                tail=tail(ended, self.program.output),
            )
        self.program.examine(ended, candidate)
        done.seal.check(ended.directory, self.program.marked(ended), where=where)

    def _write_down(self, error: OracleError, repair: Repair | None) -> None:
        """Keep a log of what went wrong and what was done about it beside the runs."""
        entry = {
            "job": self.stem,
            "run": self.runs,
            "reason": error.reason,
            "message": error.message,
            "repair": None if repair is None else repair.name,
            "refused": error.facts.get("refused", []),
            "directory": error.facts.get("directory"),
        }
        path = self.run_dir / LOG
        with disk_full_as_error(self.run_dir):
            path.write_text(json.dumps([*_entries(path), entry], indent=1) + "\n", "utf-8")


def _entries(path: Path) -> list[dict[str, Any]]:
    """Give what the log holds; nothing where it is missing or torn."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def tail(ended: Run, output: str, lines: int = 12) -> list[str]:
    """Give the last lines of output and error output that are not empty."""
    found: list[str] = []
    for name in (output, "stderr.txt"):
        found += [w for line in ended.text(name).splitlines() if (w := line.strip())][-lines:]
    return found


def how_it_ended(ended: Run) -> str:
    """Say how a program ended, e.g. ``signal 9``."""
    if ended.returncode < 0:
        return f"signal {-ended.returncode}"
    return f"exit code {ended.returncode}"
