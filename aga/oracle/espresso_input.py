"""What pw.x is told: the options, the k-point grid and the input file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ase import Atoms
from ase.io.espresso import write_espresso_in
from pydantic import Field, ValidationInfo, field_validator

from aga.oracle.dft import DftOptions, Positive, kpoints
from aga.oracle.lattice import few_symmetries
from aga.oracle.pseudopotentials import Pseudopotential
from aga.oracle.repair import Inputs, changed
from aga.oracle.runner import SCRATCH
from aga.structure.candidate import Candidate

__all__ = ["EspressoOptions", "cutoffs", "scf_inputs", "write_input"]

DEFAULT_ECUTWFC = 40.0
"""Ry, where neither the user nor the pseudopotential says anything."""

NAMELISTS = ("control", "system", "electrons", "ions", "cell")
# Namelist entries that aga sets itself.
RESERVED = {
    "control": {"calculation", "outdir", "prefix", "pseudo_dir", "title", "tprnfor", "tstress"},
    "system": {"ibrav", "nat", "ntyp", "ecutwfc", "ecutrho", "degauss", "smearing", "nspin"},
    "electrons": {"conv_thr", "mixing_beta", "electron_maxstep"},
}


class EspressoOptions(DftOptions):
    """``oracle.options`` of Quantum ESPRESSO."""

    pseudopotentials: dict[str, str] = Field(
        default_factory=dict,
        description="UPF file of each element, e.g. {Si: Si.pz-vbc.UPF}; found by element in "
        "machine.pseudo_dir where empty",
    )
    functional: Literal["PBE", "PBEsol", "PZ"] | None = Field(
        None, description="of the files that are searched for; the first that all elements have"
    )
    ecutwfc: Positive | None = Field(
        None, description="Ry, of the wavefunctions; as the files suggest where empty, else 40"
    )
    ecutrho: Positive | None = Field(
        None, description="Ry, of the density; as the files suggest, else 4 (NC) or 8 × ecutwfc"
    )
    smearing: Literal["mv", "gauss", "mp", "fd"] = Field("mv", description="of the occupations")
    degauss: Positive = Field(0.01, description="Ry, width of the smearing")
    conv_thr: Positive = Field(1e-8, description="Ry, of the self-consistent energy")
    mixing_beta: float = Field(0.5, gt=0, le=1, description="share of the new density")
    electron_maxstep: int = Field(100, ge=1, description="self-consistency steps")
    input_data: dict[str, dict[str, str | bool | int | float]] = Field(
        default_factory=dict,
        description="further entries of pw.x namelists, e.g. {system: {nbnd: 20}}",
    )

    @field_validator("ecutrho")
    @classmethod
    def _density(cls, value: float | None, info: ValidationInfo) -> float | None:
        ecutwfc = info.data.get("ecutwfc")
        if value and ecutwfc and value < 4 * ecutwfc:
            raise ValueError(f"needs at least 4 × ecutwfc ({4 * ecutwfc:g} Ry), got {value:g}")
        return value

    @field_validator("input_data")
    @classmethod
    def _namelists(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for section, entries in value.items():
            if section not in NAMELISTS:
                raise ValueError(f"no namelist {section!r}; there are {', '.join(NAMELISTS)}")
            taken = sorted({e.lower() for e in entries} & RESERVED.get(section, set()))
            if taken:
                raise ValueError(f"{section}: {', '.join(taken)}: set by aga")
            if any(entry.lower().startswith("starting_magnetization") for entry in entries):
                raise ValueError("starting_magnetization: set by magnetic_moments")
        return value


def cutoffs(options: EspressoOptions, files: Mapping[str, Pseudopotential]) -> tuple[float, float]:
    """Give the cutoffs of wavefunctions and density in Ry."""
    suggested = max((p.wfc_cutoff for p in files.values()), default=0.0)
    ecutwfc = options.ecutwfc or math.ceil(suggested) or DEFAULT_ECUTWFC
    # Ultrasoft and PAW files put sharp augmentation charges into the density.
    factor = 8 if any(p.kind in {"US", "PAW"} for p in files.values()) else 4
    density = max((p.rho_cutoff for p in files.values()), default=0.0)
    return ecutwfc, options.ecutrho or max(factor * ecutwfc, math.ceil(density))


def scf_inputs(
    options: EspressoOptions,
    files: Mapping[str, Pseudopotential],
    pseudo_dir: Path,
    candidate: Candidate,
) -> Inputs:
    """Give namelists and k-points of a single-point run with forces and stress."""
    ecutwfc, ecutrho = cutoffs(options, files)
    own: Inputs = {
        "control": {
            "calculation": "scf",
            "tprnfor": True,
            "tstress": True,
            "outdir": f"./{SCRATCH}",
            "prefix": "aga",
            "pseudo_dir": str(pseudo_dir.resolve()),
            "disk_io": "none",
        },
        "system": {
            "ecutwfc": ecutwfc,
            "ecutrho": ecutrho,
            "occupations": "smearing",
            "smearing": options.smearing,
            "degauss": options.degauss,
        },
        "electrons": {
            "conv_thr": options.conv_thr,
            "mixing_beta": options.mixing_beta,
            "electron_maxstep": options.electron_maxstep,
        },
        "kpoints": kpoints(options, candidate),
    }
    if options.spin == "collinear":
        own["system"] |= {"nspin": 2}
        own["moments"] = moments(options, files)
    if options.kpoint_shift and few_symmetries(candidate):
        # pw.x makes a shifted grid as symmetric as the lattice, up to four times the points.
        own["system"] |= {"nosym": True}
    return changed(own, options.input_data)


def moments(options: EspressoOptions, files: Mapping[str, Pseudopotential]) -> dict[str, float]:
    """Give the magnetisation at the start per valence electron, as pw.x wants it."""
    found = {}
    for element, file in sorted(files.items()):
        share = options.magnetic_moments.get(element, 0.0) / max(file.valence, 1.0)
        found[element] = max(-1.0, min(1.0, share))
    return found


def write_input(
    path: Path, atoms: Atoms, inputs: Inputs, files: Mapping[str, Pseudopotential], seal: str
) -> None:
    """Write an input file of pw.x; the seal is its title."""
    namelists = {key: dict(inputs[key]) for key in NAMELISTS if key in inputs}
    namelists["control"]["title"] = seal
    start = inputs.get("moments", {})
    if start:
        shares = [start[el] for el in atoms.get_chemical_symbols()]
        atoms.set_initial_magnetic_moments(shares)
    points = inputs["kpoints"]
    with path.open("w", encoding="utf-8") as file:
        write_espresso_in(
            file,
            atoms,
            namelists,
            pseudopotentials={el: p.path.name for el, p in files.items()},
            kpts=points["grid"],
            koffset=(1, 1, 1) if points["shift"] else (0, 0, 0),
        )
