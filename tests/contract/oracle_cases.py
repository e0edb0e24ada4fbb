"""Engines with a structure each knows, for the contract that all of them keep."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal

from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle.registry import build_oracle
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label, Oracle

FAKE_VASP = Path(__file__).resolve().parents[1] / "fake_vasp.py"

# The header of a POTCAR, as far as a program reads it: the rest is licensed, and not ours to copy.
POTCAR = """\
  PAW_PBE Si 05Jan2001
   4.00000000000000
 parameters from PSCTR are:
   VRHFIN =Si: s2p2
   LEXCH  = PE
   EATOM  =   103.0669 eV,    7.5752 Ry
   TITEL  = PAW_PBE Si 05Jan2001
   POMASS =   28.085; ZVAL   =    4.000    mass and valenz
   ENMAX  =  245.345; ENMIN  =  184.009 eV
 END of PSCTR-controll parameters
 local part
  0.5 1.0 1.5
 End of Dataset
"""


@dataclass(frozen=True)
class Case:
    """An engine with a structure it knows.

    ``precision``: eV/atom within which equivalent structures agree (a plane-wave method works
    on grids); ``force_error`` (eV/Å) and ``stress_error`` (eV/Å³): within which they are the
    derivatives of its energy, measured over ``move`` (Å) and ``strain``: small for a potential with
    a cutoff, large for one that is converged to some digits; ``steps``: more than the relaxation
    needs; ``marker``: of what must be installed; ``machine``: its settings, made in a folder.
    """

    engine: str
    atoms: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)
    precision: float = 1e-9
    force_error: float = 1e-4
    stress_error: float = 1e-5
    move: float = 1e-4
    strain: float = 1e-5
    steps: int = 200
    marker: str = ""
    machine: Callable[[Path], MachineSettings] = lambda _folder: MachineSettings()

    def oracle(self, folder: Path, machine: MachineSettings | None = None, **limits: Any) -> Oracle:
        values = {"relax_steps": self.steps, "relax_force": 0.02} | limits
        return build_oracle(
            OracleSettings(engine=self.engine, options=self.options, **values),
            machine or self.machine(folder),
            self.candidate().symbols,
        )

    def candidate(self) -> Candidate:
        atoms = self.atoms()
        rng = stream(1, self.engine)
        atoms.positions += rng.normal(0, 0.06, atoms.positions.shape)
        strain = np.eye(3) + rng.normal(0, 0.02, (3, 3))
        atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        # A skewed cell of the same lattice, as crossover and strain make them.
        atoms.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ atoms.cell[:])
        return Candidate.from_ase(atoms, name="c")


class Bench:
    """Labels and relaxations that several tests look at, each computed once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._labels: dict[str, Label] = {}
        self._relaxed: dict[str, tuple[Candidate, Label]] = {}

    def label(self, name: str) -> Label:
        if name not in self._labels:
            case, folder = CASES[name], self.folder / name
            self._labels[name] = case.oracle(folder).label(case.candidate(), folder / "label")
        return self._labels[name]

    def relaxed(self, name: str) -> tuple[Candidate, Label]:
        if name not in self._relaxed:
            case, folder = CASES[name], self.folder / name
            self._relaxed[name] = case.oracle(folder).relax(
                case.candidate(), folder / "relax", pressure=0.0
            )
        return self._relaxed[name]


def rutile() -> Any:
    return crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        spacegroup=136,
        cellpar=[4.59, 4.59, 2.96, 90, 90, 90],
    )


def copper_gold() -> Any:
    atoms = bulk("Cu", cubic=True, a=3.8)
    atoms.symbols[0] = atoms.symbols[1] = "Au"
    return atoms


def silicon() -> Any:
    return bulk("Si", a=5.3)


def fake_vasp(folder: Path, fault: str = "none") -> MachineSettings:
    """Give the settings of a machine with the stand-in for VASP and a POTCAR of no content."""
    place = folder / "potcars" / "POT_PAW_PBE_64" / "Si"
    place.mkdir(parents=True, exist_ok=True)
    (place / "POTCAR").write_text(POTCAR, encoding="utf-8")
    return MachineSettings(
        vasp_command=f"{sys.executable} {FAKE_VASP} {fault}", vasp_potcar_dir=folder / "potcars"
    )


# Cheap settings: what is shown here does not depend on their convergence.
CASES = {
    "tersoff": Case("tersoff", lambda: bulk("Si", a=5.3, cubic=True)),
    "tersoff-2": Case("tersoff", silicon),
    "tersoff-sic": Case("tersoff", lambda: bulk("SiC", "zincblende", a=4.3)),
    "matsui-akaogi": Case("matsui-akaogi", rutile),
    "emt": Case("emt", copper_gold),
    "lj-mixture": Case(
        "lj-mixture",
        # The mixture of Kob and Andersen, Phys. Rev. E 51, 4626 (1995), units of 0.1 eV, 2.8 Å.
        lambda: bulk("NiP", "cesiumchloride", a=2.95) * (1, 1, 2),
        {"pairs": {"Ni-Ni": [0.1, 2.8], "P-Ni": [0.15, 2.24], "P-P": [0.05, 2.464]}},
    ),
    "custom": Case(
        "ase.calculators.lj:LennardJones",
        lambda: bulk("Ar", a=5.0, cubic=True),
        # A smooth cutoff, as every potential has that can be relaxed on.
        {"sigma": 3.4, "epsilon": 0.1, "rc": 8.0, "ro": 7.0, "smooth": True},
    ),
    "espresso": Case(
        "espresso",
        silicon,
        {
            "pseudopotentials": {"Si": "Si.pz-vbc.UPF"},
            "ecutwfc": 16,
            "kpoint_spacing": 0.7,
            "kpoint_shift": True,
            # Plane waves fade out above 14 Ry: at such a cutoff the stress is none without.
            "input_data": {"system": {"ecfixed": 14.0, "qcutz": 25.0, "q2sigma": 2.0}},
        },
        precision=2e-3,
        force_error=2e-3,
        stress_error=4e-3,
        move=4e-3,
        strain=5e-4,
        steps=60,
        marker="espresso",
    ),
    "gpaw": Case(
        "gpaw",
        silicon,
        {"xc": "LDA", "ecut": 180, "kpoint_spacing": 1.1, "kpoint_shift": True},
        precision=5e-3,
        force_error=3e-3,
        stress_error=5e-3,
        move=4e-3,
        strain=5e-4,
        steps=60,
        marker="gpaw",
    ),
    "abinit": Case(
        "abinit",
        silicon,
        {"ecut": 7, "kpoint_spacing": 1.1, "kpoint_shift": True, "tolvrs": 1e-8},
        precision=5e-3,
        force_error=2e-3,
        stress_error=5e-4,
        move=4e-3,
        strain=5e-4,
        steps=60,
        marker="abinit",
    ),
    "cp2k": Case(
        "cp2k",
        silicon,
        {
            "xc": "LDA",
            "basis_sets": {"Si": "SZV-MOLOPT-SR-GTH"},
            "cutoff": 100,
            "rel_cutoff": 40,
            "eps_scf": 1e-6,
            "added_mos": 4,
            "kpoint_spacing": 1.1,
            "kpoint_shift": True,
        },
        precision=5e-3,
        force_error=3e-3,
        stress_error=5e-4,
        move=4e-3,
        strain=5e-4,
        steps=60,
        marker="cp2k",
    ),
    "lammps": Case(
        "lammps",
        silicon,
        {"pair_style": "tersoff", "pair_coeff": ["* * Si.tersoff {elements}"]},
        precision=1e-7,
        steps=60,
        marker="lammps",
    ),
    # Its energies are a stand-in's; what is shown is the way there and back.
    "vasp": Case(
        "vasp",
        silicon,
        {"kpoint_spacing": 0.7},
        precision=1e-7,
        steps=60,
        marker="vasp",
        machine=fake_vasp,
    ),
}


PROGRAMS = ["espresso", "gpaw", "abinit", "cp2k", "lammps", "vasp"]
"""The cases whose engine runs a program."""


def parameters(names: list[str]) -> list[Any]:
    """Give the cases as parameters of a test, each with the marker of what it needs."""
    found = []
    for name in names:
        marker = CASES[name].marker
        marks = [getattr(pytest.mark, marker)] if marker else []
        found.append(pytest.param(name, id=name, marks=marks))
    return found
