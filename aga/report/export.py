"""Structures as files: CIF, POSCAR, extended XYZ, an ASE database, JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aga.errors import InputError
from aga.report.files import write_whole
from aga.report.rows import group_name
from aga.store.handle import Found

if TYPE_CHECKING:
    from aga.structure.candidate import Candidate

__all__ = ["FORMATS", "Format", "annotated_atoms", "export_structures"]

Format = Literal["cif", "poscar", "extxyz", "ase-db", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

_ONE_EACH: Mapping[Format, tuple[str, str]] = {"cif": ("", ".cif"), "poscar": ("POSCAR_", "")}
"""Formats with a file per structure: what stands before and after its name."""

_TOGETHER: Mapping[Format, str] = {
    "extxyz": "structures.extxyz",
    "ase-db": "structures.db",
    "json": "structures.json",
}
"""Formats that hold many structures: the file's name in a folder."""

_EXACT = 1e-3
"""Å; what has been symmetrised is symmetric within rounding."""


def export_structures(
    found: Sequence[Found],
    form: Format,
    target: Path,
    *,
    overwrite: bool = False,
) -> list[Path]:
    """Write structures to files.

    Parameters
    ----------
    found
        Structures of searches.
    form
        ``cif`` and ``poscar`` write one file per structure, the others one for all.
    target
        A folder (made if it isn't there), or a file if its name has an ending; a file for
        ``cif`` and ``poscar`` needs exactly one structure.
    overwrite
        Replace files that exist.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    aga.errors.InputError
        There is no structure, a file exists, or several structures are to go into one CIF
        or POSCAR. Nothing is written then.
    """
    if form not in FORMATS:
        raise InputError(f"there is no format {form!r}", remedy=f"one of {', '.join(FORMATS)}")
    if not found:
        raise InputError("there is no structure to write", remedy="widen the selection")
    jobs = _plan(found, form, target)
    for path, _ in jobs:
        if path.exists() and not overwrite:
            raise InputError(
                f"{path} exists already",
                remedy="name another place, or replace it with --force",
                file=str(path),
            )
    for path, part in jobs:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary, part=part: _WRITERS[form](part, temporary))  # type: ignore[misc] # the default binds the loop variable
    return [path for path, _ in jobs]


def annotated_atoms(item: Found) -> Atoms:
    """Give a structure as ASE ``Atoms`` with what is known of it.

    ``info`` has its identifier, search, generation, iteration, operator, parents, stage, space
    groups, prototype, how often it was found, and energies in eV/atom; the total energy in eV is
    there as a calculator result only if it is the reference method's.
    """
    atoms = item.to_ase()
    atoms.info.clear()
    atoms.info.update(_info(item))
    atoms.calc = None
    if item.energy_per_atom is not None:
        energy = item.energy_per_atom * len(atoms)
        atoms.calc = SinglePointCalculator(atoms, energy=energy)
        atoms.calc.name = item.reference or "reference"
    return atoms


def _info(item: Found) -> dict[str, Any]:
    group = item.space_group or {}
    known = {
        "id": item.name,
        "search": item.search,
        "stage": item.stage,
        "generation": item.generation,
        "iteration": item.iteration,
        "operator": item.candidate.lineage.operator,
        "parents": " ".join(item.candidate.lineage.parents) or None,
        "space_group": group.get("symbol"),
        "space_group_number": group.get("number"),
        "space_group_strict": (item.space_group_strict or {}).get("symbol"),
        "prototype": (item.prototype or {}).get("name"),
        "times_found": (item.found or {}).get("times"),
        "engine": item.reference,
        "energy_per_atom": item.energy_per_atom,
        "enthalpy_per_atom": item.enthalpy_per_atom,
        "committee_energy_per_atom": item.predicted_energy_per_atom,
        "committee_spread_per_atom": item.energy_spread,
    }
    return {key: value for key, value in known.items() if _storable(value)}


def _storable(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _plan(found: Sequence[Found], form: Format, target: Path) -> list[tuple[Path, Sequence[Found]]]:
    """Give each file with the structures that go into it."""
    is_file = bool(target.suffix) and not target.is_dir()
    if form in _TOGETHER:
        return [(target if is_file else target / _TOGETHER[form], found)]
    if is_file or (form == "poscar" and target.name == "POSCAR"):
        if len(found) != 1:
            raise InputError(
                f"{len(found)} structures don't fit into the one file {target}",
                remedy="name a folder with -o",
            )
        return [(target, found)]
    before, after = _ONE_EACH[form]
    names = [item.name for item in found]
    if len(set(names)) != len(names):  # of several searches
        names = [item.id.replace("/", "_") for item in found]
    return [
        (target / f"{before}{name}{after}", [item]) for name, item in zip(names, found, strict=True)
    ]


def _write_cif(found: Sequence[Found], path: Path) -> None:
    from ase.io.cif import write_cif  # noqa: PLC0415 - each format is imported when used

    (item,) = found
    symmetrised = item.symmetrised
    with path.open("wb") as stream:
        stream.write("".join(f"# {line}\n" for line in _heading(item)).encode())
        if symmetrised is None:
            write_cif(stream, [annotated_atoms(item)])
        else:
            stream.write(_symmetric_cif(symmetrised).encode())


def _symmetric_cif(candidate: Candidate) -> str:
    """Give the asymmetric unit and the operations of a structure of exact symmetry."""
    from pymatgen.io.cif import CifWriter  # noqa: PLC0415 - takes a second to import

    writer = CifWriter(candidate.to_pymatgen(), symprec=_EXACT, significant_figures=8)
    said = "# symmetrised: the energy is that of the relaxed structure, which differs slightly\n"
    return f"{said}{writer}"


def _write_poscar(found: Sequence[Found], path: Path) -> None:
    from ase.io.vasp import write_vasp  # noqa: PLC0415 - each format is imported when used

    (item,) = found
    with path.open("w", encoding="utf-8") as stream:
        write_vasp(stream, annotated_atoms(item), direct=True, sort=True)
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(f"{first.strip()} | {' | '.join(_heading(item))}\n{rest}", encoding="utf-8")


def _heading(item: Found) -> list[str]:
    lines = [f"{item.formula} {item.name} of {item.search}"]
    if item.energy_per_atom is not None:
        lines.append(f"{item.energy_per_atom:.6f} eV/atom ({item.reference})")
    if item.space_group:
        lines.append(f"space group {group_name(item.space_group)}")
    return lines


def _write_extxyz(found: Sequence[Found], path: Path) -> None:
    from ase.io import write  # noqa: PLC0415 - each format is imported when used

    write(path, [annotated_atoms(item) for item in found], format="extxyz")


def _write_database(found: Sequence[Found], path: Path) -> None:
    from ase.db import connect  # noqa: PLC0415 - each format is imported when used

    path.unlink()  # an empty file is no database yet
    with connect(path, type="db", use_lock_file=False) as database:
        for item in found:
            atoms = annotated_atoms(item)
            pairs = {f"aga_{key}": value for key, value in atoms.info.items()}
            database.write(atoms, key_value_pairs=pairs)


def _write_json(found: Sequence[Found], path: Path) -> None:
    listed = [
        item.to_dict()
        | {
            "symbols": item.candidate.symbols,
            "positions": item.candidate.positions.tolist(),
            "cell": item.candidate.cell.tolist(),
        }
        for item in found
    ]
    text = json.dumps({"schema": 1, "structures": listed}, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


_WRITERS: Mapping[Format, Callable[[Sequence[Found], Path], None]] = {
    "cif": _write_cif,
    "poscar": _write_poscar,
    "extxyz": _write_extxyz,
    "ase-db": _write_database,
    "json": _write_json,
}
