"""Structures packed into flat arrays, and what an energy model says of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.protocols import Prediction

__all__ = ["Batch", "BatchEvaluator", "Evaluation", "stress_from_strain"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """B structures with N atoms in all, one after the other.

    Parameters
    ----------
    names
        B names, for messages.
    numbers
        (N,) atomic numbers.
    positions
        (N, 3) Cartesian positions in Å, not necessarily inside their cells.
    cells
        (B, 3, 3) lattice vectors as rows in Å.
    offsets
        (B + 1,) structure b owns the atoms ``offsets[b]:offsets[b + 1]``.
    """

    names: tuple[str, ...]
    numbers: IntArray
    positions: FloatArray
    cells: FloatArray
    offsets: IntArray

    @classmethod
    def pack(cls, candidates: Sequence[Candidate]) -> Self:
        """Pack candidates, in their order."""
        counts = [len(c) for c in candidates]
        none = [np.zeros((0, 3))]
        return cls(
            names=tuple(c.name for c in candidates),
            numbers=np.concatenate([c.numbers for c in candidates] or [np.zeros(0, np.int64)]),
            positions=np.concatenate([c.positions for c in candidates] or none),
            cells=np.array([c.cell for c in candidates], dtype=np.float64).reshape(-1, 3, 3),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )

    def part(self, first: int, last: int) -> Self:
        """Give the structures from ``first`` to before ``last``, as views."""
        start, end = self.offsets[first], self.offsets[last]
        return type(self)(
            names=self.names[first:last],
            numbers=self.numbers[start:end],
            positions=self.positions[start:end],
            cells=self.cells[first:last],
            offsets=self.offsets[first : last + 1] - start,
        )

    def __len__(self) -> int:
        """Give the number of structures."""
        return len(self.offsets) - 1

    @property
    def counts(self) -> IntArray:
        """(B,) number of atoms of each structure."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> IntArray:
        """(N,) structure each atom belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def volumes(self) -> FloatArray:
        """(B,) cell volumes in Å³."""
        volumes: FloatArray = np.abs(np.linalg.det(self.cells))
        return volumes

    def sum(self, atomic: FloatArray) -> FloatArray:
        """Sum a value per atom, (N,), over the atoms of each structure, (B,).

        Each structure is summed by itself, so the result does not depend on the others.
        """
        if not len(self):
            return np.zeros(0)
        totals: FloatArray = np.add.reduceat(atomic, self.offsets[:-1])
        return totals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What an energy model says of a batch.

    ``energies`` (B,) eV; ``energy_spread`` (B,) eV/atom, zero for a model without uncertainty;
    ``gradient`` (N, 3) ∂E/∂R in eV/Å, minus the forces; ``strain`` (B, 3, 3) ∂E/∂ε in eV for
    the deformation r → (1 + ε) r of atoms and cell, symmetric; stress = strain / volume.
    """

    energies: FloatArray
    energy_spread: FloatArray
    gradient: FloatArray
    strain: FloatArray


class BatchEvaluator(Protocol):
    """An energy model that relaxation can use: in practice, a committee."""

    def evaluate(self, batch: Batch) -> Evaluation:
        """Give energies and their derivatives for every structure of the batch.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        ...

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        """Give energies, forces, stresses and the spreads of the members."""
        ...


def stress_from_strain(strain: FloatArray, volumes: FloatArray) -> FloatArray:
    """Turn ∂E/∂ε (B, 3, 3) in eV into stresses (B, 6) in eV/Å³, ASE sign and Voigt order."""
    sigma = 0.5 * (strain + np.swapaxes(strain, 1, 2)) / volumes[:, None, None]
    stress: FloatArray = sigma[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return stress
