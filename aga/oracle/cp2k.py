"""CP2K (Quickstep): density functional theory with Gaussians and plane waves.

T. D. Kühne et al., J. Chem. Phys. 152, 194103 (2020). CP2K is under the GPL: it is run as
a program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.units import Bohr, Hartree

from aga.config.schema import MachineSettings
from aga.errors import OracleError, OracleReason, Problem
from aga.oracle.base import EngineOptions
from aga.oracle.cp2k_input import Cp2kOptions, check_sets, scf_inputs, write_input
from aga.oracle.executables import check_command, wrong_program
from aga.oracle.job import Done, how_it_ended, tail
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.repair import ONCE_MORE, Ceiling, Floor, Inputs, Ladder, Repair
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate, FloatArray
from aga.units import ev_per_a3_from_gpa

__all__ = ["Cp2k"]

INPUT = "cp2k.inp"

LADDER = Ladder(
    repairs=(
        Repair(
            name="gentler mixing, more steps",
            after=re.compile(r"not_converged"),
            changes={"cycle": {"alpha": Ceiling(value=0.15), "max_scf": Floor(value=200)}},
        ),
        Repair(
            name="another mixing (Pulay)",
            after=re.compile(r"not_converged"),
            changes={"cycle": {"method": "PULAY_MIXING", "max_scf": Floor(value=300)}},
        ),
        Repair(
            name="plain mixing, many steps",
            after=re.compile(r"not_converged"),
            changes={
                "cycle": {
                    "method": "DIRECT_P_MIXING",
                    "alpha": Ceiling(value=0.1),
                    "max_scf": Floor(value=500),
                }
            },
        ),
        ONCE_MORE,
    ),
    kept=frozenset(
        {"kpoints.grid", "kpoints.shift"}
        | {f"basis.{x}" for x in ("xc", "cutoff", "rel_cutoff", "eps_scf", "width", "basis_sets")}
    ),
)

_ENERGY = re.compile(r"ENERGY\| Total FORCE_EVAL \( QS \) energy \[[^]]*\]:?\s+(\S+)")
_NEW_ROW = re.compile(r"^ FORCES\|\s+\d+\s+(\S+)\s+(\S+)\s+(\S+)\s+\S+\s*$", re.MULTILINE)
_OLD_ROW = re.compile(r"^\s+\d+\s+\d+\s+[A-Z][a-z]?\s+(\S+)\s+(\S+)\s+(\S+)\s*$", re.MULTILINE)
_UNIT = re.compile(r"STRESS\| Analytical stress tensor \[(\w+)\]")
_STRESS = re.compile(r"STRESS\|\s+[xyz]\s+(\S+)\s+(\S+)\s+(\S+)\s*$", re.MULTILINE)
_IN_GPA = {"GPa": 1.0, "bar": 1e-4, "kbar": 0.1, "Pa": 1e-9, "atm": 1.01325e-4}


class Cp2k(ProgramEngine):
    """CP2K: single points; relaxations by an optimizer outside."""

    name = "cp2k"
    output = "cp2k.out"
    ladder = LADDER
    Options: ClassVar[type[EngineOptions]] = Cp2kOptions

    @classmethod
    def check(
        cls, options: Cp2kOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable, basis sets and pseudopotentials."""
        return check_command("cp2k", machine) + check_sets(
            options, machine.cp2k_data_dir, composition
        )

    def command(self) -> list[str]:
        """Give the command with the name of the input file."""
        return [*super().command(), "-i", INPUT]

    def environment(self) -> Mapping[str, str]:
        """Tell CP2K where its data files are."""
        return {"CP2K_DATA_DIR": str(self.machine.cp2k_data_dir.absolute())}

    def inputs(self, candidate: Candidate) -> Inputs:
        """Give basis, k-points and self-consistency."""
        return scf_inputs(self.options, candidate)

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write ``cp2k.inp``."""
        write_input(directory / INPUT, candidate, inputs, seal)

    def examine(self, ended: Run, candidate: Candidate) -> None:
        """Refuse a run that has not come to its end."""
        text, where = ended.text(self.output), f"cp2k: {candidate.name}"
        last = tail(ended, self.output)

        def failed(message: str, reason: OracleReason, remedy: str | None = None) -> OracleError:
            facts = {"directory": str(ended.directory), "tail": last}
            return OracleError(f"{where}: {message}", reason=reason, remedy=remedy, **facts)

        if "SCF run NOT converged" in text:
            raise failed(
                "the self-consistent cycle has not converged",
                "not_converged",
                "lower oracle.options.mixing, or raise max_scf or added_mos",
            )
        if ended.returncode != 0:
            told = re.findall(r"\[ABORT\].*?\n(.*?)(?:\n \*{20,}|\Z)", text, re.DOTALL)
            said = " ".join(re.sub(r"[*|\\/_]", " ", told[0]).split()) if told else ""
            said = said or (last or ["it printed nothing"])[-1]
            raise failed(f"CP2K ended with {how_it_ended(ended)}: {said}", "crashed")
        if "CP2K|" not in text:
            raise wrong_program("cp2k", ended, where=where)
        if "PROGRAM ENDED AT" not in text:
            raise failed("the output ends early", "incomplete")

    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read energy, forces and stress of the output."""
        text = done.ended.text(self.output)
        try:
            energy = _ENERGY.findall(text)
            return Output(
                energy=float(energy[-1]) * Hartree if energy else None,
                forces=_forces(text),
                stress=_stress(text),
            )
        except (ValueError, KeyError) as error:
            raise OracleError(
                f"cp2k: {candidate.name}: the output can't be read ({error})",
                reason="garbage",
                directory=str(done.directory),
            ) from error

    def facts(self, done: Done) -> dict[str, Any]:
        """Give functional, cutoff, basis sets, pseudopotentials and k-points."""
        basis = done.inputs["basis"]
        keys = ("xc", "cutoff", "basis_sets", "pseudopotentials")
        return {key: basis[key] for key in keys} | super().facts(done)


def _forces(text: str) -> FloatArray | None:
    """Read the forces; CP2K has written them in two ways over the years."""
    block = text.rpartition("ATOMIC FORCES in")[2] or text
    rows = _NEW_ROW.findall(text) or _OLD_ROW.findall(block.partition("SUM OF ATOMIC")[0])
    if not rows:
        return None
    forces: FloatArray = np.array([[float(x) for x in row] for row in rows]) * (Hartree / Bohr)
    return forces


def _stress(text: str) -> FloatArray | None:
    """Read the stress; CP2K's is positive where the crystal wants to expand."""
    unit, rows = _UNIT.findall(text), _STRESS.findall(text)[:3]
    if not unit or len(rows) < 3:
        return None
    s = np.array([[float(x) for x in row] for row in rows], dtype=np.float64)
    s *= -ev_per_a3_from_gpa(_IN_GPA[unit[-1]])
    voigt: FloatArray = s[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return voigt
