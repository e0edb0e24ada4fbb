"""Known structure types with other elements in their places.

The types: :mod:`aga.structure.structure_types`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import gcd

import numpy as np
from ase.data import atomic_numbers

from aga.config import SearchSettings
from aga.errors import SiteError
from aga.structure.allowed_cells import allowed_sizes
from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.geometry import fractional
from aga.structure.structure_types import StructureType, structure_types
from aga.structure.supercells import of_size
from aga.structure.volume import target_volume_per_atom

__all__ = ["Prototype", "matching", "prototypes", "substituted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prototype:
    """A structure type: ``name`` (AFLOW's, and the mineral's where it has one), its crystal.

    ``labels`` the element of each of its n atoms, ``scaled`` (n, 3) fractions of ``cell`` (3, 3)
    in Å.
    """

    name: str
    labels: tuple[str, ...]
    scaled: FloatArray
    cell: FloatArray


@lru_cache(maxsize=1)
def prototypes() -> tuple[Prototype, ...]:
    """Read the library, in the order of the file.

    Raises
    ------
    aga.errors.SiteError
        Pymatgen ships none, or one that can't be read.
    """
    try:
        return tuple(_prototype(one) for one in structure_types())
    except SiteError as error:
        raise SiteError(
            error.message, remedy=f"{error.remedy}, or set search.prototypes to 0"
        ) from error


def matching(formula: Mapping[str, int]) -> list[tuple[Prototype, Mapping[str, str]]]:
    """List the prototypes of a formula, with every way to put its elements in their places.

    Parameters
    ----------
    formula
        Atoms of each element, in any multiple.

    Returns
    -------
    list
        Prototype and the element for each of its labels, in the order of the library.
    """
    wanted = _smallest(formula)
    return [(one, places) for one in prototypes() for places in _assignments(one, wanted)]


def substituted(
    prototype: Prototype, places: Mapping[str, str], settings: SearchSettings, *, name: str
) -> Candidate | None:
    """Put elements into a prototype, at the target volume, in a cell of an allowed size.

    Returns
    -------
    Candidate or None
        With lineage ``prototype``, whose stream names the prototype and what stands where; None
        where no allowed cell holds whole primitive cells of it.
    """
    volume = target_volume_per_atom(settings) * len(prototype.labels)
    stretch = np.cbrt(volume / abs(np.linalg.det(prototype.cell)))
    cell = prototype.cell * stretch
    if np.linalg.det(cell) < 0:
        cell = -cell  # the inverted crystal in right-handed vectors: of the same energy
    said = ", ".join(f"{label}→{element}" for label, element in sorted(places.items()))
    numbers = np.array([atomic_numbers[places[label]] for label in prototype.labels])
    crystal = Candidate(
        name=name,
        numbers=numbers,
        positions=prototype.scaled @ cell,
        cell=cell,
        lineage=Lineage(operator="prototype", stream=f"{prototype.name} ({said})"),
    )
    sizes = allowed_sizes(settings)
    resized = of_size(crystal, sizes, settings.symmetry_tolerance)
    if resized is None:
        return None
    order = np.argsort(resized.symbols, kind="stable")
    return Candidate(
        name=name,
        numbers=resized.numbers[order],
        positions=resized.positions[order],
        cell=resized.cell,
        lineage=crystal.lineage,
    )


def _prototype(known: StructureType) -> Prototype:
    crystal = known.crystal()
    return Prototype(
        name=f"{known.name.aflow}, {known.name.name}",
        labels=tuple(crystal.symbols),
        scaled=fractional(crystal),
        cell=crystal.cell,
    )


def _assignments(prototype: Prototype, wanted: Mapping[str, int]) -> Iterator[Mapping[str, str]]:
    """Give every way to put elements on labels that makes the formula."""
    have = _smallest(Counter(prototype.labels))
    if sorted(have.values()) != sorted(wanted.values()):
        return
    labels = sorted(have)
    for elements in permutations(sorted(wanted)):
        if all(have[a] == wanted[b] for a, b in zip(labels, elements, strict=True)):
            yield dict(zip(labels, elements, strict=True))


def _smallest(counts: Mapping[str, int]) -> dict[str, int]:
    divisor = gcd(*counts.values())
    return {symbol: n // divisor for symbol, n in counts.items()}
