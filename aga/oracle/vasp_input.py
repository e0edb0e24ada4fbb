"""What VASP is told: pymatgen's input sets, POTCAR files, the four input files.

POTCAR files are licensed and are the user's: they are found where pymatgen finds them.
"""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from aga.config.schema import MachineSettings
from aga.errors import Problem
from aga.oracle.dft import DftOptions, Positive, kpoints
from aga.oracle.executables import PSEUDOPOTENTIALS
from aga.oracle.repair import Inputs
from aga.structure.candidate import Candidate, IntArray

__all__ = ["VaspOptions", "by_element", "check_potcars", "quiet", "static_inputs", "write_inputs"]

# Tags that aga sets itself.
RESERVED = frozenset(
    {
        *("SYSTEM", "ISTART", "ICHARG", "IBRION", "ISIF", "NSW", "EDIFFG", "PSTRESS", "KSPACING"),
        *("ISPIN", "MAGMOM", "SIGMA", "LWAVE", "LCHARG"),
    }
)
# What sets write for a database of materials, and a label has no use for.
_UNUSED = ("KSPACING", "LAECHG", "LELF", "LVTOT", "LVHAR", "LORBIT", "LDAUPRINT", "MAGMOM")

_HINT = (
    "set machine.vasp_potcar_dir (or PMG_VASP_PSP_DIR) to the folder of your POTCAR files as "
    "`pmg config -p` makes it"
)


class VaspOptions(DftOptions):
    """``oracle.options`` of VASP."""

    pseudopotentials: dict[str, str] = Field(
        default_factory=dict,
        description="POTCAR of each element, e.g. {Ti: Ti_pv}; that of the input set where empty",
    )
    input_set: Literal["MatPESStaticSet", "MPStaticSet", "MP24StaticSet", "MPScanStaticSet"] = (
        Field("MatPESStaticSet", description="of pymatgen: functional, cutoff, POTCARs, +U")
    )
    potcar_functional: str | None = Field(
        None, description="family of POTCARs in pymatgen's words, e.g. PBE_54; the set's if empty"
    )
    sigma: Positive = Field(0.05, description="eV, width of the smearing (Gaussian)")
    incar: dict[str, str | bool | int | float | list[int | float]] = Field(
        default_factory=dict, description="further tags of INCAR, e.g. {ENCUT: 600, NCORE: 4}"
    )

    @field_validator("incar")
    @classmethod
    def _tags(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted({tag.upper() for tag in value} & RESERVED)
        if taken:
            raise ValueError(f"{', '.join(taken)}: set by aga")
        return {tag.upper(): entry for tag, entry in value.items()}


def by_element(candidate: Candidate) -> tuple[Candidate, IntArray]:
    """Give the structure with its atoms ordered by element, and the order: new → old index."""
    order = np.argsort(candidate.numbers, kind="stable")
    ordered = Candidate(
        name=candidate.name,
        numbers=candidate.numbers[order],
        positions=candidate.positions[order],
        cell=candidate.cell,
        lineage=candidate.lineage,
    )
    return ordered, order


def static_inputs(options: VaspOptions, candidate: Candidate) -> Inputs:
    """Give INCAR, k-points and POTCAR names of a single point; atoms ordered by element."""
    ordered, _ = by_element(candidate)
    chosen = _input_set(options, ordered.to_pymatgen())
    with quiet():
        incar = {key: _plain(value) for key, value in dict(chosen.incar).items()}
        symbols, functional = list(chosen.potcar_symbols), str(chosen.potcar_functional)
    for tag in _UNUSED:
        incar.pop(tag, None)
    incar |= {"ISMEAR": 0, "LREAL": False, **options.incar}
    incar |= {"SIGMA": options.sigma, "NSW": 0, "IBRION": -1, "LWAVE": False, "LCHARG": False}
    incar |= {"ISPIN": 1, "ISTART": 0, "ICHARG": 2}
    if options.spin == "collinear":
        moments = [options.magnetic_moments.get(el, 0.0) for el in ordered.symbols]
        incar |= {"ISPIN": 2, "MAGMOM": moments}
    return {
        "incar": incar,
        "kpoints": kpoints(options, candidate),
        "potcar": {"functional": functional, "symbols": symbols},
    }


def write_inputs(
    directory: Path, candidate: Candidate, inputs: Inputs, folder: Path, seal: str
) -> None:
    """Write INCAR, KPOINTS, POSCAR and POTCAR; the seal is the SYSTEM of the INCAR."""
    from pymatgen.io.vasp.inputs import (  # noqa: PLC0415 - takes seconds to import
        Incar,
        Kpoints,
        Poscar,
    )

    ordered, _ = by_element(candidate)
    points = inputs["kpoints"]
    shift = (0.5, 0.5, 0.5) if points["shift"] else (0.0, 0.0, 0.0)
    tags = {key: value for key, value in inputs["incar"].items() if value is not None}
    with quiet():
        Incar({"SYSTEM": seal, **tags}).write_file(str(directory / "INCAR"))
        Kpoints.gamma_automatic(tuple(points["grid"]), shift).write_file(str(directory / "KPOINTS"))
        poscar = Poscar(ordered.to_pymatgen(), comment=seal)
        poscar.write_file(str(directory / "POSCAR"), significant_figures=16)
    functional = inputs["potcar"]["functional"]
    files = [_potcar(folder, functional, symbol) for symbol in inputs["potcar"]["symbols"]]
    (directory / "POTCAR").write_bytes(b"".join(_content(file) for file in files if file))


def check_potcars(
    options: VaspOptions, machine: MachineSettings, elements: Iterable[str]
) -> list[Problem]:
    """Say which POTCAR files are missing."""
    folder = potcar_folder(machine)
    key = "machine.vasp_potcar_dir"
    if folder is None or not folder.is_dir():
        what = "there is no folder of POTCAR files" if folder is None else f"{folder} is no folder"
        return [Problem(key=key, message=what, hint=_HINT)]
    problems = []
    for element in sorted(set(elements)):
        chosen = _input_set(options, _lone_atom(element))
        try:
            with quiet():
                (symbol,), functional = chosen.potcar_symbols, str(chosen.potcar_functional)
            found = _potcar(folder, functional, symbol)
        except (KeyError, ValueError) as error:
            message = f"{options.input_set} has none for {element} ({error})"
            problems.append(Problem(key=f"{PSEUDOPOTENTIALS}.{element}", message=message))
            continue
        if found is None:
            message = f"there is no POTCAR {symbol} of {functional} in {folder}"
            there = ", ".join(sorted(p.name for p in folder.iterdir())[:8])
            hint = f"name another; folders there: {there or 'none'}"
            problems.append(
                Problem(key=f"{PSEUDOPOTENTIALS}.{element}", message=message, hint=hint)
            )
    return problems


def potcar_folder(machine: MachineSettings) -> Path | None:
    """Give the folder of POTCAR files: of the machine settings, or of pymatgen's own."""
    if machine.vasp_potcar_dir is not None:
        return machine.vasp_potcar_dir.expanduser()
    from pymatgen.core import SETTINGS  # noqa: PLC0415 - takes a second to import

    told = SETTINGS.get("PMG_VASP_PSP_DIR")
    return Path(told).expanduser() if told else None


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pymatgen's advice on its databases to itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _input_set(options: VaspOptions, structure: Any) -> Any:  # noqa: ANN401 - pymatgen is untyped here
    from pymatgen.io.vasp import sets  # noqa: PLC0415 - takes seconds to import

    # The set's own way to order atoms is by electronegativity; ours stands already.
    words: dict[str, Any] = {
        "sort_structure": False,
        "user_potcar_settings": options.pseudopotentials or {},
        "validate_magmom": False,
    }
    if options.potcar_functional is not None:
        words["user_potcar_functional"] = options.potcar_functional
    with quiet():
        return getattr(sets, options.input_set)(structure, **words)


def _lone_atom(element: str) -> Any:  # noqa: ANN401 - pymatgen is untyped here
    from pymatgen.core import Lattice, Structure  # noqa: PLC0415 - takes a second to import

    return Structure(Lattice.cubic(4.0), [element], [[0, 0, 0]])


def _potcar(folder: Path, functional: str, symbol: str) -> Path | None:
    from pymatgen.io.vasp.inputs import PotcarSingle  # noqa: PLC0415 - takes seconds to import

    names: Mapping[str, str] = PotcarSingle.functional_dir
    place = folder / names[functional]
    for path in (place / f"POTCAR.{symbol}", place / symbol / "POTCAR"):
        for end in ("", ".gz"):
            if (found := path.with_name(path.name + end)).is_file():
                return found
    return None


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _plain(value: Any) -> Any:  # noqa: ANN401 - tags are of many types
    return [float(x) for x in value] if isinstance(value, list | tuple | np.ndarray) else value
