"""The structure type of a crystal, such as rutile or diamond.

Structure types and their geometries are those of the AFLOW library (Mehl et al., Comput. Mater.
Sci. 136, S1, 2017) that comes with pymatgen, and some more (``more_prototypes.json``, with their
sources): titania's, silicon's polytypes, and two that pymatgen has with errors.
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

from aga.errors import SiteError
from aga.structure.aflow import aflow_entries
from aga.structure.candidate import Candidate
from aga.structure.symmetry import primitive, space_groups

__all__ = ["PrototypeName", "prototype_of"]

_CENTRED = {"P": 1, "A": 2, "C": 2, "I": 2, "F": 4, "R": 1}
"""Primitive cells in the cell that a Pearson symbol counts the atoms of."""

_MIRRORED = dict(
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
        return _MIRRORED.get(number, number)

    @property
    def primitive_atoms(self) -> int:
        """Atoms of the primitive cell."""
        return int(self.pearson[2:]) // _CENTRED[self.pearson[1]]


def prototype_of(candidate: Candidate, tolerance: float) -> PrototypeName | None:
    """Recognise the structure type of a crystal; None where it is none of those known.

    It has the prototype's space group, at the tolerance or at the strict one, as many atoms in
    its primitive cell, and can be laid onto it with any elements in its places; of several types
    the nearest.

    Parameters
    ----------
    candidate
        Any cell.
    tolerance
        Å, for the space group.
    """
    groups = space_groups(candidate, tolerance)
    numbers = {_MIRRORED.get(one.number, one.number) for one in (groups.loose, groups.strict)}
    small = primitive(candidate, tolerance)
    possible = [
        (name, entry)
        for name, entry in _library()
        if name.space_group in numbers and name.primitive_atoms == len(small)
    ]
    if not possible:
        return None
    from pymatgen.analysis.structure_matcher import StructureMatcher  # noqa: PLC0415 - slow

    matcher, own = StructureMatcher(), small.to_pymatgen()
    found = []
    for k, (name, entry) in enumerate(possible):
        distance, _ = matcher.get_rms_anonymous(_crystal(entry).to_pymatgen(), own)
        if distance is not None:
            found.append((float(distance), k, name))
    return min(found)[2] if found else None


@lru_cache(maxsize=1)
def _library() -> tuple[tuple[PrototypeName, Mapping[str, Any]], ...]:
    """Load all types with what describes their crystals; ours replace pymatgen's wrong ones."""
    text = files("aga.structure").joinpath("more_prototypes.json").read_text(encoding="utf-8")
    ours = [(_our_name(entry), entry) for entry in json.loads(text)]
    corrected = {name.aflow for name, entry in ours if entry["corrects"]}
    try:
        theirs = [(_their_name(entry["tags"], entry["snl"]), entry) for entry in aflow_entries()]
    except (SiteError, KeyError):  # a name is no result: it must not stop a search at its end
        theirs = []
    return (*ours, *(one for one in theirs if one[0].aflow not in corrected))


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
