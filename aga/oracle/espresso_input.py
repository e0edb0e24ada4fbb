"""What pw.x is told: the options, the k-point grid and the input file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import spglib
from ase import Atoms
from ase.data import chemical_symbols
from ase.geometry import minkowski_reduce
from ase.io.espresso import write_espresso_in
from pydantic import Field, ValidationInfo, field_validator

from aga.oracle.base import EngineOptions
from aga.oracle.pseudopotentials import Pseudopotential
from aga.oracle.runner import SCRATCH
from aga.structure.candidate import Candidate, FloatArray

__all__ = [
    "EspressoOptions",
    "Namelists",
    "cutoffs",
    "few_symmetries",
    "kpoint_grid",
    "merge",
    "reduced_cell",
    "scf_namelists",
    "write_input",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Namelists = dict[str, dict[str, Any]]

DEFAULT_ECUTWFC = 40.0
"""Ry, where neither the user nor the pseudopotential says anything."""

NIGGLI_TOLERANCE = 0.1
"""Å², of scalar products of lattice vectors."""

NAMELISTS = ("control", "system", "electrons", "ions", "cell")
# Namelist entries that aga sets itself.
RESERVED = {
    "control": {"calculation", "outdir", "prefix", "pseudo_dir", "tprnfor", "tstress"},
    "system": {"ibrav", "nat", "ntyp", "ecutwfc", "ecutrho", "degauss", "smearing"},
    "electrons": {"conv_thr", "mixing_beta", "electron_maxstep"},
}


class EspressoOptions(EngineOptions):
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
    kpoint_spacing: Positive = Field(
        0.3, description="1/Å (with 2π, as VASP's KSPACING), largest distance of k-points"
    )
    kpoint_shift: bool = Field(
        False, description="grid half a step off Γ: converges faster in insulators"
    )
    smearing: Literal["mv", "gauss", "mp", "fd"] = Field("mv", description="of the occupations")
    degauss: Positive = Field(0.01, description="Ry, width of the smearing")
    conv_thr: Positive = Field(1e-8, description="Ry, of the self-consistent energy")
    mixing_beta: float = Field(0.5, gt=0, le=1, description="share of the new density")
    electron_maxstep: int = Field(100, ge=1, description="self-consistency steps")
    input_data: dict[str, dict[str, str | bool | int | float]] = Field(
        default_factory=dict,
        description="further entries of pw.x namelists, e.g. {system: {nspin: 2}}",
    )

    @field_validator("pseudopotentials")
    @classmethod
    def _elements(cls, value: dict[str, str]) -> dict[str, str]:
        unknown = sorted(set(value) - set(chemical_symbols[1:]))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such element")
        return value

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
        return value


def cutoffs(options: EspressoOptions, files: Mapping[str, Pseudopotential]) -> tuple[float, float]:
    """Give the cutoffs of wavefunctions and density in Ry."""
    suggested = max((p.wfc_cutoff for p in files.values()), default=0.0)
    ecutwfc = options.ecutwfc or math.ceil(suggested) or DEFAULT_ECUTWFC
    # Ultrasoft and PAW files put sharp augmentation charges into the density.
    factor = 8 if any(p.kind in {"US", "PAW"} for p in files.values()) else 4
    density = max((p.rho_cutoff for p in files.values()), default=0.0)
    return ecutwfc, options.ecutrho or max(factor * ecutwfc, math.ceil(density))


def reduced_cell(candidate: Candidate) -> tuple[Candidate, FloatArray]:
    """Give the structure in its Niggli-reduced cell, and the (3, 3) integer operation.

    ``reduced = operation @ cell``; nothing is turned and the positions stay where they are. A
    skewed cell has long reciprocal vectors and would cost many times the k-points of a compact
    one; and the same crystal found in another cell should get the same grid. So comparisons
    are tolerant (:data:`NIGGLI_TOLERANCE`): almost equal lengths count as equal.
    """
    reduced = None
    with suppress(spglib.SpglibError):
        reduced = spglib.niggli_reduce(candidate.cell, eps=NIGGLI_TOLERANCE)
    if reduced is None:
        reduced = np.asarray(minkowski_reduce(candidate.cell)[0])
    operation = np.rint(reduced @ np.linalg.inv(candidate.cell))
    if np.linalg.det(operation) < 0:
        operation = -operation
    cell = operation @ candidate.cell
    return candidate.moved(candidate.positions, cell), operation


def few_symmetries(candidate: Candidate) -> bool:
    """Whether the crystal has at most two point operations."""
    scaled = candidate.positions @ np.linalg.inv(candidate.cell)
    try:
        found = spglib.get_symmetry((candidate.cell, scaled, candidate.numbers), symprec=1e-4)
    except spglib.SpglibError:
        return True
    return found is None or len(np.unique(found["rotations"], axis=0)) <= 2


def kpoint_grid(cell: FloatArray, spacing: float) -> tuple[int, int, int]:
    """Give the smallest grid whose points are at most ``spacing`` (1/Å, with 2π) apart."""
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = (max(1, math.ceil(length / spacing - 1e-9)) for length in lengths)
    return a, b, c


def scf_namelists(
    options: EspressoOptions, files: Mapping[str, Pseudopotential], pseudo_dir: Path
) -> Namelists:
    """Give the namelists of a single-point run with forces and stress."""
    ecutwfc, ecutrho = cutoffs(options, files)
    own: Namelists = {
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
    }
    return merge(own, options.input_data)


def merge(namelists: Namelists, changes: Mapping[str, Mapping[str, Any]]) -> Namelists:
    """Give namelists with other entries; the ones given stay as they are."""
    merged = {section: dict(entries) for section, entries in namelists.items()}
    for section, entries in changes.items():
        merged.setdefault(section, {}).update(entries)
    return merged


def write_input(
    path: Path,
    atoms: Atoms,
    namelists: Namelists,
    files: Mapping[str, Pseudopotential],
    grid: tuple[tuple[int, int, int], bool],
) -> None:
    """Write an input file of pw.x; ``grid``: divisions, and whether it is shifted off Γ."""
    divisions, shifted = grid
    with path.open("w", encoding="utf-8") as file:
        write_espresso_in(
            file,
            atoms,
            namelists,
            pseudopotentials={el: p.path.name for el, p in files.items()},
            kpts=divisions,
            koffset=(1, 1, 1) if shifted else (0, 0, 0),
        )
