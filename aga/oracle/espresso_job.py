"""One job of pw.x: as many runs as its repairs take, within one time limit."""

from __future__ import annotations

import re
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aga.config.schema import MachineSettings
from aga.errors import (
    MissingExecutableError,
    MissingPseudopotentialError,
    OracleError,
    Problem,
    SettingsError,
)
from aga.oracle.base import disk_full_as_error
from aga.oracle.espresso_input import (
    EspressoOptions,
    Namelists,
    few_symmetries,
    kpoint_grid,
    merge,
    write_input,
)
from aga.oracle.espresso_output import OUTPUT, check_run
from aga.oracle.pseudopotentials import KEY, Pseudopotential
from aga.oracle.runner import SCRATCH, Run, fresh_directory, mark, run
from aga.parallel.die_with_parent import CANNOT_START
from aga.structure.candidate import Candidate

__all__ = ["REPAIRS", "Job", "Repair", "Setup", "check_command", "raise_problems", "split_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What to change after a failure; none changes the converged result."""

    name: str
    after: re.Pattern[str]
    changes: dict[str, dict[str, Any]]


def repaired(namelists: Namelists, repair: Repair) -> Namelists:
    """Give namelists with a repair; one that the user's own values go beyond leaves them."""
    before = namelists["electrons"]
    changed = merge(namelists, repair.changes)
    after = changed["electrons"]
    after["mixing_beta"] = min(before["mixing_beta"], after["mixing_beta"])
    after["electron_maxstep"] = max(before["electron_maxstep"], after["electron_maxstep"])
    return changed


REPAIRS = (
    Repair(
        name="mixing_beta 0.2",
        after=re.compile(r"not_converged"),
        changes={"electrons": {"mixing_beta": 0.2, "electron_maxstep": 200}},
    ),
    Repair(
        name="mixing_beta 0.1, local Thomas-Fermi mixing",
        after=re.compile(r"not_converged"),
        changes={
            "electrons": {
                "mixing_beta": 0.1,
                "mixing_mode": "local-TF",
                "electron_maxstep": 300,
            }
        },
    ),
    Repair(
        name="conjugate-gradient diagonalisation",
        after=re.compile(r"diaghg|S matrix|eigenvalues not converged|too many bands"),
        changes={"electrons": {"diagonalization": "cg"}},
    ),
    Repair(
        name="no symmetry",
        after=re.compile(r"lone vector|symmetr|sym_rho|orthogonal operation|checkallsym"),
        changes={"system": {"nosym": True}},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What every run of an engine shares; ``timeout`` in seconds for one job."""

    command: tuple[str, ...]
    options: EspressoOptions
    files: dict[str, Pseudopotential]
    machine: MachineSettings
    timeout: float


class Job:
    """One label or relaxation round: as many runs of pw.x as its repairs take."""

    def __init__(self, setup: Setup, run_dir: Path, stem: str) -> None:
        self.setup = setup
        self.run_dir = run_dir
        self.stem = stem
        self.deadline = time.monotonic() + setup.timeout
        self.runs = 0
        self.repairs: list[str] = []

    def run(self, candidate: Candidate, namelists: Namelists) -> tuple[Path, str]:
        """Run pw.x, repairing what can be repaired; give the directory and the output."""
        while True:
            try:
                return self._once(candidate, namelists)
            except OracleError as error:
                repair = self._repair(error)
                if repair is None:
                    raise
                self.repairs.append(repair.name)
                namelists = repaired(namelists, repair)

    def finished(self, directory: Path) -> None:
        """Mark a run whose result has been accepted, and remove its scratch files."""
        shutil.rmtree(directory / SCRATCH, ignore_errors=True)
        with disk_full_as_error(directory):
            mark(directory, "done")

    def _once(self, candidate: Candidate, namelists: Namelists) -> tuple[Path, str]:
        self.runs += 1
        setup, options = self.setup, self.setup.options
        grid = kpoint_grid(candidate.cell, options.kpoint_spacing), options.kpoint_shift
        if options.kpoint_shift and few_symmetries(candidate):
            # pw.x makes a shifted grid as symmetric as the lattice, up to four times the points.
            namelists = merge(namelists, {"system": {"nosym": True}})
        with disk_full_as_error(self.run_dir):
            directory = fresh_directory(self.run_dir, self.stem)
            write_input(directory / "pw.in", candidate.to_ase(), namelists, setup.files, grid)
            ended = run(
                [*setup.command, "-in", "pw.in"],
                directory,
                stdout=OUTPUT,
                timeout=max(0.1, self.deadline - time.monotonic()),
            )
            return directory, self._checked(ended, candidate)

    def _checked(self, ended: Run, candidate: Candidate) -> str:
        if ended.returncode == CANNOT_START:
            raise_problems(check_command(self.setup.machine))
        try:
            return check_run(ended, candidate, timeout=self.setup.timeout)
        except OracleError as error:
            mark(ended.directory, "failed", reason=error.reason)
            raise

    def _repair(self, error: OracleError) -> Repair | None:
        """Give the next repair that fits the failure and has not been tried."""
        if error.reason not in {"not_converged", "crashed"}:
            return None
        symptom = f"{error.reason} {error.message}"
        for repair in REPAIRS:
            if repair.name not in self.repairs and repair.after.search(symptom):
                return repair
        return None


def split_command(machine: MachineSettings) -> tuple[str, ...]:
    """Give program and arguments; files of the present folder by their full path.

    Raises
    ------
    ValueError
        Quotation marks that do not close.
    """
    words = shlex.split(machine.espresso_command)
    return tuple(str(Path(w).absolute()) if "/" in w and Path(w).exists() else w for w in words)


def check_command(machine: MachineSettings) -> list[Problem]:
    """Say which program of the command is missing."""
    key = "machine.espresso_command"
    hint = (
        "install Quantum ESPRESSO (Debian: apt-get install quantum-espresso) or set "
        f"{key} to the command that starts pw.x"
    )
    try:
        words = split_command(machine)
    except ValueError as error:
        message = f"{machine.espresso_command!r}: {error}"
        return [Problem(key=key, message=message, hint=hint)]
    # With a launcher in front, pw.x itself is looked for too.
    programs = list(words[:1]) + [w for w in words[1:] if Path(w).name == "pw.x"]
    return [
        Problem(key=key, message=f"there is no program {word!r} on this machine", hint=hint)
        for word in programs or ["pw.x"]
        if shutil.which(word) is None
    ]


def raise_problems(problems: list[Problem]) -> None:
    """Raise the exception that fits the problems, if there are any."""
    if not problems:
        return
    message = "; ".join(f"{p.key}: {p.message}" for p in problems)
    remedy = problems[0].hint
    keys = {p.key for p in problems}
    if "machine.espresso_command" in keys:
        raise MissingExecutableError(message, remedy=remedy)
    if keys != {KEY}:
        raise MissingPseudopotentialError(message, remedy=remedy, keys=sorted(keys))
    raise SettingsError(problems)
