"""Products with stored Jacobians of the descriptor, frame by frame.

J of a frame is (n·D, 3n + 6): columns are positions and strains. It is kept in single precision
(half the memory, and memory is what these products wait for); sums are taken in double. The
error, 6e−8 of each derivative, is far below that of any label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from aga.potential.jit import vectorised
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Jacobians"]

_Single = npt.NDArray[np.float32]

_FIELD = 6
"""Strain columns."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Jacobians:
    """Stored Jacobians of F frames.

    ``values`` all of them, one after the other; ``starts`` (F,) where each begins; ``counts``
    (F,) atoms; ``size`` D.
    """

    values: _Single
    starts: IntArray
    counts: IntArray
    size: int

    @staticmethod
    def bytes_for(counts: IntArray, size: int) -> int:
        """Give the memory that the Jacobians of frames of so many atoms take."""
        return int((counts * size * (3 * counts + _FIELD)).sum()) * 4

    @classmethod
    def join(cls, parts: Sequence[FloatArray], size: int) -> Self:
        """Store the Jacobians (n, D, 3n + 6) of frames."""
        lengths = np.array([part.size for part in parts], dtype=np.int64)
        values = np.empty(int(lengths.sum()), dtype=np.float32)
        starts = np.cumsum(lengths) - lengths
        for start, part in zip(starts, parts, strict=True):
            values[start : start + part.size] = part.reshape(-1)
        counts = np.array([len(part) for part in parts], dtype=np.int64)
        return cls(values=values, starts=starts, counts=counts, size=size)

    def pull(self, frames: IntArray, adjoint: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give gradient (N, 3) and strain derivative (F, 6) of some frames.

        ``adjoint`` (N, D): ∂E/∂G of their atoms, in the order of the frames.
        """
        gradient = np.zeros((len(adjoint), 3))
        strain = np.zeros((len(frames), _FIELD))
        _pull(self.values, self.starts, self.counts, frames, adjoint, gradient, strain)
        return gradient, strain

    def push(self, frames: IntArray, gradient: FloatArray, strain: FloatArray) -> FloatArray:
        """Give dG (N, D) for displacements (N, 3) and strains (F, 6): the transpose of pull."""
        changes = np.empty((len(gradient), self.size))
        _push(self.values, self.starts, self.counts, frames, gradient, strain, changes)
        return changes

    def of(self, frame: int) -> _Single:
        """Give J (n·D, 3n + 6) of one frame, a view."""
        n, start = int(self.counts[frame]), int(self.starts[frame])
        rows, columns = n * self.size, 3 * n + _FIELD
        return self.values[start : start + rows * columns].reshape(rows, columns)


@vectorised
def _pull(  # noqa: PLR0913, PLR0917 - a kernel takes no objects
    values: _Single,
    starts: IntArray,
    counts: IntArray,
    frames: IntArray,
    adjoint: FloatArray,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    size = adjoint.shape[1]
    first = 0
    for place in range(len(frames)):
        frame = frames[place]
        n = counts[frame]
        columns, rows = 3 * n + _FIELD, n * size
        J = values[starts[frame] : starts[frame] + rows * columns]
        g = adjoint[first : first + n].reshape(rows)
        total = np.zeros(columns)
        full = rows - rows % 4
        # four rows at a time: the sums are read and written a quarter as often
        for row in range(0, full, 4):
            a, b, c, d = g[row], g[row + 1], g[row + 2], g[row + 3]
            J0 = J[row * columns : (row + 1) * columns]
            J1 = J[(row + 1) * columns : (row + 2) * columns]
            J2 = J[(row + 2) * columns : (row + 3) * columns]
            J3 = J[(row + 3) * columns : (row + 4) * columns]
            for k in range(columns):
                total[k] += a * J0[k] + b * J1[k] + c * J2[k] + d * J3[k]
        for row in range(full, rows):
            J0 = J[row * columns : (row + 1) * columns]
            for k in range(columns):
                total[k] += g[row] * J0[k]
        for k in range(3 * n):
            gradient[first + k // 3, k % 3] = total[k]
        for k in range(_FIELD):
            strain[place, k] = total[3 * n + k]
        first += n


@vectorised
def _push(  # noqa: PLR0913, PLR0917 - a kernel takes no objects
    values: _Single,
    starts: IntArray,
    counts: IntArray,
    frames: IntArray,
    gradient: FloatArray,
    strain: FloatArray,
    changes: FloatArray,
) -> None:
    size = changes.shape[1]
    first = 0
    for place in range(len(frames)):
        frame = frames[place]
        n = counts[frame]
        columns, rows = 3 * n + _FIELD, n * size
        J = values[starts[frame] : starts[frame] + rows * columns]
        v = np.empty(columns)
        for k in range(3 * n):
            v[k] = gradient[first + k // 3, k % 3]
        for k in range(_FIELD):
            v[3 * n + k] = strain[place, k]
        for row in range(rows):
            J0 = J[row * columns : (row + 1) * columns]
            total = 0.0
            for k in range(columns):
                total += J0[k] * v[k]
            changes[first + row // size, row % size] = total
        first += n
