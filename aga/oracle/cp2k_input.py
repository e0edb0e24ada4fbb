"""What CP2K is told: options, the input file, and which sets its data files have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from aga.errors import Problem
from aga.oracle.dft import DftOptions, Positive, kpoints
from aga.oracle.executables import PSEUDOPOTENTIALS
from aga.oracle.repair import Inputs
from aga.structure.candidate import Candidate

__all__ = ["Cp2kOptions", "check_sets", "scf_inputs", "write_input"]

BOLTZMANN = 8.617333262e-5  # eV/K

_XC = {"PADE": "PADE", "LDA": "PADE", "PBE": "PBE", "BLYP": "BLYP"}


class Cp2kOptions(DftOptions):
    """``oracle.options`` of CP2K (Quickstep)."""

    pseudopotentials: dict[str, str] = Field(
        default_factory=dict,
        description="of each element, e.g. {Si: GTH-PBE-q4}; GTH-FUNCTIONAL where empty",
    )
    basis_sets: dict[str, str] = Field(
        default_factory=dict,
        description="of each element, e.g. {Si: TZVP-MOLOPT-SR-GTH}; DZVP-MOLOPT-SR-GTH where "
        "empty",
    )
    basis_files: list[str] = Field(
        default_factory=lambda: ["BASIS_MOLOPT", "BASIS_MOLOPT_UCL"],
        description="files of basis sets in machine.cp2k_data_dir",
    )
    potential_file: str = Field("GTH_POTENTIALS", description="file of pseudopotentials there")
    xc: str = Field("PBE", description="functional: PBE, LDA (PADE), BLYP")
    cutoff: Positive = Field(400.0, description="Ry, of the finest grid")
    rel_cutoff: Positive = Field(60.0, description="Ry, that maps Gaussians to grids")
    eps_scf: Positive = Field(1e-7, description="of self-consistency")
    max_scf: int = Field(60, ge=1, description="self-consistency steps")
    width: Positive = Field(0.1, description="eV, width of the Fermi-Dirac smearing")
    added_mos: int = Field(20, ge=1, description="empty bands that smearing may fill")
    mixing: float = Field(0.4, gt=0, le=1, description="share of the new density")


def scf_inputs(options: Cp2kOptions, candidate: Candidate) -> Inputs:
    """Give basis, k-points and self-consistency of a single point with forces and stress."""
    elements = sorted(set(candidate.symbols))
    moments = {el: options.magnetic_moments.get(el, 0.0) for el in elements}
    return {
        "basis": {
            "xc": _XC.get(options.xc, options.xc),
            "cutoff": options.cutoff,
            "rel_cutoff": options.rel_cutoff,
            "eps_scf": options.eps_scf,
            "width": options.width,
            "added_mos": options.added_mos,
            "spin": options.spin,
            "basis_files": options.basis_files,
            "potential_file": options.potential_file,
            "basis_sets": {el: _basis(options, el) for el in elements},
            "pseudopotentials": {el: _potential(options, el) for el in elements},
        },
        "moments": moments if options.spin == "collinear" else {},
        "kpoints": kpoints(options, candidate),
        "cycle": {
            "max_scf": options.max_scf,
            "alpha": options.mixing,
            "method": "BROYDEN_MIXING",
            "guess": "ATOMIC",
        },
    }


def write_input(path: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
    """Write an input file of CP2K; the seal is the name of the project."""
    basis = inputs["basis"]
    tree = {
        "GLOBAL": {"PROJECT": seal, "RUN_TYPE": "ENERGY_FORCE", "PRINT_LEVEL": "LOW"},
        "FORCE_EVAL": {
            "METHOD": "Quickstep",
            "STRESS_TENSOR": "ANALYTICAL",
            "PRINT": {"FORCES": {"NDIGITS": 12}, "STRESS_TENSOR": {}},
            "DFT": {
                "BASIS_SET_FILE_NAME": basis["basis_files"],
                "POTENTIAL_FILE_NAME": basis["potential_file"],
                "UKS": basis["spin"] == "collinear",
                "MGRID": {"CUTOFF": basis["cutoff"], "REL_CUTOFF": basis["rel_cutoff"]},
                "QS": {"EPS_DEFAULT": 1e-12},
                "KPOINTS": {"SCHEME": _scheme(inputs["kpoints"]), "FULL_GRID": False},
                "SCF": _scf(basis, inputs["cycle"]),
                "XC": {f"XC_FUNCTIONAL {basis['xc']}": {}},
            },
            "SUBSYS": {
                "CELL": dict(zip("ABC", (_row(v) for v in candidate.cell), strict=True)),
                "COORD": {"": [f"{el} {_row(r)}" for el, r in _atoms(candidate)]},
                **{f"KIND {el}": _kind(el, inputs) for el in sorted(basis["basis_sets"])},
            },
        },
    }
    path.write_text("\n".join(_lines(tree)) + "\n", encoding="utf-8")


def check_sets(options: Cp2kOptions, folder: Path, elements: Iterable[str]) -> list[Problem]:
    """Say which basis sets and pseudopotentials are missing."""
    wanted = [*options.basis_files, options.potential_file]
    absent = [name for name in wanted if not (folder / name).is_file()]
    if absent:
        message = f"{folder} has no file {', '.join(absent)}"
        hint = "the folder data/ of CP2K (Debian: apt-get install cp2k-data)"
        return [Problem(key="machine.cp2k_data_dir", message=message, hint=hint)]
    problems = []
    for element in sorted(set(elements)):
        for kind, name, files in (
            ("basis set", _basis(options, element), options.basis_files),
            ("pseudopotential", _potential(options, element), [options.potential_file]),
        ):
            there = [n for file in files for n in _names(folder / file).get(element, ())]
            if name not in there:
                key = "basis_sets" if kind == "basis set" else "pseudopotentials"
                problems.append(
                    Problem(
                        key=f"{PSEUDOPOTENTIALS.rpartition('.')[0]}.{key}.{element}",
                        message=f"there is no {kind} {name} for {element} in {', '.join(files)}",
                        hint=f"there are {', '.join(there[:8]) or 'none'}",
                    )
                )
    return problems


@cache
def _names(path: Path) -> Mapping[str, list[str]]:
    """Give the names of the sets of each element in one of CP2K's data files."""
    found: dict[str, list[str]] = {}
    heading = re.compile(r"^\s*([A-Z][a-z]?)\s+([A-Za-z].*)$")
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            if match := heading.match(line):
                found.setdefault(match[1], []).extend(match[2].split())
    return found


def _basis(options: Cp2kOptions, element: str) -> str:
    return options.basis_sets.get(element, "DZVP-MOLOPT-SR-GTH")


def _potential(options: Cp2kOptions, element: str) -> str:
    return options.pseudopotentials.get(element, f"GTH-{_XC.get(options.xc, options.xc)}")


def _scheme(points: Mapping[str, Any]) -> str:
    """Give the grid in CP2K's words.

    Its MACDONALD grids are those of Monkhorst and Pack with a shift: with an even number of
    divisions these lie half a step off Γ, with an odd number on it.
    """
    shifts = []
    for n in points["grid"]:
        off = n % 2 == 0
        shifts.append(0.0 if off == points["shift"] else 0.5 / n)
    grid = " ".join(str(n) for n in points["grid"])
    return f"MACDONALD {grid} {' '.join(f'{s:.12f}' for s in shifts)}"


def _scf(basis: Mapping[str, Any], cycle: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "EPS_SCF": basis["eps_scf"],
        "MAX_SCF": cycle["max_scf"],
        "SCF_GUESS": cycle["guess"],
        "ADDED_MOS": basis["added_mos"],
        "MIXING": {"METHOD": cycle["method"], "ALPHA": cycle["alpha"]},
        "SMEAR ON": {
            "METHOD": "FERMI_DIRAC",
            "ELECTRONIC_TEMPERATURE [K]": basis["width"] / BOLTZMANN,
        },
        "PRINT": {"RESTART OFF": {}},
    }


def _kind(element: str, inputs: Inputs) -> dict[str, Any]:
    basis = inputs["basis"]
    entries: dict[str, Any] = {
        "BASIS_SET": basis["basis_sets"][element],
        "POTENTIAL": basis["pseudopotentials"][element],
    }
    if element in inputs["moments"]:
        entries["MAGNETIZATION"] = inputs["moments"][element]
    return entries


def _atoms(candidate: Candidate) -> Iterable[tuple[str, Any]]:
    return zip(candidate.symbols, candidate.positions, strict=True)


def _row(vector: Any) -> str:  # noqa: ANN401 - three numbers
    return " ".join(f"{x:.14f}" for x in np.asarray(vector))


def _lines(tree: Mapping[str, Any], depth: int = 0) -> Iterable[str]:
    """Write sections and keywords; a list is a keyword several times."""
    pad = "  " * depth
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{pad}&{name}"
            yield from _lines(value, depth + 1)
            yield f"{pad}&END {name.split()[0]}"
        elif isinstance(value, list):
            yield from (f"{pad}{name} {entry}".rstrip() for entry in value)
        elif isinstance(value, bool):
            yield f"{pad}{name} .{str(value).upper()}."
        else:
            yield f"{pad}{name} {value}"
