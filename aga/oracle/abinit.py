"""ABINIT: density functional theory with plane waves and pseudopotentials or PAW.

X. Gonze et al., Comput. Phys. Commun. 248, 107042 (2020). ABINIT is under the GPL: it is run as a
program. Outputs are read by ASE.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from ase.data import atomic_numbers
from ase.io.abinit import read_abinit_out
from pydantic import Field, field_validator

from aga.config.schema import MachineSettings
from aga.errors import OracleError, OracleReason, Problem
from aga.oracle.base import EngineOptions
from aga.oracle.dft import DftOptions, Positive, kpoints
from aga.oracle.executables import PSEUDOPOTENTIALS, check_command, wrong_program
from aga.oracle.job import Done, how_it_ended, tail
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.repair import ONCE_MORE, Ceiling, Floor, Inputs, Ladder, Repair
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate

__all__ = ["Abinit", "AbinitOptions"]

INPUT, RESULT = "run.abi", "run.abo"

# Variables that aga sets itself.
RESERVED = frozenset(
    {
        *("acell", "rprim", "natom", "ntypat", "typat", "znucl", "xcart", "xred", "xangst"),
        *(
            "ecut",
            "ecutsm",
            "pawecutdg",
            "ngkpt",
            "nshiftk",
            "shiftk",
            "occopt",
            "tsmear",
            "tolvrs",
            "nstep",
        ),
        *("pseudos", "pp_dirpath", "outdata_prefix", "ionmov", "optcell", "nsppol", "spinat"),
    }
)
# Small files only, and no complaint about cells and positions that a search draws at random.
_ALWAYS = {
    **dict.fromkeys(("optforces", "optstress"), 1),
    **dict.fromkeys(("prtwf", "prtden", "prteig", "prtebands", "prtgsr"), 0),
    **dict.fromkeys(("chkprim", "chksymtnons", "chksymbreak"), 0),
}

LADDER = Ladder(
    repairs=(
        Repair(
            name="gentler mixing, more steps",
            after=re.compile(r"not_converged"),
            changes={"cycle": {"nstep": Floor(value=150), "diemix": Ceiling(value=0.3)}},
        ),
        Repair(
            name="another mixing (conjugate gradients on the potential)",
            after=re.compile(r"not_converged"),
            changes={"cycle": {"nstep": Floor(value=200), "iscf": 5}},
        ),
        Repair(
            name="another diagonalisation (LOBPCG)",
            after=re.compile(r"not_converged|cgwf|lobpcg|zheev|subdiago"),
            changes={"cycle": {"wfoptalg": 4}},
        ),
        Repair(
            name="no symmetry",
            after=re.compile(r"symmetr|symrel|tnons"),
            changes={"cycle": {"nsym": 1}},
        ),
        ONCE_MORE,
    ),
    kept=frozenset(
        {
            "kpoints.grid",
            "kpoints.shift",
            "basis.ecut",
            "basis.ecutsm",
            "basis.tsmear",
            "basis.occopt",
        }
    ),
)


class AbinitOptions(DftOptions):
    """``oracle.options`` of ABINIT."""

    pseudopotentials: dict[str, str] = Field(
        default_factory=dict,
        description="file of each element in machine.abinit_pseudo_dir; ELEMENT.psp8 where empty",
    )
    ecut: Positive = Field(20.0, description="Ha, of the plane waves")
    pawecutdg: Positive | None = Field(None, description="Ha, of the fine grid; for PAW files")
    ecutsm: float = Field(
        0.5, ge=0, description="Ha, smoothing of the cutoff: makes the stress a derivative"
    )
    occopt: Literal[3, 4, 5, 6, 7] = Field(7, description="smearing; 7: Gaussian, 3: Fermi-Dirac")
    tsmear: Positive = Field(0.005, description="Ha, width of the smearing")
    tolvrs: Positive = Field(1e-10, description="residual of the potential, of self-consistency")
    nstep: int = Field(60, ge=1, description="self-consistency steps")
    variables: dict[str, str | int | float | list[int | float]] = Field(
        default_factory=dict, description="further input variables, e.g. {ixc: 11}"
    )

    @field_validator("variables")
    @classmethod
    def _variables(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted({name.lower() for name in value} & RESERVED)
        if taken:
            raise ValueError(f"{', '.join(taken)}: set by aga")
        return {name.lower(): entry for name, entry in value.items()}


class Abinit(ProgramEngine):
    """ABINIT: single points; relaxations by an optimizer outside."""

    name = "abinit"
    output = "abinit.log"
    ladder = LADDER
    Options: ClassVar[type[EngineOptions]] = AbinitOptions

    @classmethod
    def check(
        cls, options: AbinitOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable and the missing or unfit files."""
        folder = machine.abinit_pseudo_dir
        return check_command("abinit", machine) + _check_files(options, folder, composition)

    def command(self) -> list[str]:
        """Give the command with the name of the input file."""
        return [*super().command(), INPUT]

    def inputs(self, candidate: Candidate) -> Inputs:
        """Give basis, k-points and self-consistency; Hartree."""
        options: AbinitOptions = self.options
        elements = sorted(set(candidate.symbols))
        basis: dict[str, Any] = {
            "ecut": options.ecut,
            "ecutsm": options.ecutsm,
            "occopt": options.occopt,
            "tsmear": options.tsmear,
            "tolvrs": options.tolvrs,
            **options.variables,
        }
        if options.pawecutdg is not None:
            basis["pawecutdg"] = options.pawecutdg
        moments = {el: options.magnetic_moments.get(el, 0.0) for el in elements}
        return {
            "basis": basis,
            "pseudos": {el: _file(options, el) for el in elements},
            "moments": moments if options.spin == "collinear" else {},
            "kpoints": kpoints(options, candidate),
            "cycle": {"nstep": options.nstep},
        }

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write ``run.abi``; the seal is the root of the names of ABINIT's own files."""
        elements, symbols = sorted(inputs["pseudos"]), candidate.symbols
        points = inputs["kpoints"]
        variables: dict[str, Any] = {
            "acell": "3*1.0 angstrom",
            "rprim": _rows(candidate.cell),
            "natom": len(symbols),
            "ntypat": len(elements),
            "znucl": [atomic_numbers[el] for el in elements],
            "typat": [elements.index(el) + 1 for el in symbols],
            "xcart": f"{_rows(candidate.positions)} angstrom",
            "ngkpt": points["grid"],
            "nshiftk": 1,
            "shiftk": [0.5 if points["shift"] else 0.0] * 3,
            **_ALWAYS,
            **inputs["basis"],
            **inputs["cycle"],
        }
        if inputs["moments"]:
            spins = [f"0 0 {inputs['moments'][el]}" for el in symbols]
            variables |= {"nsppol": 2, "nspden": 2, "spinat": "\n".join(spins)}
        folder = self.machine.abinit_pseudo_dir.absolute()
        files = ", ".join(str(folder / inputs["pseudos"][el]) for el in elements)
        lines = [f'outdata_prefix "{seal}"', f'pseudos "{files}"']
        lines += [f"{name} {_words(value)}" for name, value in variables.items()]
        (directory / INPUT).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def marked(self, ended: Run) -> str:
        """Give the main output file, which names the root of the others."""
        return ended.text(RESULT)

    def examine(self, ended: Run, candidate: Candidate) -> None:
        """Refuse a run that has not come to its end."""
        text, log = ended.text(RESULT), ended.text(self.output)
        where, last = f"abinit: {candidate.name}", tail(ended, self.output)

        def failed(message: str, reason: OracleReason, remedy: str | None = None) -> OracleError:
            facts = {"directory": str(ended.directory), "tail": last}
            return OracleError(f"{where}: {message}", reason=reason, remedy=remedy, **facts)

        if "was not enough SCF cycles to converge" in text + log:
            raise failed(
                "the self-consistent cycle has not converged",
                "not_converged",
                "raise oracle.options.nstep, or lower diemix in variables",
            )
        if ended.returncode != 0:
            told = re.findall(r"^message: \|\s*\n(.*?)^\.\.\.", log, re.MULTILINE | re.DOTALL)
            said = " ".join(told[-1].split()) if told else (last or ["it printed nothing"])[-1]
            raise failed(f"ABINIT ended with {how_it_ended(ended)}: {said}", "crashed")
        if "ABINIT" not in log:
            raise wrong_program("abinit", ended, where=where)
        if "Calculation completed" not in text:
            raise failed("the output ends early", "incomplete")

    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read the main output file."""
        try:
            with (done.directory / RESULT).open(encoding="utf-8", errors="replace") as file:
                results = read_abinit_out(file)
            if list(results["atoms"].get_atomic_numbers()) != list(candidate.numbers):
                raise ValueError("it is of other atoms")  # noqa: TRY301 - told as unreadable
            return Output(
                energy=results.get("free_energy"),  # forces are the derivatives of that
                forces=results.get("forces"),
                stress=results.get("stress"),
            )
        except Exception as error:
            raise OracleError(
                f"abinit: {candidate.name}: the output can't be read ({error})",
                reason="garbage",
                directory=str(done.directory),
            ) from error

    def facts(self, done: Done) -> dict[str, Any]:
        """Give files, cutoff and k-points."""
        facts = {"pseudopotentials": done.inputs["pseudos"], "ecut": done.inputs["basis"]["ecut"]}
        return facts | super().facts(done)


def _file(options: AbinitOptions, element: str) -> str:
    return options.pseudopotentials.get(element, f"{element}.psp8")


def _check_files(options: AbinitOptions, folder: Path, elements: Iterable[str]) -> list[Problem]:
    """Say which files are missing, and whether those there are of one functional."""
    if not folder.is_dir():
        hint = "the folder of ABINIT's files; see http://www.pseudo-dojo.org"
        message = f"{folder} is not a folder"
        return [Problem(key="machine.abinit_pseudo_dir", message=message, hint=hint)]
    problems, functionals = [], {}
    for element in sorted(set(elements)):
        path = folder / _file(options, element)
        if not path.is_file():
            there = sorted(p.name for p in folder.glob(f"{element}[.-_]*"))[:8]
            hint = f"files for {element} there: {', '.join(there) or 'none'}"
            message = f"there is no file {_file(options, element)} in {folder}"
            key = f"{PSEUDOPOTENTIALS}.{element}"
            problems.append(Problem(key=key, message=message, hint=hint))
        elif path.suffix == ".psp8":
            functionals[element] = _functional(path)
    if len(set(functionals.values())) > 1:
        words = ", ".join(f"{el}: {number}" for el, number in functionals.items())
        message = f"files of different functionals can't be mixed (pspxc {words})"
        hint = "choose files of one functional"
        problems.append(Problem(key=PSEUDOPOTENTIALS, message=message, hint=hint))
    return problems


def _functional(path: Path) -> str:
    """Give ``pspxc`` of a file in the psp8 format: the second number of the third line."""
    with path.open(encoding="utf-8", errors="replace") as file:
        lines = [file.readline() for _ in range(3)]
    words = lines[2].split()
    return words[1] if len(words) > 1 else "?"


def _rows(array: Any) -> str:  # noqa: ANN401 - an (n, 3) array
    return "\n" + "\n".join(" ".join(f"{x:.14f}" for x in row) for row in np.asarray(array))


def _words(value: Any) -> str:  # noqa: ANN401 - a number, a text or a list
    return " ".join(str(x) for x in value) if isinstance(value, list) else str(value)
