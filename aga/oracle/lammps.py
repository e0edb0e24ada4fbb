"""LAMMPS: whatever potential it has, given by the lines that a LAMMPS input has for it.

A. P. Thompson et al., Comput. Phys. Commun. 271, 108171 (2022). LAMMPS is under the GPL: it is run
as a program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from ase.calculators.lammps import Prism
from ase.io.lammpsdata import write_lammps_data
from pydantic import Field

from aga.config.schema import MachineSettings
from aga.errors import OracleError, OracleReason, Problem
from aga.oracle.base import EngineOptions
from aga.oracle.executables import check_command, wrong_program
from aga.oracle.job import Done, how_it_ended, tail
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.repair import ONCE_MORE, Inputs, Ladder
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate, FloatArray
from aga.units import ev_per_a3_from_gpa

__all__ = ["Lammps", "LammpsOptions"]

FORCES = "forces.dump"
BAR_IN_GPA = 1e-4

_FILE = re.compile(r"[\w./-]*[A-Za-z_][\w./-]*\.[A-Za-z][\w.]*")
"""A word that can be nothing but a file: with letters before and after its point."""
_PRESSURE = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")

SCRIPT = """\
# {seal}
units metal
atom_style {atom_style}
atom_modify map array sort 0 0
boundary p p p
box tilt large
read_data structure.data
{before}
pair_style {pair_style}
{pair_coeff}
{after}
thermo_style custom step pe {pressure}
thermo_modify norm no
run 0
variable e equal pe
{variables}
write_dump all custom {forces} id type fx fy fz modify sort id format float %.15g
print "aga energy $(v_e:%.15g)"
print "aga pressure {printed}"
print "aga done {seal}"
"""


class LammpsOptions(EngineOptions):
    """``oracle.options`` of LAMMPS."""

    pair_style: str = Field(description="as in a LAMMPS input, e.g. tersoff")
    pair_coeff: list[str] = Field(
        default_factory=list,
        description="lines as in a LAMMPS input, e.g. ['* * SiC.tersoff {elements}']; "
        "{elements} stands for the elements in the order of their types, which is alphabetical",
    )
    atom_style: Literal["atomic", "charge"] = Field(
        "atomic", description="charge: atoms have the charges given"
    )
    charges: dict[str, float] = Field(
        default_factory=dict, description="e, of each element, for `atom_style: charge`"
    )
    before: list[str] = Field(
        default_factory=list, description="lines before pair_style, e.g. ['newton on']"
    )
    after: list[str] = Field(
        default_factory=list, description="lines after pair_coeff, e.g. ['kspace_style ewald 1e-6']"
    )


class Lammps(ProgramEngine):
    """LAMMPS with ``units metal``: single points; relaxations by an optimizer outside."""

    name = "lammps"
    output = "lammps.out"
    ladder = Ladder(repairs=(ONCE_MORE,))
    Options: ClassVar[type[EngineOptions]] = LammpsOptions

    @classmethod
    def check(
        cls, options: LammpsOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable, files and charges."""
        problems = check_command("lammps", machine)
        for word in " ".join(options.pair_coeff).split():
            folder = machine.lammps_potential_dir
            if _FILE.fullmatch(word) and not (Path(word).exists() or (folder / word).exists()):
                message = f"there is no file {word} here nor in {folder}"
                hint = "give its full path in oracle.options.pair_coeff, or set the folder"
                problems.append(
                    Problem(key="machine.lammps_potential_dir", message=message, hint=hint)
                )
        missing = sorted(set(composition) - set(options.charges))
        if options.atom_style == "charge" and missing:
            message = f"no charge for {', '.join(missing)}"
            hint = "in e, e.g. {Ti: 2.196, O: -1.098}"
            problems.append(Problem(key="oracle.options.charges", message=message, hint=hint))
        return problems

    def command(self) -> list[str]:
        """Give the command with the name of the input file."""
        return [*super().command(), "-in", "in.lammps", "-log", "none", "-nocite"]

    def environment(self) -> Mapping[str, str]:
        """Tell LAMMPS where its potentials are."""
        return {"LAMMPS_POTENTIALS": str(self.machine.lammps_potential_dir.absolute())}

    def inputs(self, candidate: Candidate) -> Inputs:
        """Give the lines of the potential, files of the present folder by their full path."""
        options: LammpsOptions = self.options
        elements = sorted(set(candidate.symbols))

        def line(text: str) -> str:
            # Not format(): braces belong to LAMMPS's own syntax too.
            words = text.replace("{elements}", " ".join(elements)).split()
            return " ".join(_full(word) for word in words)

        return {
            "potential": {
                "pair_style": line(options.pair_style),
                "pair_coeff": [line(x) for x in options.pair_coeff],
                "before": options.before,
                "after": options.after,
            },
            "atoms": {
                "atom_style": options.atom_style,
                "elements": elements,
                "charges": {el: options.charges.get(el, 0.0) for el in elements},
            },
        }

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write ``in.lammps`` and ``structure.data``."""
        atoms, told = candidate.to_ase(), inputs["atoms"]
        atoms.set_initial_charges([told["charges"][el] for el in candidate.symbols])
        with (directory / "structure.data").open("w", encoding="utf-8") as file:
            write_lammps_data(
                file,
                atoms,
                specorder=told["elements"],
                prismobj=Prism(candidate.cell),
                masses=True,
                force_skew=True,
                units="metal",
                atom_style=told["atom_style"],
            )
        potential = inputs["potential"]
        text = SCRIPT.format(
            seal=seal,
            atom_style=told["atom_style"],
            before="\n".join(potential["before"]),
            pair_style=potential["pair_style"],
            pair_coeff="\n".join(f"pair_coeff {x}" for x in potential["pair_coeff"]),
            after="\n".join(potential["after"]),
            pressure=" ".join(_PRESSURE),
            variables="\n".join(f"variable {p} equal {p}" for p in _PRESSURE),
            printed=" ".join(f"$(v_{p}:%.15g)" for p in _PRESSURE),
            forces=FORCES,
        )
        (directory / "in.lammps").write_text(text, encoding="utf-8")

    def examine(self, ended: Run, candidate: Candidate) -> None:
        """Refuse a run that has not come to its end."""
        text, where = ended.text(self.output), f"lammps: {candidate.name}"
        last = tail(ended, self.output)

        def failed(message: str, reason: OracleReason) -> OracleError:
            facts = {"directory": str(ended.directory), "tail": last}
            return OracleError(f"{where}: {message}", reason=reason, remedy=None, **facts)

        complaints = [x.strip() for x in text.splitlines() if x.startswith("ERROR")]
        if ended.returncode != 0 or complaints:
            said = (complaints or last[-1:] or ["it printed nothing"])[0]
            raise failed(f"LAMMPS ended with {how_it_ended(ended)}: {said}", "crashed")
        if "LAMMPS (" not in text:
            raise wrong_program("lammps", ended, where=where)
        if "aga done" not in text:
            raise failed("the output ends early", "incomplete")

    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read energy, forces and stress, turned back from LAMMPS's axes."""
        text = done.ended.text(self.output)
        prism = Prism(candidate.cell)
        try:
            (energy,) = _numbers(text, "energy")
            pressure = _numbers(text, "pressure")
            forces = _forces(done.ended.text(FORCES), candidate, done.inputs["atoms"]["elements"])
        except (ValueError, IndexError) as error:
            raise OracleError(
                f"lammps: {candidate.name}: the output can't be read ({error})",
                reason="garbage",
                directory=str(done.directory),
            ) from error
        xx, yy, zz, yz, xz, xy = -ev_per_a3_from_gpa(BAR_IN_GPA) * np.array(pressure)
        turned = prism.tensor2_to_ase(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
        stress = turned[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        return Output(energy=energy, forces=prism.vector_to_ase(forces), stress=stress)

    def facts(self, done: Done) -> dict[str, Any]:
        """Give the lines of the potential."""
        potential = done.inputs["potential"]
        return {key: potential[key] for key in ("pair_style", "pair_coeff")}


def _full(word: str) -> str:
    """Give a file or folder of the present folder by its full path; other words as they are."""
    path = Path(word)
    return str(path.absolute()) if ("/" in word or "." in word) and path.exists() else word


def _numbers(text: str, name: str) -> list[float]:
    found = re.findall(rf"^aga {name} (.*)$", text, re.MULTILINE)
    return [float(word) for word in found[-1].split()]


def _forces(text: str, candidate: Candidate, elements: list[str]) -> FloatArray:
    """Read the dump of forces, in LAMMPS's axes, and see that it is of these atoms."""
    lines = text.split("ITEM: ATOMS id type fx fy fz", maxsplit=1)[1].splitlines()
    rows = np.array([[float(w) for w in line.split()] for line in lines if line.strip()])
    if [elements[int(kind) - 1] for kind in rows[:, 1]] != candidate.symbols:
        raise ValueError("it is of other atoms")
    return rows[:, 2:]
