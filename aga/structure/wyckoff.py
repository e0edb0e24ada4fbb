"""Wyckoff positions of the 230 space groups, from the tables that PyXtal ships.

The only file that knows PyXtal (Fredericks et al., Comput. Phys. Commun. 261, 107810, 2021): its
table is read as it stands, without the package, which takes half a second to import and whose
own generator spends nearly all its time in copying groups. Settings are those of International
Tables A: unique axis b, origin choice 2, rhombohedral groups on hexagonal axes.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from aga.errors import SiteError
from aga.structure.candidate import FloatArray

__all__ = ["GROUPS", "Site", "centring", "lattice_points", "site_sizes", "sites"]

GROUPS = range(1, 231)
"""Numbers of the space groups."""

_VECTORS: Mapping[str, list[list[float]]] = {
    "P": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "A": [[1, 0, 0], [0, 0.5, -0.5], [0, 0.5, 0.5]],
    "C": [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]],
    "I": [[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]],
    "F": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    "R": [[2 / 3, 1 / 3, 1 / 3], [-1 / 3, 1 / 3, 1 / 3], [-1 / 3, -2 / 3, 1 / 3]],
}
"""Primitive vectors in conventional ones (International Tables A, obverse setting for R)."""

_POINTS: Mapping[str, list[list[float]]] = {
    "P": [[0, 0, 0]],
    "A": [[0, 0, 0], [0, 0.5, 0.5]],
    "C": [[0, 0, 0], [0.5, 0.5, 0]],
    "I": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "F": [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    "R": [[0, 0, 0], [2 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 2 / 3]],
}
"""Lattice points in the conventional cell."""

_LETTERS: Mapping[str, tuple[int, ...]] = {
    "A": (38, 39, 40, 41),
    "C": (5, 8, 9, 12, 15, 20, 21, 35, 36, 37, 63, 64, 65, 66, 67, 68),
    "I": (
        *(23, 24, 44, 45, 46, 71, 72, 73, 74, 79, 80, 82, 87, 88, 97, 98, 107, 108, 109, 110),
        *(119, 120, 121, 122, 139, 140, 141, 142, 197, 199, 204, 206, 211, 214, 217, 220),
        *(229, 230),
    ),
    "F": (22, 42, 43, 69, 70, 196, 202, 203, 209, 210, 216, 219, 225, 226, 227, 228),
    "R": (146, 148, 155, 160, 161, 166, 167),
}
"""Groups with a centred conventional cell; all others are primitive."""

_TERM = re.compile(r"([+-]?)(?:(\d+(?:/\d+)?)?([xyz])|(\d+(?:/\d+)?))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A Wyckoff position, in fractions of the primitive cell.

    ``turns`` (m, 3, 3) and ``shifts`` (m, 3): its m points are ``turns @ u + shifts``, where u
    are the fractions x, y, z of the conventional cell; ``free`` tells whether they move with u,
    so that the position can be taken more than once.
    """

    turns: FloatArray
    shifts: FloatArray
    free: bool

    @property
    def size(self) -> int:
        """Atoms of the position in the primitive cell."""
        return len(self.shifts)


def centring(group: int) -> FloatArray:
    """Give the (3, 3) primitive vectors of a group as rows, in conventional ones."""
    return np.array(_VECTORS[_letter(group)], dtype=np.float64)


def lattice_points(group: int) -> FloatArray:
    """Give the (cells, 3) lattice points in the conventional cell of a group, in its vectors."""
    return np.array(_POINTS[_letter(group)], dtype=np.float64)


@lru_cache(maxsize=230)
def _letter(group: int) -> str:
    return next((key for key, groups in _LETTERS.items() if group in groups), "P")


@lru_cache(maxsize=230)
def site_sizes(group: int) -> tuple[tuple[int, bool], ...]:
    """Give ``size`` and ``free`` of every Wyckoff position, in the order of :func:`sites`."""
    cells = len(lattice_points(group))
    return tuple(
        (len(points) // cells, any(axis in points[0] for axis in "xyz"))
        for points in _table()[group]
    )


@lru_cache(maxsize=230)
def sites(group: int) -> tuple[Site, ...]:
    """Give the Wyckoff positions of a group, the general one first.

    Raises
    ------
    aga.errors.SiteError
        PyXtal's table isn't there.
    """
    inverse = np.linalg.inv(centring(group))
    found = []
    for points, (size, free) in zip(_table()[group], site_sizes(group), strict=True):
        affine = np.array([[_component(part) for part in point.split(",")] for point in points])
        turns = inverse.T @ affine[:, :, :3]
        shifts = affine[:, :, 3] @ inverse
        kept = _apart(turns, shifts, size)
        found.append(Site(turns=turns[kept], shifts=shifts[kept], free=free))
    return tuple(found)


def _apart(turns: FloatArray, shifts: FloatArray, size: int) -> list[int]:
    """Choose one point of each set that the centring translations map onto each other."""
    if size == len(shifts):
        return list(range(size))
    somewhere = turns @ np.array([0.1234, 0.2716, 0.4181]) + shifts
    kept: list[int] = []
    for k in range(len(somewhere)):
        apart = somewhere[kept] - somewhere[k]
        if not np.any(np.abs(apart - np.rint(apart)).max(axis=1, initial=0.0) < 1e-6):
            kept.append(k)
    return kept


@lru_cache(maxsize=1024)
def _component(text: str) -> tuple[float, float, float, float]:
    """Read a coordinate such as ``-x+1/2``: its factors of x, y, z and its constant."""
    values = dict.fromkeys("xyz1", 0.0)
    for sign, factor, axis, constant in _TERM.findall(text.replace(" ", "")):
        size = float(Fraction(factor or constant or "1"))
        values[axis or "1"] += -size if sign == "-" else size
    return values["x"], values["y"], values["z"], values["1"]


@lru_cache(maxsize=1)
def _table() -> dict[int, list[list[str]]]:
    """Read the points of every Wyckoff position of every group, as they are written."""
    spec = find_spec("pyxtal")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path("pyxtal")
    path = folder / "database" / "wyckoff_list.csv"
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row and row[0].strip() not in {"", "0"}]
        return {int(number): json.loads(text.replace("'", '"')) for number, text in rows}
    except (OSError, ValueError) as error:
        raise SiteError(
            f"{path}: cannot read the Wyckoff positions: {error}",
            remedy="install PyXtal again: python -m pip install --force-reinstall pyxtal",
        ) from error
