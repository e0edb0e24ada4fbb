"""One attempt at a random crystal of a given space group, by PyXtal.

The only file that knows PyXtal (Fredericks et al., Comput. Phys. Commun. 261, 107810, 2021).
PyXtal takes half a second to import and is imported on first use.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from aga.structure.candidate import Candidate, FloatArray, IntArray, Lineage
from aga.structure.geometry import DistanceLimits

__all__ = ["SymmetricRequest", "compatible", "symmetric_crystal"]

LATTICE_TRIES = 2
SITE_TRIES = 2
"""Attempts within one group; PyXtal's own 40 × 10 can take seconds for a group of high order."""

_CENTRING: dict[str, list[list[float]]] = {
    "P": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "A": [[1, 0, 0], [0, 0.5, -0.5], [0, 0.5, 0.5]],
    "C": [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]],
    "I": [[-0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.5, 0.5, -0.5]],
    "F": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
    "R": [[2 / 3, 1 / 3, 1 / 3], [-1 / 3, 1 / 3, 1 / 3], [-1 / 3, -2 / 3, 1 / 3]],
}
"""Primitive vectors in conventional ones (International Tables A, obverse setting for R)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SymmetricRequest:
    """What is asked of PyXtal.

    ``counts`` atoms of each element in the cell to be returned, ``volume`` of that cell in Å³;
    ``group`` number of the space group; ``conventional``: the returned cell is the group's
    conventional one, else the primitive one; ``limits`` shortest distances.
    """

    counts: Mapping[str, int]
    volume: float
    group: int
    conventional: bool
    limits: DistanceLimits

    @property
    def cells(self) -> int:
        """Cells to be returned per cell that PyXtal builds (always the conventional one)."""
        return 1 if self.conventional else int(_group(self.group).cellsize())


def compatible(request: SymmetricRequest) -> bool:
    """Tell whether the group's Wyckoff positions can hold the atoms."""
    return _compatible(request.group, tuple(request.counts.values()), request.cells)


def symmetric_crystal(
    request: SymmetricRequest, rng: np.random.Generator, *, name: str
) -> Candidate | None:
    """Make one crystal; None where PyXtal finds none within the bounded attempts.

    The composition is exact; distances are PyXtal's business and have to be checked again.
    """
    from pyxtal.lattice import Lattice  # noqa: PLC0415 - slow to import
    from pyxtal.msg import Comp_CompatibilityError, VolumeError  # noqa: PLC0415 - slow to import

    group = _group(request.group)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns whenever it enlarges a lattice
            volume = request.volume * request.cells
            crystal = _generator()(
                dim=3,
                group=group,
                species=list(request.counts),
                numIons=[n * request.cells for n in request.counts.values()],
                lattice=Lattice(group.lattice_type, volume, random_state=rng),
                tm=_tolerances(request),
                random_state=rng,
            )
    except (Comp_CompatibilityError, VolumeError, RuntimeError, ValueError, IndexError):
        return None
    if not crystal.valid:
        return None
    cell = np.asarray(crystal.lattice.matrix, dtype=np.float64)
    scaled = np.concatenate([np.asarray(site.coords) for site in crystal.atom_sites])
    numbers = np.array(
        [atomic_numbers[str(s.specie)] for s in crystal.atom_sites for _ in s.coords],
        dtype=np.int64,
    )
    if not request.conventional:
        numbers, scaled, cell = _primitive(numbers, scaled, cell, str(group.symbol)[0])
    order = np.argsort([chemical_symbols[z] for z in numbers], kind="stable")
    candidate = Candidate(
        name=name,
        numbers=numbers[order],
        positions=scaled[order] @ cell,
        cell=cell,
        lineage=Lineage(operator="random"),
    )
    symbols = candidate.symbols
    exact = all(symbols.count(s) == n for s, n in request.counts.items())
    return candidate if exact and len(symbols) == sum(request.counts.values()) else None


@lru_cache(maxsize=256)
def _group(number: int) -> Any:  # noqa: ANN401 - PyXtal is untyped
    from pyxtal.symmetry import Group  # noqa: PLC0415 - slow to import

    return Group(number)


@lru_cache(maxsize=4096)
def _compatible(group: int, numbers: tuple[int, ...], cells: int) -> bool:
    return bool(_group(group).check_compatible(np.array(numbers) * cells)[0])


@lru_cache(maxsize=1)
def _generator() -> Any:  # noqa: ANN401 - PyXtal is untyped
    """PyXtal's generator of atomic crystals with our bounds on its attempts."""
    from pyxtal.crystal import random_crystal  # noqa: PLC0415 - slow to import

    class Bounded(random_crystal):  # type: ignore[misc]  # PyXtal is untyped
        def set_crystal(self) -> None:
            self.numattempts = 0
            for _ in range(LATTICE_TRIES):
                self.set_volume()
                self.set_lattice(self.lattice0)
                for _ in range(SITE_TRIES):
                    sites = self._set_coords()
                    if sites:
                        self.atom_sites = sites
                        return
                self.lattice.reset_matrix()

    return Bounded


def _tolerances(request: SymmetricRequest) -> Any:  # noqa: ANN401 - PyXtal is untyped
    from pyxtal.tolerance import Tol_matrix  # noqa: PLC0415 - slow to import

    symbols = list(request.counts)
    pairs = [(a, b) for k, a in enumerate(symbols) for b in symbols[k:]]
    limit = request.limits.limit
    return Tol_matrix(*((a, b, limit(atomic_numbers[a], atomic_numbers[b])) for a, b in pairs))


def _primitive(
    numbers: IntArray, scaled: FloatArray, cell: FloatArray, centring: str
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Keep one atom of each set that the centring translations map onto each other."""
    change = np.array(_CENTRING[centring])
    inside = (scaled @ np.linalg.inv(change)) % 1.0
    keep: list[int] = []
    for k in range(len(inside)):
        apart = inside[keep] - inside[k]
        apart -= np.rint(apart)
        if not np.any((np.abs(apart).max(axis=1) < 1e-4) & (numbers[keep] == numbers[k])):
            keep.append(k)
    return numbers[keep], inside[keep], change @ cell
