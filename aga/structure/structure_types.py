"""Structure types: the AFLOW library as it ships with pymatgen, corrected, and some more.

Mehl et al., Comput. Mater. Sci. 136, S1 (2017); Hicks et al., ibid. 161, S1 (2019). What is added
or corrected is in ``more_prototypes.json``, with its sources: titania's and silicon's types, and
two that pymatgen has with errors.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from math import gcd
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from ase.spacegroup import crystal

from aga.structure.aflow import aflow_entries
from aga.structure.candidate import Candidate

__all__ = ["MIRRORED", "PrototypeName", "StructureType", "own_types", "structure_types"]

_CENTRED = {"P": 1, "A": 2, "C": 2, "I": 2, "F": 4, "R": 1}
"""Primitive cells in the cell that a Pearson symbol counts the atoms of."""

MIRRORED = dict(
    zip(
        (78, 95, 96, 145, 153, 154, 170, 172, 179, 181, 213),
        (76, 91, 92, 144, 151, 152, 169, 171, 178, 180, 212),
        strict=True,
    )
)
"""Space groups whose mirror images are groups of another number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrototypeName:
    """A structure type.

    ``name`` of the mineral, or the formula of the compound it is known from; ``strukturbericht``
    (``C4``) where it has one; ``pearson`` symbol (``tP6``); label of the AFLOW library
    (``A2B_tP6_136_f_a``).
    """

    name: str
    strukturbericht: str | None
    pearson: str
    aflow: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)

    @property
    def space_group(self) -> int:
        """Number of the space group; of two mirror images the lower one."""
        number = int(self.aflow.split("_")[2])
        return MIRRORED.get(number, number)

    @property
    def primitive_atoms(self) -> int:
        """Atoms of the primitive cell."""
        return int(self.pearson[2:]) // _CENTRED[self.pearson[1]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StructureType:
    """A type: its name, and what describes its crystal."""

    name: PrototypeName
    entry: Mapping[str, Any]

    def crystal(self) -> Candidate:
        """Build the crystal, with the elements of the compound it is known from."""
        return _crystal(self.entry)


def own_types() -> tuple[StructureType, ...]:
    """Read those that are added or corrected."""
    text = files("aga.structure").joinpath("more_prototypes.json").read_text(encoding="utf-8")
    return tuple(StructureType(name=_our_name(entry), entry=entry) for entry in json.loads(text))


@lru_cache(maxsize=1)
def structure_types() -> tuple[StructureType, ...]:
    """Read all types; ours replace pymatgen's wrong ones.

    Raises
    ------
    aga.errors.SiteError
        Pymatgen ships no library, or one that can't be read.
    """
    ours = own_types()
    corrected = {one.name.aflow for one in ours if one.entry["corrects"]}
    theirs = (
        StructureType(name=_their_name(entry["tags"], entry["snl"]), entry=entry)
        for entry in aflow_entries()
    )
    return (*ours, *(one for one in theirs if one.name.aflow not in corrected))


def _our_name(entry: Mapping[str, Any]) -> PrototypeName:
    keys = ("name", "strukturbericht", "pearson", "aflow")
    return PrototypeName(**{key: entry[key] for key in keys})


def _their_name(tags: Mapping[str, str], described: Mapping[str, Any]) -> PrototypeName:
    counts = Counter(site["species"][0]["element"] for site in described["sites"])
    divisor = gcd(*counts.values())
    parts = ((symbol, n // divisor) for symbol, n in counts.items())
    formula = "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in parts)
    symbol = tags["strukturbericht"]
    return PrototypeName(
        name=tags["mineral"] or formula,
        strukturbericht=None if symbol in {"None", ""} else symbol,
        pearson=tags["pearson"],
        aflow=tags["aflow"],
    )


def _crystal(entry: Mapping[str, Any]) -> Candidate:
    """Build the crystal of a type: ours from the asymmetric unit, pymatgen's from all sites."""
    if "snl" not in entry:
        symbols, places = zip(*entry["sites"], strict=True)
        group, cell = entry["spacegroup"], entry["cell"]
        atoms = crystal(list(symbols), list(places), spacegroup=group, cellpar=cell)
        return Candidate.from_ase(atoms, name=entry["name"])
    cell = np.array(entry["snl"]["lattice"]["matrix"], dtype=np.float64)
    sites = entry["snl"]["sites"]
    return Candidate(
        name=entry["tags"]["aflow"],
        numbers=np.array([atomic_numbers[site["species"][0]["element"]] for site in sites]),
        positions=np.array([site["abc"] for site in sites], dtype=np.float64) @ cell,
        cell=cell,
    )
