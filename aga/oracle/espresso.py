"""Quantum ESPRESSO: density functional theory with plane waves and pseudopotentials.

P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017). Inputs are written and outputs
read by ASE; every run of pw.x has its own directory, process group and time limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError, Problem
from aga.oracle.base import Engine, EngineOptions
from aga.oracle.espresso_input import (
    EspressoOptions,
    Namelists,
    kpoint_grid,
    merge,
    reduced_cell,
    scf_namelists,
)
from aga.oracle.espresso_job import Job, Setup, check_command, raise_problems, split_command
from aga.oracle.espresso_output import OUTPUT, Step, evaluations, read_last, read_steps
from aga.oracle.pseudopotentials import choose_pseudopotentials
from aga.oracle.validation import check_volume, force_norm, validate
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Label
from aga.units import gpa_from_ev_per_a3

__all__ = ["Espresso"]

RY = 13.605693122994  # eV
BOHR = 0.529177210903  # Å
KBAR_PER_GPA = 10.0

RELAX_ROUNDS = 3
"""Relaxations in a row: the plane waves of each belong to the cell it started from."""

ENERGY_TOLERANCE = 1e-5
"""Ry/atom: a relaxation with smaller steps in energy than this has arrived."""


class Espresso(Engine):
    """pw.x as reference method: single points, and vc-relax for final relaxations.

    Raises
    ------
    aga.errors.MissingExecutableError
        The command of the machine settings is not there.
    aga.errors.MissingPseudopotentialError
        An element has no file.
    aga.errors.SettingsError
        The files do not belong together.
    """

    name = "espresso"
    Options: ClassVar[type[EngineOptions]] = EspressoOptions

    def __init__(
        self, settings: OracleSettings, machine: MachineSettings, composition: Mapping[str, int]
    ) -> None:
        super().__init__(settings, machine, composition)
        options: EspressoOptions = self.options
        raise_problems(check_command(machine))
        self.files, problems = choose_pseudopotentials(
            options.pseudopotentials, machine.pseudo_dir, composition, options.functional
        )
        raise_problems(problems)
        self.namelists = scf_namelists(options, self.files, machine.pseudo_dir)
        self.setup = Setup(
            command=split_command(machine),
            options=options,
            files=self.files,
            machine=machine,
            timeout=settings.timeout,
        )

    @classmethod
    def check(
        cls, options: EspressoOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable and everything wrong with the pseudopotentials."""
        _, problems = choose_pseudopotentials(
            options.pseudopotentials, machine.pseudo_dir, composition, options.functional
        )
        return check_command(machine) + problems

    def label(self, candidate: Candidate, run_dir: Path) -> Label:
        """Run a self-consistent single point; see :class:`aga.structure.protocols.Oracle`.

        A cycle that does not converge is tried again with :data:`REPAIRS`, within the time
        limit of the job; ``details["repairs"]`` names those used.

        Raises
        ------
        aga.errors.OracleError
            No usable result, with the reason.
        aga.errors.DiskFullError
            No space left for the run directory.
        """
        start = time.perf_counter()
        job = Job(self.setup, run_dir, "scf")
        reduced, _ = reduced_cell(candidate)
        directory, _ = job.run(reduced, self.namelists)
        output = read_last(directory / OUTPUT, candidate)
        validate(
            output,
            candidate,
            max_force=self.settings.max_force,
            needs_stress=True,
            source=self.name,
        )
        job.finished(directory)
        assert output.energy is not None  # noqa: S101 - shown by validate, for the type checker
        assert output.forces is not None  # noqa: S101 - shown by validate, for the type checker
        return Label(
            energy=output.energy,
            forces=output.forces,
            stress=output.stress,
            evaluations=1,
            seconds=time.perf_counter() - start,
            details=self._details(job, reduced) | {"max_force": force_norm(output.forces)},
        )

    def _details(self, job: Job, reduced: Candidate) -> dict[str, Any]:
        return {
            "engine": self.name,
            "pseudopotentials": {el: p.path.name for el, p in sorted(self.files.items())},
            "functional": next(iter(self.files.values())).functional,
            "ecutwfc": self.namelists["system"]["ecutwfc"],
            "ecutrho": self.namelists["system"]["ecutrho"],
            "kpoints": list(kpoint_grid(reduced.cell, self.options.kpoint_spacing)),
            "runs": job.runs,
            "repairs": job.repairs,
        }

    def relax(
        self, candidate: Candidate, run_dir: Path, *, pressure: float
    ) -> tuple[Candidate, Label]:
        """Relax atoms and cell with pw.x's vc-relax, then label the result by a fresh run.

        vc-relax keeps the charge density from step to step, and so costs a fraction of single
        points driven from outside, but also keeps the plane waves of its first cell; so it is
        repeated from its own result until a fresh single point has the forces and the stress
        asked for. Each run of pw.x has the time limit of a job. ``pressure`` in eV/Å³; see
        :meth:`aga.oracle.base.Engine.relax`.
        """
        start = time.perf_counter()
        limit = self.settings.relax_force
        now, spent, steps = candidate, 0, self.settings.relax_steps
        best: tuple[float, Candidate, Label, bool] | None = None
        for _ in range(RELAX_ROUNDS):
            now, calls = self._round(now, run_dir, pressure, steps)
            check_volume(now.volume, candidate.volume, where=f"espresso: {candidate.name}")
            label = self.label(now, run_dir)
            spent, steps = spent + calls + 1, steps - calls
            converged = _residual(label, now, pressure) <= limit
            enthalpy = label.energy + pressure * now.volume
            if best is None or converged or enthalpy < best[0]:
                best = (enthalpy, now, label, converged)
            if converged or steps <= 0:
                break
        assert best is not None  # noqa: S101 - there is at least one round
        _, relaxed, label, converged = best
        return relaxed, Label(
            energy=label.energy,
            forces=label.forces,
            stress=label.stress,
            evaluations=spent,
            seconds=time.perf_counter() - start,
            details=label.details | {"converged": converged},
        )

    def _round(
        self, candidate: Candidate, run_dir: Path, pressure: float, steps: int
    ) -> tuple[Candidate, int]:
        """Run vc-relax once; give the best structure and the evaluations spent."""
        job = Job(self.setup, run_dir, "relax")
        reduced, operation = reduced_cell(candidate)
        try:
            directory, text = job.run(reduced, self._relax_namelists(reduced, pressure, steps))
        except OracleError as error:
            # Out of steps, out of time or dead: the steps before that are still good.
            if "directory" not in error.facts:
                raise
            directory = Path(error.facts["directory"])
            text = (directory / OUTPUT).read_text(encoding="utf-8", errors="replace")
            if not evaluations(text):
                raise
        history = [s for s in read_steps(directory / OUTPUT, reduced) if _complete(s)]
        if not history:
            raise OracleError(
                f"espresso: {candidate.name}: no step of the relaxation has forces",
                reason="incomplete",
                directory=str(directory),
            )
        job.finished(directory)
        best = _best(history, pressure, arrived="End of BFGS" in text)
        back = np.linalg.inv(operation) @ best.candidate.cell
        return candidate.moved(best.candidate.positions, back), evaluations(text)

    def _relax_namelists(self, reduced: Candidate, pressure: float, steps: int) -> Namelists:
        force = self.settings.relax_force
        # The stress that pulls on the cell as hard as the force limit allows for an atom.
        stress = gpa_from_ev_per_a3(force * len(reduced) / reduced.volume) * KBAR_PER_GPA
        changes: Namelists = {
            "control": {
                "calculation": "vc-relax",
                "nstep": max(1, steps),
                "forc_conv_thr": force / (RY / BOHR) / 2,
                "etot_conv_thr": ENERGY_TOLERANCE * len(reduced),
                # pw.x stops by itself in time, and what it has reached so far is kept.
                "max_seconds": 0.8 * self.settings.timeout,
            },
            "cell": {
                "press": gpa_from_ev_per_a3(pressure) * KBAR_PER_GPA,
                "press_conv_thr": min(0.5, stress / 2),
            },
        }
        return merge(self.namelists, changes)


def _complete(step: Step) -> bool:
    """Whether a step has finite energy, forces and stress."""
    output = step.output
    parts = (output.energy, output.forces, output.stress)
    return all(part is not None and bool(np.isfinite(part).all()) for part in parts)


def _best(history: list[Step], pressure: float, *, arrived: bool) -> Step:
    """Give the last step of a finished relaxation, of another the one of lowest enthalpy."""
    if arrived:
        return history[-1]
    return min(history, key=lambda step: step.enthalpy(pressure))


def _residual(label: Label, candidate: Candidate, pressure: float) -> float:
    """Give the largest force on an atom, or on the cell per atom: V(σ + p)/n, in eV/Å or eV."""
    stress: FloatArray = label.stress if label.stress is not None else np.zeros(6)
    excess = stress + pressure * np.array([1, 1, 1, 0, 0, 0])
    on_cell = float(np.abs(excess).max()) * candidate.volume / len(candidate)
    return max(force_norm(label.forces), on_cell)
