"""What pw.x answers: results where it has worked, the reason where it has not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io.espresso import read_espresso_out

from aga.errors import OracleError, OracleReason
from aga.oracle.base import disk_full
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate

__all__ = ["OUTPUT", "Step", "check_run", "read_last", "read_steps"]

OUTPUT = "pw.out"

_ENERGY = re.compile(r"^!\s+total energy", re.MULTILINE)
_MESSAGE = re.compile(r"%{20,}\s*\n(.*?)\n\s*%{20,}", re.DOTALL)
_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded|ENOSPC", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One structure of a relaxation with what pw.x says of it."""

    candidate: Candidate
    output: Output

    def enthalpy(self, pressure: float) -> float:
        """Give E + pV in eV, for a pressure in eV/Å³; infinite where there is no energy."""
        energy = self.output.energy
        return np.inf if energy is None else energy + pressure * self.candidate.volume


def check_run(run: Run, candidate: Candidate, *, timeout: float) -> str:
    """Give the text that pw.x printed, if it ran to its end.

    Raises
    ------
    aga.errors.OracleError
        ``timeout``, ``not_converged``, ``crashed``, ``incomplete`` or ``garbage``; the last
        lines of the output are among the facts.
    aga.errors.DiskFullError
        It found no space to write.
    """
    text, errors = run.text(OUTPUT), run.text("stderr.txt")
    if _NO_SPACE.search(text) or _NO_SPACE.search(errors):
        raise disk_full(run.directory)
    where = f"espresso: {candidate.name}"
    facts = {"directory": str(run.directory), "tail": tail(text, errors)}

    def failed(message: str, reason: OracleReason, remedy: str | None = None) -> OracleError:
        return OracleError(f"{where}: {message}", reason=reason, remedy=remedy, **facts)

    if run.timed_out:
        raise failed(f"still running after {timeout:g} s", "timeout", "raise oracle.timeout")
    if "convergence NOT achieved" in text:
        raise failed(
            "the self-consistent cycle has not converged",
            "not_converged",
            "lower oracle.options.mixing_beta or raise electron_maxstep",
        )
    if run.returncode != 0:
        how = f"signal {-run.returncode}" if run.returncode < 0 else f"exit code {run.returncode}"
        raise failed(f"pw.x ended with {how}: {message_of(text, errors)}", "crashed")
    if "Program PWSCF" not in text:
        raise failed(f"the output is not one of pw.x; see {run.directory / OUTPUT}", "garbage")
    if "JOB DONE" not in text:
        raise failed("the output ends early", "incomplete")
    return text


def read_last(path: Path, candidate: Candidate) -> Output:
    """Read energy, forces and stress of a single point.

    Raises
    ------
    aga.errors.OracleError
        ``garbage`` where the output can't be read or belongs to another structure.
    """
    steps = read_steps(path, candidate)
    if not steps:
        return Output(energy=None, forces=None, stress=None)
    return steps[-1].output


def read_steps(path: Path, candidate: Candidate) -> list[Step]:
    """Read all structures of an output that have results; raises like :func:`read_last`."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            images = list(read_espresso_out(file, index=slice(None)))
        return [_step(image, candidate) for image in images]
    except OracleError:
        raise
    except Exception as error:
        raise OracleError(
            f"espresso: {candidate.name}: the output can't be read ({error})",
            reason="garbage",
            directory=str(path.parent),
        ) from error


def evaluations(text: str) -> int:
    """Count the energy+force evaluations of an output."""
    return len(_ENERGY.findall(text))


def tail(text: str, errors: str, lines: int = 12) -> list[str]:
    """Give the last lines of output and error output that are not empty."""
    kept = [line.strip() for line in text.splitlines() if line.strip()][-lines:]
    return kept + [line.strip() for line in errors.splitlines() if line.strip()][-lines:]


def message_of(text: str, errors: str) -> str:
    """Give the message between pw.x's percent signs, or the last line of any output."""
    found = _MESSAGE.findall(text)
    if found:
        return " ".join(found[-1].split())
    last = tail("", errors) or tail(text, "")
    return last[-1] if last else "it printed nothing"


def _step(image: Atoms, candidate: Candidate) -> Step:
    if list(image.get_atomic_numbers()) != list(candidate.numbers):
        raise OracleError(
            f"espresso: {candidate.name}: the output is of {image.get_chemical_formula()}, "
            f"not of {candidate.formula}",
            reason="garbage",
        )
    results: dict[str, Any] = image.calc.results
    output = Output(
        energy=results.get("energy"), forces=results.get("forces"), stress=results.get("stress")
    )
    moved = candidate.moved(image.get_positions(), np.asarray(image.cell))
    return Step(candidate=moved, output=output)
