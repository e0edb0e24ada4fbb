"""Quantum ESPRESSO: density functional theory with plane waves and pseudopotentials.

P. Giannozzi et al., J. Phys.: Condens. Matter 29, 465901 (2017). Inputs are written and outputs
read by ASE; every run of pw.x has its own directory, process group and time limit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError, Problem
from aga.oracle.base import EngineOptions
from aga.oracle.espresso_input import EspressoOptions, scf_inputs, write_input
from aga.oracle.espresso_output import OUTPUT, check_run, evaluations, read_last, read_steps
from aga.oracle.executables import check_command
from aga.oracle.job import Done, Job
from aga.oracle.lattice import Axes, reduced_cell
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.pseudopotentials import choose_pseudopotentials
from aga.oracle.repair import ONCE_MORE, Ceiling, Floor, Inputs, Ladder, Repair, changed
from aga.oracle.rounds import Round, Walk, best_step, walked
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate
from aga.units import gpa_from_ev_per_a3

__all__ = ["Espresso"]

RY = 13.605693122994  # eV
BOHR = 0.529177210903  # Å
KBAR_PER_GPA = 10.0

ENERGY_TOLERANCE = 1e-5
"""Ry/atom: a relaxation with smaller steps in energy than this has arrived."""


LADDER = Ladder(
    repairs=(
        Repair(
            name="mixing_beta 0.2",
            after=re.compile(r"not_converged"),
            changes={
                "electrons": {
                    "mixing_beta": Ceiling(value=0.2),
                    "electron_maxstep": Floor(value=200),
                }
            },
        ),
        Repair(
            name="mixing_beta 0.1, local Thomas-Fermi mixing",
            after=re.compile(r"not_converged"),
            changes={
                "electrons": {
                    "mixing_beta": Ceiling(value=0.1),
                    "mixing_mode": "local-TF",
                    "electron_maxstep": Floor(value=300),
                }
            },
        ),
        Repair(
            name="from the density of a wider smearing",
            after=re.compile(r"not_converged"),
            changes={"electrons": {"startingpot": "file"}},
            warm_up={
                "control": {"disk_io": "low", "tprnfor": False, "tstress": False},
                "system": {"degauss": Floor(value=0.05)},
                "electrons": {"conv_thr": Floor(value=1e-5), "startingpot": "atomic"},
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
        ONCE_MORE,
    ),
    kept=frozenset(
        {
            "kpoints.grid",
            "kpoints.shift",
            "system.ecutwfc",
            "system.ecutrho",
            "system.occupations",
            "system.smearing",
            "system.degauss",
            "system.nspin",
            "system.input_dft",
            "electrons.conv_thr",
        }
    ),
)


class Espresso(ProgramEngine):
    """pw.x as reference method: single points, and vc-relax for final relaxations."""

    name = "espresso"
    stem = "scf"
    output = OUTPUT
    ladder = LADDER
    Options: ClassVar[type[EngineOptions]] = EspressoOptions

    def __init__(
        self, settings: OracleSettings, machine: MachineSettings, composition: Mapping[str, int]
    ) -> None:
        super().__init__(settings, machine, composition)
        options: EspressoOptions = self.options
        self.files, _ = choose_pseudopotentials(
            options.pseudopotentials, machine.pseudo_dir, composition, options.functional
        )

    @classmethod
    def check(
        cls, options: EspressoOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable and everything wrong with the pseudopotentials."""
        _, problems = choose_pseudopotentials(
            options.pseudopotentials, machine.pseudo_dir, composition, options.functional
        )
        return check_command("espresso", machine) + problems

    def command(self) -> list[str]:
        """Give the command with the name of the input file."""
        return [*super().command(), "-in", "pw.in"]

    def inputs(self, candidate: Candidate) -> Inputs:
        """Give namelists and k-points of a single point."""
        return scf_inputs(self.options, self.files, self.machine.pseudo_dir, candidate)

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write ``pw.in``, the crystal with the axes and the origin of the space-group tables.

        pw.x looks for symmetry along its own axes only, with translations that fit its grid. Of
        a turned or moved crystal it finds no symmetry, and takes four times the k-points for
        diamond, or more; where they are shifted they do not even have the symmetry of its lattice.
        """
        turned = Axes.of(candidate).turned(candidate)
        write_input(directory / "pw.in", turned.to_ase(), inputs, self.files, seal)

    def examine(self, ended: Run, candidate: Candidate) -> None:
        """See :func:`aga.oracle.espresso_output.check_run`."""
        check_run(ended, candidate)

    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read the last step of the output."""
        return read_last(done.directory / OUTPUT, candidate)

    def facts(self, done: Done) -> dict[str, Any]:
        """Give files, functional, cutoffs and k-points."""
        system = done.inputs["system"]
        return {
            "pseudopotentials": {el: p.path.name for el, p in sorted(self.files.items())},
            "functional": next(iter(self.files.values())).functional,
            "ecutwfc": system["ecutwfc"],
            "ecutrho": system["ecutrho"],
            **super().facts(done),
        }

    def relax_round(self, candidate: Candidate, run_dir: Path, task: Round) -> Walk:
        """Run vc-relax once; give the best structure, the steps and the evaluations spent.

        It keeps the charge density from step to step, and so costs a fraction of single points
        driven from outside.
        """
        job = Job(self, run_dir, "relax", self.settings.timeout)
        reduced, operation = reduced_cell(candidate)
        try:
            directory = job.run(reduced, self._relax_inputs(reduced, task)).directory
        except OracleError as error:
            # Out of steps, out of time or dead: the steps before that are still good.
            ended = job.last.ended if job.last else None
            if ended is None or not evaluations(ended.text(OUTPUT)):
                raise
            directory = job.salvage(error, reduced).directory
        text = (directory / OUTPUT).read_text(encoding="utf-8", errors="replace")
        history = [s for s in read_steps(directory / OUTPUT, reduced) if s.complete()]
        if not history:
            raise OracleError(
                f"espresso: {candidate.name}: no step of the relaxation has forces",
                reason="incomplete",
                directory=str(directory),
            )
        job.finished(directory)
        best = best_step(history, task.pressure, arrived="End of BFGS" in text)
        return walked(candidate, operation, history, best, evaluations(text))

    def _relax_inputs(self, reduced: Candidate, task: Round) -> Inputs:
        force = self.settings.relax_force
        # The stress that pulls on the cell as hard as the force limit allows for an atom.
        stress = gpa_from_ev_per_a3(force * len(reduced) / reduced.volume) * KBAR_PER_GPA
        changes: Inputs = {
            "control": {
                "calculation": "vc-relax",
                "nstep": max(1, task.steps),
                "forc_conv_thr": force / (RY / BOHR) / 2,
                "etot_conv_thr": ENERGY_TOLERANCE * len(reduced),
                # pw.x stops by itself in time, and what it has reached so far is kept.
                "max_seconds": 0.8 * self.settings.timeout,
            },
            "cell": {
                "press": gpa_from_ev_per_a3(task.pressure) * KBAR_PER_GPA,
                "press_conv_thr": min(0.5, stress / 2),
            },
        }
        return changed(self.inputs(reduced), changes)
