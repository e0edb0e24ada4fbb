"""GPAW: density functional theory with plane waves and the projector augmented-wave method.

J. J. Mortensen et al., J. Chem. Phys. 160, 092503 (2024). GPAW is under the GPL: it is run as a
program (``gpaw_script.py`` by a Python that has it), never imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from aga.config.schema import MachineSettings
from aga.errors import MissingPseudopotentialError, OracleError, OracleReason, Problem
from aga.oracle.base import EngineOptions
from aga.oracle.dft import DftOptions, Positive, kpoints
from aga.oracle.executables import PSEUDOPOTENTIALS, check_command, wrong_program
from aga.oracle.job import Done, Job, how_it_ended, tail
from aga.oracle.lattice import reduced_cell
from aga.oracle.program_engine import ProgramEngine
from aga.oracle.repair import ONCE_MORE, Ceiling, Floor, Inputs, Ladder, Repair
from aga.oracle.rounds import Round, Step, Walk, best_step, walked
from aga.oracle.runner import Run
from aga.oracle.validation import Output
from aga.structure.candidate import Candidate

__all__ = ["Gpaw", "GpawOptions"]

SCRIPT = Path(__file__).with_name("gpaw_script.py")
STEPS, RESULT = "steps.jsonl", "result.json"
NOT_CONVERGED = 3

# Setups are made for a few functionals; these take those of their nearest relative.
_SETUPS_OF = {"LDA": "LDA", "PBE": "PBE", "PBEsol": "PBE", "RPBE": "RPBE", "revPBE": "revPBE"}

LADDER = Ladder(
    repairs=(
        Repair(
            name="gentler mixing, more steps",
            after=re.compile(r"not_converged"),
            changes={
                "cycle": {
                    "beta": Ceiling(value=0.03),
                    "weight": Floor(value=100.0),
                    "maxiter": Floor(value=600),
                }
            },
        ),
        Repair(
            name="from the density of a wider smearing",
            after=re.compile(r"not_converged"),
            changes={"cycle": {"warm_up_width": 0.5}},
        ),
        Repair(
            name="another diagonalisation (rmm-diis)",
            after=re.compile(r"not_converged|Cholesky|LinAlgError|diagonali"),
            changes={"cycle": {"eigensolver": "rmm-diis"}},
        ),
        Repair(
            name="no symmetry",
            after=re.compile(r"[Ss]ymmetr"),
            changes={"cycle": {"symmetry": False}},
        ),
        ONCE_MORE,
    ),
    kept=frozenset(
        {"kpoints.grid", "kpoints.shift"}
        | {f"basis.{key}" for key in ("ecut", "xc", "width", "setups", "spin", "energy", "density")}
    ),
)


class GpawOptions(DftOptions):
    """``oracle.options`` of GPAW."""

    pseudopotentials: dict[str, str] = Field(
        default_factory=dict,
        description="setup of elements that have several, e.g. {Ag: 11} for Ag.11.PBE",
    )
    ecut: Positive = Field(500.0, description="eV, of the plane waves")
    xc: str = Field("PBE", description="functional: LDA, PBE, PBEsol, RPBE, revPBE")
    width: Positive = Field(0.1, description="eV, width of the Fermi-Dirac smearing")
    energy_tolerance: Positive = Field(1e-6, description="eV/electron, of the self-consistency")
    density_tolerance: Positive = Field(1e-5, description="electrons, of the self-consistency")
    mixing: float = Field(0.05, gt=0, le=1, description="share of the new density")
    max_steps: int = Field(333, ge=1, description="self-consistency steps")


class Gpaw(ProgramEngine):
    """GPAW with plane waves: single points, and relaxations within one process."""

    name = "gpaw"
    output = "stdout.txt"
    ladder = LADDER
    Options: ClassVar[type[EngineOptions]] = GpawOptions

    @classmethod
    def check(
        cls, options: GpawOptions, machine: MachineSettings, composition: Mapping[str, int]
    ) -> list[Problem]:
        """Give the missing executable and the missing setups."""
        return check_command("gpaw", machine) + _missing_setups(options, machine, composition)

    def command(self) -> list[str]:
        """Give the command with our script."""
        return [*super().command(), str(SCRIPT)]

    def environment(self) -> Mapping[str, str]:
        """Tell GPAW where its setups are."""
        return {"GPAW_SETUP_PATH": str(self.machine.gpaw_setup_dir.absolute())}

    def inputs(self, candidate: Candidate) -> Inputs:
        """Give basis, k-points and self-consistency; eV and Å."""
        options: GpawOptions = self.options
        moments = {el: options.magnetic_moments.get(el, 0.0) for el in set(candidate.symbols)}
        return {
            "basis": {
                "ecut": options.ecut,
                "xc": options.xc,
                "setups": {el: options.pseudopotentials.get(el, "paw") for el in sorted(moments)},
                "width": options.width,
                "spin": options.spin,
                "energy": options.energy_tolerance,
                "density": options.density_tolerance,
            },
            "moments": moments,
            "kpoints": kpoints(options, candidate),
            "cycle": {
                "maxiter": options.max_steps,
                "beta": options.mixing,
                "history": 5,
                "weight": 50.0,
                "eigensolver": "dav",
                "symmetry": True,
                "warm_up_width": None,
            },
        }

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        """Write ``gpaw.json``."""
        document = {
            "seal": seal,
            "numbers": candidate.numbers.tolist(),
            "positions": candidate.positions.tolist(),
            "cell": candidate.cell.tolist(),
            "moments": [inputs["moments"][el] for el in candidate.symbols],
            "calculator": {key: inputs[key] for key in ("basis", "kpoints", "cycle")},
            "relax": inputs.get("relax"),
        }
        (directory / "gpaw.json").write_text(json.dumps(document, indent=1), encoding="utf-8")

    def marked(self, ended: Run) -> str:
        """Give the lines of the history, which bear the seal."""
        return ended.text(STEPS)

    def examine(self, ended: Run, candidate: Candidate) -> None:
        """Refuse a run that has not written its result."""
        where, last = f"gpaw: {candidate.name}", tail(ended, self.output, 3)
        said = last[-1] if last else "it printed nothing"

        def failed(message: str, reason: OracleReason, remedy: str | None = None) -> OracleError:
            facts = {"directory": str(ended.directory), "tail": tail(ended, self.output)}
            return OracleError(f"{where}: {message}", reason=reason, remedy=remedy, **facts)

        if ended.returncode == NOT_CONVERGED:
            raise failed(
                "the self-consistent cycle has not converged",
                "not_converged",
                "lower oracle.options.mixing or raise max_steps",
            )
        if "Could not find required PAW dataset" in ended.text("stderr.txt"):
            raise MissingPseudopotentialError(f"{where}: {said}", remedy=_HINT)
        if re.search(r"No module named '(gpaw|ase)", ended.text("stderr.txt")):
            raise failed(said, "crashed", wrong_program("gpaw", ended, where=where).remedy)
        if ended.returncode != 0:
            raise failed(f"GPAW ended with {how_it_ended(ended)}: {said}", "crashed")
        if not ended.text(STEPS):
            raise wrong_program("gpaw", ended, where=where)
        if _end(ended) is None:
            raise failed("the output ends early", "incomplete")

    def read(self, done: Done, candidate: Candidate) -> Output:
        """Read the only structure of the history."""
        steps = _history(done.ended, candidate)
        return steps[-1].output if steps else Output(energy=None, forces=None, stress=None)

    def facts(self, done: Done) -> dict[str, Any]:
        """Give functional, cutoff, setups and k-points."""
        basis = done.inputs["basis"]
        facts = {"functional": basis["xc"], "ecut": basis["ecut"], "setups": basis["setups"]}
        return facts | super().facts(done)

    def relax_round(self, candidate: Candidate, run_dir: Path, task: Round) -> Walk:
        """Relax in GPAW's own process, which keeps what it has from step to step."""
        job = Job(self, run_dir, "relax", self.settings.timeout)
        reduced, operation = reduced_cell(candidate)
        inputs = self.inputs(reduced)
        inputs["relax"] = {
            "pressure": task.pressure,
            "force": self.settings.relax_force,
            "steps": task.steps,
        }
        arrived = False
        try:
            ended = job.run(reduced, inputs).ended
            arrived = bool((_end(ended) or {}).get("arrived"))
        except OracleError as error:
            if job.last is None or not job.last.ended.text(STEPS):
                raise
            ended = job.salvage(error, reduced).ended
        history = [step for step in _history(ended, reduced) if step.complete()]
        if not history:
            raise OracleError(
                f"gpaw: {candidate.name}: no step of the relaxation has forces",
                reason="incomplete",
                directory=str(ended.directory),
            )
        job.finished(ended.directory)
        best = best_step(history, task.pressure, arrived=arrived)
        return walked(candidate, operation, history, best, len(history))


_HINT = (
    "install them (Debian: apt-get install gpaw-data; elsewhere: gpaw install-data FOLDER) and set "
    "machine.gpaw_setup_dir to their folder"
)


def _missing_setups(
    options: GpawOptions, machine: MachineSettings, elements: Iterable[str]
) -> list[Problem]:
    folder, family = machine.gpaw_setup_dir, _SETUPS_OF.get(options.xc)
    if not folder.is_dir():
        message = f"{folder} is not a folder"
        return [Problem(key="machine.gpaw_setup_dir", message=message, hint=_HINT)]
    if family is None:
        message = f"no setups for {options.xc!r}"
        hint = f"one of {', '.join(_SETUPS_OF)}"
        return [Problem(key="oracle.options.xc", message=message, hint=hint)]
    problems = []
    for element in sorted(set(elements)):
        kind = options.pseudopotentials.get(element)
        name = f"{element}.{kind}.{family}" if kind else f"{element}.{family}"
        if not any((folder / f"{name}{end}").is_file() for end in ("", ".gz")):
            there = sorted(p.name for p in folder.glob(f"{element}.*{family}*"))
            problems.append(
                Problem(
                    key=f"{PSEUDOPOTENTIALS}.{element}",
                    message=f"there is no setup {name} in {folder}",
                    hint=f"setups of {element} there: {', '.join(there)}" if there else _HINT,
                )
            )
    return problems


def _end(ended: Run) -> dict[str, Any] | None:
    """Give what is written at the very end; None where it is missing or torn."""
    try:
        found = json.loads(ended.text(RESULT))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _history(ended: Run, candidate: Candidate) -> list[Step]:
    """Read the structures of a run; a last line that was cut off does not count."""
    try:
        lines = ended.text(STEPS).splitlines(keepends=True)
        return [_step(json.loads(x), candidate) for x in lines if x.endswith("\n")]
    except (ValueError, KeyError, TypeError) as error:
        raise OracleError(
            f"gpaw: {candidate.name}: the output can't be read ({error})",
            reason="garbage",
            directory=str(ended.directory),
        ) from error


def _step(line: dict[str, Any], candidate: Candidate) -> Step:
    if line["numbers"] != candidate.numbers.tolist():
        raise ValueError("it is of other atoms")
    output = Output(
        energy=line["energy"], forces=np.array(line["forces"]), stress=np.array(line["stress"])
    )
    moved = candidate.moved(np.array(line["positions"]), np.array(line["cell"]))
    return Step(candidate=moved, output=output)
