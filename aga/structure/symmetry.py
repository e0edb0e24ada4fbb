"""Space groups, by spglib; a structure that spglib can't read is P1."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib

from aga.structure.candidate import Candidate
from aga.structure.geometry import fractional

__all__ = [
    "P1",
    "STRICT",
    "SpaceGroup",
    "SpaceGroups",
    "primitive",
    "space_group",
    "space_groups",
    "standardised",
]

STRICT = 0.1
"""The strict tolerance in loose ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceGroup:
    """A space group: number (1–230) and international short symbol, e.g. 227 ``Fd-3m``."""

    number: int
    symbol: str

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"number": self.number, "symbol": self.symbol}


P1 = SpaceGroup(number=1, symbol="P1")


def _spglib_cell(candidate: Candidate) -> tuple[Any, Any, Any]:
    # Its library tells of every step that fails, past Python, whether or not a later one succeeds.
    os.environ.setdefault("SPGLIB_WARNING", "OFF")
    return candidate.cell, fractional(candidate), candidate.numbers


def space_group(candidate: Candidate, tolerance: float) -> SpaceGroup:
    """Name the space group at a tolerance in Å; never raises."""
    try:
        dataset = spglib.get_symmetry_dataset(_spglib_cell(candidate), symprec=tolerance)
    except spglib.SpglibError:
        return P1
    if dataset is None:
        return P1
    return SpaceGroup(number=int(dataset.number), symbol=str(dataset.international))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceGroups:
    """The space group at two tolerances: where they differ, the symmetry is an approximate one."""

    loose: SpaceGroup
    strict: SpaceGroup


def space_groups(candidate: Candidate, tolerance: float) -> SpaceGroups:
    """Name the space group at a tolerance in Å and at :data:`STRICT` of it; never raises."""
    loose = space_group(candidate, tolerance)
    strict = loose if loose == P1 else space_group(candidate, STRICT * tolerance)
    return SpaceGroups(loose=loose, strict=strict)


def standardised(candidate: Candidate, tolerance: float) -> Candidate:
    """Give the symmetrised conventional cell in standard setting.

    Positions and lattice are moved onto the symmetry found within the tolerance in Å; the
    number of atoms may change. What spglib can't read comes back as it is.
    """
    return _standardised(candidate, tolerance, to_primitive=False)


def primitive(candidate: Candidate, tolerance: float, *, idealise: bool = True) -> Candidate:
    """Give the primitive cell in standard setting, symmetrised as by :func:`standardised`.

    Where ``idealise`` is False, atoms and lattice stay where they are but for the mean over
    those that repeat each other.
    """
    return _standardised(candidate, tolerance, to_primitive=True, idealise=idealise)


def _standardised(
    candidate: Candidate, tolerance: float, *, to_primitive: bool, idealise: bool = True
) -> Candidate:
    try:
        found = spglib.standardize_cell(
            _spglib_cell(candidate),
            to_primitive=to_primitive,
            no_idealize=not idealise,
            symprec=tolerance,
        )
    except spglib.SpglibError:
        return candidate
    if found is None:
        return candidate
    cell, scaled, numbers = found
    return Candidate(
        name=candidate.name,
        numbers=np.asarray(numbers, dtype=np.int64),
        positions=np.asarray(scaled) @ np.asarray(cell),
        cell=np.asarray(cell),
        lineage=candidate.lineage,
    )
