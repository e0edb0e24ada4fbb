"""The candidate: one periodic crystal structure and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols

from aga.errors import StructureError

__all__ = ["Candidate", "FloatArray", "IntArray", "Lineage", "determinant"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def determinant(matrix: FloatArray) -> float:
    """Give the determinant of a (3, 3) matrix: of lattice vectors, the signed volume.

    A tenth of the time of numpy's, and asked for with every candidate.
    """
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    return float(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Where a structure came from.

    ``operator`` is the name of the operator (``random``, ``crossover``, …, or ``file``);
    ``parents`` are the names of its parents; ``stream`` names the random stream it was made
    with (see :func:`aga.rng.stream`).
    """

    operator: str
    parents: tuple[str, ...] = ()
    generation: int = 0
    stream: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "operator": self.operator,
            "parents": list(self.parents),
            "generation": self.generation,
            "stream": self.stream,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            operator=data["operator"],
            parents=tuple(data.get("parents", ())),
            generation=int(data.get("generation", 0)),
            stream=data.get("stream", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """One crystal structure, periodic in three directions; never changed in place.

    Parameters
    ----------
    name
        Unique within its search, e.g. ``g003-017``.
    numbers
        (n,) atomic numbers.
    positions
        (n, 3) Cartesian positions in Å.
    cell
        (3, 3) lattice vectors as rows, in Å; right-handed.
    lineage
        Operator, parents and random stream.

    Raises
    ------
    aga.errors.StructureError
        Shapes do not fit, a number is not finite, or the cell has no volume.
    """

    name: str
    numbers: IntArray
    positions: FloatArray
    cell: FloatArray
    lineage: Lineage = field(default_factory=lambda: Lineage(operator="file"))

    def __post_init__(self) -> None:
        numbers = np.array(self.numbers, dtype=np.int64)
        positions = np.array(self.positions, dtype=np.float64)
        cell = np.array(self.cell, dtype=np.float64)
        if numbers.ndim != 1 or not len(numbers) or positions.shape != (len(numbers), 3):
            raise StructureError(
                f"{self.name}: {positions.shape} positions for {numbers.shape} atoms",
                structure=self.name,
            )
        if cell.shape != (3, 3):
            raise StructureError(f"{self.name}: the cell is not 3×3", structure=self.name)
        volume = determinant(cell)
        if not (isfinite(volume) and np.isfinite(positions).all()):
            raise StructureError(f"{self.name}: positions or cell not finite", structure=self.name)
        if abs(volume) < 1e-6:
            raise StructureError(f"{self.name}: the cell has no volume", structure=self.name)
        for key, array in (("numbers", numbers), ("positions", positions), ("cell", cell)):
            array.setflags(write=False)
            object.__setattr__(self, key, array)

    def __len__(self) -> int:
        """Give the number of atoms."""
        return len(self.numbers)

    @property
    def volume(self) -> float:
        """Cell volume in Å³."""
        return abs(determinant(self.cell))

    @property
    def symbols(self) -> list[str]:
        """Element symbol of each atom."""
        return [chemical_symbols[z] for z in self.numbers]

    @property
    def formula(self) -> str:
        """Formula of the whole cell, e.g. ``O4Ti2`` (alphabetical)."""
        symbols = self.symbols
        parts = [(s, symbols.count(s)) for s in sorted(set(symbols))]
        return "".join(f"{s}{n if n > 1 else ''}" for s, n in parts)

    def moved(self, positions: FloatArray, cell: FloatArray | None = None) -> Self:
        """Give the same candidate with other positions (and cell)."""
        return replace(self, positions=positions, cell=self.cell if cell is None else cell)

    def renamed(self, name: str, lineage: Lineage | None = None) -> Self:
        """Give the same structure under another name (and lineage)."""
        return replace(self, name=name, lineage=lineage or self.lineage)

    def to_ase(self) -> Atoms:
        """Give an ASE ``Atoms`` with ``info["name"]``."""
        return Atoms(
            numbers=self.numbers,
            positions=self.positions,
            cell=self.cell,
            pbc=True,
            info={"name": self.name},
        )

    @classmethod
    def from_ase(cls, atoms: Atoms, *, name: str, lineage: Lineage | None = None) -> Self:
        """Take over an ASE ``Atoms`` (calculator and constraints are left behind)."""
        return cls(
            name=name,
            numbers=atoms.get_atomic_numbers(),
            positions=atoms.get_positions(),
            cell=np.asarray(atoms.cell),
            lineage=lineage or Lineage(operator="file"),
        )

    def to_pymatgen(self) -> Any:  # noqa: ANN401 - pymatgen is untyped here and heavy to import
        """Give a pymatgen ``Structure``."""
        from pymatgen.core import Lattice, Structure  # noqa: PLC0415 - takes a second to import

        return Structure(
            Lattice(self.cell), self.symbols, self.positions, coords_are_cartesian=True
        )

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values; floats keep every bit."""
        return {
            "name": self.name,
            "symbols": self.symbols,
            "positions": self.positions.tolist(),
            "cell": self.cell.tolist(),
            "lineage": self.lineage.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            name=data["name"],
            numbers=np.array([atomic_numbers[s] for s in data["symbols"]], dtype=np.int64),
            positions=np.array(data["positions"], dtype=np.float64),
            cell=np.array(data["cell"], dtype=np.float64),
            lineage=Lineage.from_dict(data["lineage"]),
        )
