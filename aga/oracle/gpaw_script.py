"""Run by a Python that has GPAW: ``python gpaw_script.py``, in a directory with ``gpaw.json``.

GPAW is under the GPL. So this file is a program of its own: it is started as a separate process,
talks through files, and is imported by nothing of aga (a test holds that). It needs ASE and GPAW
and nothing else, of any version since 22.

Input: ``gpaw.json`` with ``seal``, ``numbers``, ``positions`` and ``cell`` (Å), ``calculator`` (see
:func:`calculator`) and, for a relaxation, ``relax`` with ``pressure`` (eV/Å³), ``force`` (eV/Å) and
``steps``. Output: one line of JSON in ``steps.jsonl`` for each structure, flushed, with its energy
(eV, the one that forces are derivatives of), forces (eV/Å) and stress (eV/Å³, ASE's sign and
order); at the end ``result.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import IO, Any

import gpaw
from ase import Atoms
from ase.optimize import BFGS, FIRE
from gpaw import GPAW, PW, FermiDirac, KohnShamConvergenceError, Mixer, MixerSum
from gpaw.mpi import world

try:
    from ase.filters import FrechetCellFilter as CellFilter
except ImportError:  # ASE before 3.23
    from ase.constraints import ExpCellFilter as CellFilter

NOT_CONVERGED = 3
"""Exit code of a self-consistent cycle that did not converge."""


def calculator(told: dict[str, Any]) -> GPAW:
    """Give GPAW as told in the sections ``basis``, ``kpoints`` and ``cycle``."""
    basis, cycle = told["basis"], told["cycle"]
    mixer = {"none": Mixer, "collinear": MixerSum}[basis["spin"]]
    options = {
        "mode": PW(basis["ecut"]),
        "xc": basis["xc"],
        "setups": basis["setups"],
        "occupations": FermiDirac(basis["width"]),
        "spinpol": basis["spin"] == "collinear",
        "kpts": {"size": told["kpoints"]["grid"], "gamma": not told["kpoints"]["shift"]},
        "convergence": {"energy": basis["energy"], "density": basis["density"]},
        "maxiter": cycle["maxiter"],
        "mixer": mixer(cycle["beta"], cycle["history"], cycle["weight"]),
        "eigensolver": cycle["eigensolver"],
        "txt": "gpaw.txt",
    }
    if not cycle["symmetry"]:
        options["symmetry"] = "off"
    if told.get("parallel"):
        options["parallel"] = told["parallel"]
    return GPAW(**options)


def structure(told: dict[str, Any]) -> Atoms:
    """Give the structure with its calculator."""
    atoms = Atoms(numbers=told["numbers"], positions=told["positions"], cell=told["cell"], pbc=True)
    if told["calculator"]["basis"]["spin"] == "collinear":
        atoms.set_initial_magnetic_moments(told["moments"])
    atoms.calc = calculator(told["calculator"])
    return atoms


def warm_up(atoms: Atoms, told: dict[str, Any]) -> None:
    """Find a density with wider smearing first, where told so; its energy is not used."""
    width = told["cycle"]["warm_up_width"]
    if width:
        atoms.calc.set(occupations=FermiDirac(width))
        atoms.get_potential_energy()
        atoms.calc.set(occupations=FermiDirac(told["basis"]["width"]))


def answer(atoms: Atoms, seal: str) -> dict[str, Any]:
    """Give what GPAW says of the structure as it is now."""
    return {
        "seal": seal,
        "numbers": atoms.get_atomic_numbers().tolist(),
        "positions": atoms.get_positions().tolist(),
        "cell": atoms.get_cell()[:].tolist(),
        "energy": float(atoms.get_potential_energy(force_consistent=True)),
        "forces": atoms.get_forces().tolist(),
        "stress": atoms.get_stress(voigt=True).tolist(),
    }


def note(atoms: Atoms, file: IO[str], seal: str) -> None:
    """Add a line to the history."""
    line = answer(atoms, seal)
    if world.rank == 0:
        file.write(json.dumps(line) + "\n")
        file.flush()


def relax(atoms: Atoms, told: dict[str, Any], file: IO[str], seal: str) -> bool:
    """Relax atoms and cell; BFGS, then FIRE where that does not settle."""
    cell = CellFilter(atoms, scalar_pressure=told["pressure"])
    first = max(1, round(0.6 * told["steps"]))
    for optimizer, steps in ((BFGS, first), (FIRE, told["steps"] - first)):
        run = optimizer(cell, logfile=None)
        run.attach(note, 1, atoms, file, seal)
        if run.run(fmax=told["force"], steps=steps):
            return True
    return False


def main() -> int:
    """Do what ``gpaw.json`` says; give the exit code."""
    told = json.loads(Path("gpaw.json").read_text())
    atoms = structure(told)
    arrived = True
    try:
        warm_up(atoms, told["calculator"])
        with Path("steps.jsonl").open("w") as file:
            if told["relax"] is None:
                note(atoms, file, told["seal"])
            else:
                arrived = relax(atoms, told["relax"], file, told["seal"])
    except KohnShamConvergenceError as error:
        sys.stderr.write(f"not converged: {error}\n")
        return NOT_CONVERGED
    if world.rank == 0:
        end = {"seal": told["seal"], "version": gpaw.__version__, "arrived": arrived}
        Path("result.json.part").write_text(json.dumps(end))
        Path("result.json.part").replace("result.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
