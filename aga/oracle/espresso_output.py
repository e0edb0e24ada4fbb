"""What pw.x answers: results where it has worked, the reason where it has not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io.espresso import read_espresso_out

from aga.errors import OracleError, OracleReason
from aga.oracle.executables import wrong_program
from aga.oracle.job import how_it_ended, tail
from aga.oracle.lattice import Axes
from aga.oracle.rounds import Step
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate

__all__ = ["OUTPUT", "check_run", "evaluations", "read_last", "read_steps"]

OUTPUT = "pw.out"

_ENERGY = re.compile(r"^!\s+total energy", re.MULTILINE)
_MESSAGE = re.compile(r"%{20,}\s*\n(.*?)\n\s*%{20,}", re.DOTALL)


def check_run(run: Run, candidate: Candidate) -> None:
    """Refuse a run of pw.x that has not come to its end.

    Raises
    ------
    aga.errors.OracleError
        ``not_converged``, ``crashed``, ``incomplete`` or ``garbage``; the last lines of the
        output are among the facts.
    """
    text = run.text(OUTPUT)
    where = f"espresso: {candidate.name}"
    facts = {"directory": str(run.directory), "tail": tail(run, OUTPUT)}

    def failed(message: str, reason: OracleReason, remedy: str | None = None) -> OracleError:
        return OracleError(f"{where}: {message}", reason=reason, remedy=remedy, **facts)

    if "convergence NOT achieved" in text:
        raise failed(
            "the self-consistent cycle has not converged",
            "not_converged",
            "lower oracle.options.mixing_beta or raise electron_maxstep",
        )
    if run.returncode != 0:
        raise failed(f"pw.x ended with {how_it_ended(run)}: {message_of(run)}", "crashed")
    if "Program PWSCF" not in text:
        raise wrong_program("espresso", run, where=where)
    if "JOB DONE" not in text:
        raise failed("the output ends early", "incomplete")


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
    """Read all structures of an output that have results; raises like :func:`read_last`.

    They, their forces and stresses are turned back to the axes of ``candidate``, the start
    (:class:`aga.oracle.lattice.Axes`).
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            images = list(read_espresso_out(file, index=slice(None)))
        axes = Axes.of(candidate)
        return [_step(image, candidate, axes) for image in images]
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


def message_of(run: Run) -> str:
    """Give the message between pw.x's percent signs, or the last line of any output."""
    found = _MESSAGE.findall(run.text(OUTPUT))
    if found:
        return " ".join(found[-1].split())
    last = tail(run, OUTPUT)
    return last[-1] if last else "it printed nothing"


def _step(image: Atoms, candidate: Candidate, axes: Axes) -> Step:
    if list(image.get_atomic_numbers()) != list(candidate.numbers):
        raise OracleError(
            f"espresso: {candidate.name}: the output is of {image.get_chemical_formula()}, "
            f"not of {candidate.formula}",
            reason="garbage",
        )
    results: dict[str, Any] = image.calc.results
    forces, stress = results.get("forces"), results.get("stress")
    return Step(
        candidate=axes.turned_back(candidate.moved(image.positions, image.cell.array)),
        output=Output(
            energy=results.get("energy"),
            forces=None if forces is None else axes.forces_back(forces),
            stress=None if stress is None else axes.stress_back(stress),
        ),
    )
