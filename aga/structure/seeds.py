"""Structures of a user's files, brought into the cells of a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import gcd
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import iread

from aga.config import SearchSettings
from aga.errors import AgaError, StructureError
from aga.structure.allowed_cells import allowed_sizes
from aga.structure.candidate import Candidate, Lineage
from aga.structure.geometry import DistanceLimits, shortest_distances, too_close
from aga.structure.supercells import of_size

__all__ = ["MAX_FRAMES", "fitted", "read_seeds"]

MAX_FRAMES = 1000
"""Structures in one file; every one of them costs a call of the reference method."""


def read_seeds(path: Path, settings: SearchSettings) -> list[Candidate]:
    """Read a structure file and fit its structures to a search.

    Parameters
    ----------
    path
        In any format that ASE reads: CIF, POSCAR, extended XYZ with one or more structures, an
        ASE database, …
    settings
        Of the search: its composition, sizes of the cell, and shortest distances.

    Returns
    -------
    list
        In the order of the file, in reduced cells of an allowed size; volumes are as they were.
        Their lineage is ``file``, its stream names the file and the structure (from 0).

    Raises
    ------
    aga.errors.StructureError
        The file can't be read, or a structure in it does not belong to the search; says why.
    """
    found = []
    for index, atoms in enumerate(_images(path)):
        lineage = Lineage(operator="file", stream=f"{path}#{index}")
        try:
            _check_crystal(atoms)
            candidate = Candidate.from_ase(atoms, name=f"{path.name}#{index}", lineage=lineage)
            found.append(fitted(candidate, settings))
        except AgaError as error:
            raise StructureError(
                f"structure {index} of {path}: {error.message}",
                remedy=error.remedy or "correct the file, or leave it out",
                file=str(path),
                structure=index,
            ) from error
    if not found:
        raise StructureError(f"{path} holds no structure", remedy="leave it out", file=str(path))
    return found


def fitted(candidate: Candidate, settings: SearchSettings) -> Candidate:
    """Bring a structure into a cell of a size that the search allows.

    Raises
    ------
    aga.errors.StructureError
        It has other elements, another formula, no cell of an allowed size, or atoms too close.
    """
    wanted = settings.composition.counts()
    have = Counter(candidate.symbols)
    if set(have) != set(wanted):
        raise StructureError(
            f"it is {_text(have)}, the search is of {settings.composition}",
            remedy="take structures of the elements of the search alone",
        )
    if _smallest(have) != _smallest(wanted):
        raise StructureError(
            f"its formula is {_text(_smallest(have))}, that of the search "
            f"{_text(_smallest(wanted))}",
            remedy="take structures of the formula of the search",
        )
    sizes = allowed_sizes(settings)
    resized = of_size(candidate, sizes, settings.symmetry_tolerance)
    if resized is None:
        raise StructureError(
            f"its {len(candidate)} atoms can't be described by a cell of "
            f"{' or '.join(map(str, sizes))} atoms",
            remedy="widen search.formula_units",
        )
    limits = DistanceLimits.from_settings(settings)
    if too_close(resized, limits):
        nearest = ", ".join(
            f"{a}-{b} {d:.2f} Å" for (a, b), d in shortest_distances(resized).items()
        )
        raise StructureError(
            f"atoms are closer than the search allows ({nearest})",
            remedy="lower search.min_distance_factor or search.min_distances",
        )
    order = np.argsort(resized.symbols, kind="stable")
    return Candidate(
        name=candidate.name,
        numbers=resized.numbers[order],
        positions=resized.positions[order],
        cell=resized.cell,
        lineage=candidate.lineage,
    )


def _images(path: Path) -> list[Atoms]:
    images: list[Atoms] = []
    try:
        for atoms in iread(str(path), index=":", do_not_split_by_at_sign=True):
            images.append(atoms)
            if len(images) > MAX_FRAMES:
                break
    except Exception as error:  # a parser of free text raises whatever it likes
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StructureError(
            f"{path}: cannot read structure {len(images)}: {what}",
            remedy="give a file in a format that ASE reads, with the ending of that format",
            file=str(path),
        ) from error
    if len(images) > MAX_FRAMES:
        raise StructureError(
            f"{path}: holds more than {MAX_FRAMES} structures",
            remedy="keep the best of them, or name labelled ones in training.data",
            file=str(path),
        )
    return images


def _check_crystal(atoms: Atoms) -> None:
    """Refuse what is no crystal of whole atoms."""
    if not len(atoms):
        raise StructureError("it has no atoms")
    if not atoms.pbc.all() and not (atoms.cell.rank == 3 and not atoms.pbc.any()):
        raise StructureError("it is not periodic in three directions")
    if atoms.cell.rank < 3:
        raise StructureError("it has no cell", remedy="give a crystal, not a molecule")
    shares = [sum(site.values()) for site in atoms.info.get("occupancy", {}).values()]
    mixed = any(len(site) > 1 for site in atoms.info.get("occupancy", {}).values())
    if mixed or any(abs(share - 1.0) > 1e-3 for share in shares):
        raise StructureError("it has partly occupied sites", remedy="give an ordered structure")


def _smallest(counts: Mapping[str, int]) -> dict[str, int]:
    divisor = gcd(*counts.values())
    return {symbol: counts[symbol] // divisor for symbol in sorted(counts)}


def _text(counts: Mapping[str, int]) -> str:
    return "".join(f"{s}{n if n > 1 else ''}" for s, n in sorted(counts.items()))
