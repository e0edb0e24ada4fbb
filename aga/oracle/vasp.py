"""VASP: density functional theory with plane waves and the projector augmented-wave method.

G. Kresse and J. Furthmüller, Phys. Rev. B 54, 11169 (1996). VASP is licensed: bring the program and
the POTCAR files. Inputs are pymatgen's sets, outputs are read by pymatgen (S. P. Ong et al.,
Comput. Mater. Sci. 68, 314 (2013)), repairs are proposed by custodian.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from aga.config.schema import MachineSettings
from aga.errors import OracleError, OracleReason, Problem
from aga.oracle.base import EngineOptions
from aga.oracle.executables import check_command, wrong_program
from aga.oracle.job import Done, Job, how_it_ended, tail
from aga.oracle.lattice import reduced_cell
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.repair import ONCE_MORE, Floor, Inputs, Repair, changed
from aga.oracle.rounds import Round, Step, Walk, best_step, walked
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.oracle.vasp_input import (
    VaspOptions,
    by_element,
    check_potcars,
    potcar_folder,
    quiet,
    static_inputs,
    write_inputs,
)
from aga.oracle.vasp_repairs import OUTPUT, CustodianLadder
from aga.structure.candidate import Candidate
from aga.units import ev_per_a3_from_gpa, gpa_from_ev_per_a3

__all__ = ["Vasp"]

RESULT = "vasprun.xml"
KBAR_PER_GPA = 10.0

_TROUBLE = re.compile(r"VERY BAD NEWS|ERROR|BRMIX|ZHEGV|EDDDAV|ZBRENT|LAPACK|internal error")


class Vasp(ProgramEngine):
    """VASP: single points, and relaxations by VASP itself (ISIF = 3)."""

    name = "vasp"
    output = OUTPUT
    ladder = CustodianLadder(
        repairs=(
            Repair(
                name="all bands at once, more steps",
                after=re.compile(r"not_converged"),
                changes={"incar": {"ALGO": "All", "NELM": Floor(value=300)}},
            ),
            ONCE_MORE,
        ),
        kept=frozenset({"incar.ENCUT", "incar.ISMEAR", "incar.SIGMA", "kpoints.grid"}),
    )
    Options: ClassVar[type[EngineOptions]] = VaspOptions

    @classmethod
    def check(
        cls, options: VaspOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable, packages and POTCAR files."""
        problems = check_command("vasp", machine)
        if importlib.util.find_spec("custodian") is None:
            problems.append(
                Problem(
                    key="oracle.engine",
                    message="vasp needs the package custodian",
                    hint="pip install 'aga[vasp]'",
                )
            )
        return problems + check_potcars(options, machine, composition)

    def inputs(self, candidate: Candidate) -> Inputs:
        """Give INCAR, k-points and the names of the POTCARs."""
        return static_inputs(self.options, candidate)

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write the four input files."""
        folder = potcar_folder(self.machine)
        assert folder is not None  # noqa: S101 - shown by check, for the type checker
        write_inputs(directory, candidate, inputs, folder, seal)

    def marked(self, ended: Run) -> str:
        """Give the result, which has the INCAR with its SYSTEM in it."""
        return ended.text(RESULT)

    def examine(self, ended: Run, candidate: Candidate) -> None:
        """Refuse a run whose result is not whole, or whose electrons have not converged."""
        where = f"vasp: {candidate.name}"
        facts = {"directory": str(ended.directory), "tail": tail(ended, self.output)}

        def failed(message: str, reason: OracleReason, remedy: str | None = None) -> OracleError:
            return OracleError(f"{where}: {message}", reason=reason, remedy=remedy, **facts)

        trouble = [x for x in ended.text(OUTPUT).splitlines() if _TROUBLE.search(x)]
        said = trouble[0].strip() if trouble else "; ".join(facts["tail"][-1:]) or "nothing"
        if ended.returncode != 0:
            raise failed(f"VASP ended with {how_it_ended(ended)}: {said}", "crashed")
        text = ended.text(RESULT)
        if not text and not (ended.directory / "OUTCAR").is_file():
            raise wrong_program("vasp", ended, where=where)
        if not text.rstrip().endswith("</modeling>"):
            reason: OracleReason = "crashed" if trouble else "incomplete"
            raise failed(f"the output ends early: {said}", reason)
        try:
            converged = bool(_vasprun(ended).converged_electronic)
        except Exception as error:
            raise failed(f"{RESULT} can't be read ({error})", "garbage") from error
        if not converged:
            raise failed(
                "the self-consistent cycle has not converged",
                "not_converged",
                "set oracle.options.incar.ALGO to Normal or All, or raise NELM",
            )

    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read the last step of ``vasprun.xml``."""
        steps = _history(done.ended, candidate)
        return steps[-1].output if steps else Output(energy=None, forces=None, stress=None)

    def facts(self, done: Done) -> dict[str, Any]:
        """Give input set, cutoff, POTCARs and k-points."""
        options: VaspOptions = self.options
        potcar = done.inputs["potcar"]
        facts = {"input_set": options.input_set, "encut": done.inputs["incar"].get("ENCUT")}
        return facts | {"pseudopotentials": potcar["symbols"], **super().facts(done)}

    def relax_round(self, candidate: Candidate, run_dir: Path, task: Round) -> Walk:
        """Relax by VASP's own conjugate gradients, atoms and cell together."""
        job = Job(self, run_dir, "relax", self.settings.timeout)
        reduced, operation = reduced_cell(candidate)
        relaxing: Inputs = {
            "incar": {
                "IBRION": 2,
                "ISIF": 3,
                "NSW": max(1, task.steps),
                "EDIFFG": -self.settings.relax_force / 2,
                "PSTRESS": gpa_from_ev_per_a3(task.pressure) * KBAR_PER_GPA,
            }
        }
        arrived = False
        try:
            ended = job.run(reduced, changed(self.inputs(reduced), relaxing)).ended
            arrived = True
        except OracleError as error:
            if job.last is None or not job.last.ended.text(RESULT):
                raise
            ended = job.salvage(error, reduced).ended
        history = [step for step in _history(ended, reduced) if step.complete()]
        if not history:
            raise OracleError(
                f"vasp: {candidate.name}: no step of the relaxation has forces",
                reason="incomplete",
                directory=str(ended.directory),
            )
        job.finished(ended.directory)
        best = best_step(history, task.pressure, arrived=arrived)
        return walked(candidate, operation, history, best, len(history))


def _vasprun(ended: Run) -> Any:  # noqa: ANN401 - pymatgen is untyped here
    from pymatgen.io.vasp.outputs import Vasprun  # noqa: PLC0415 - takes seconds to import

    with quiet():
        return Vasprun(
            str(ended.directory / RESULT),
            parse_dos=False,
            parse_eigen=False,
            parse_potcar_file=False,
            exception_on_bad_xml=False,
        )


def _history(ended: Run, candidate: Candidate) -> list[Step]:
    """Read all structures of a run, with their atoms in the candidate's order."""
    ordered, order = by_element(candidate)
    back = np.argsort(order)
    steps = []
    try:
        result = _vasprun(ended)
        if list(result.atomic_symbols) != ordered.symbols:
            raise ValueError("it is of other atoms")  # noqa: TRY301 - told as all that is unreadable
        most = int(result.parameters["NELM"])
        for step in result.ionic_steps:
            structure = step["structure"]
            moved = candidate.moved(
                np.array(structure.cart_coords)[back], np.array(structure.lattice.matrix)
            )
            steps.append(Step(candidate=moved, output=_output(step, back, most)))
    except Exception as error:
        raise OracleError(
            f"vasp: {candidate.name}: {RESULT} can't be read ({error})",
            reason="garbage",
            directory=str(ended.directory),
        ) from error
    return steps


def _output(step: Mapping[str, Any], back: Any, most: int) -> Output:  # noqa: ANN401 - an index array
    """Take energy, forces and stress of one step; VASP's stress is in kbar and the other way.

    ``most``: electronic steps there may be; one that took them all has not converged, and VASP
    relaxes on.
    """
    forces, stress = step.get("forces"), step.get("stress")
    energy = step.get("e_fr_energy")  # the free energy: forces are the derivatives of that
    voigt = None
    if stress is not None:
        s = -ev_per_a3_from_gpa(1.0) / KBAR_PER_GPA * np.array(stress, dtype=np.float64)
        voigt = np.array([s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]])
    return Output(
        energy=None if energy is None else float(energy),
        forces=None if forces is None else np.array(forces, dtype=np.float64)[back],
        stress=voigt,
        converged=len(step.get("electronic_steps", ())) < most,
    )
