"""The shapes that a cell may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from aga.config import SearchSettings
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import reduced

__all__ = ["CellLimits", "angles_of"]

_SLACK = 1e-6
"""Relative; a cell that lies on a limit is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellLimits:
    """Edges and angles allowed of the reduced cell.

    ``lengths`` shortest and longest edge in Å, ``angles`` smallest and largest angle in degrees;
    None: any. The reduced (Niggli) cell belongs to the lattice, so that the limits speak of the
    crystal and not of the way in which it is written down; its angles lie between 60° and 120°.
    """

    lengths: tuple[float, float] | None = None
    angles: tuple[float, float] | None = None

    @classmethod
    def from_settings(cls, settings: SearchSettings) -> Self:
        """Take the limits of a search."""
        return cls(lengths=settings.cell_lengths, angles=settings.cell_angles)

    def allows(self, candidate: Candidate) -> bool:
        """Tell whether the reduced cell of a structure is within the limits."""
        if self.lengths is None and self.angles is None:
            return True
        cell = reduced(candidate).cell
        return _within(np.linalg.norm(cell, axis=1), self.lengths) and _within(
            angles_of(cell), self.angles
        )

    def volumes(self) -> tuple[float, float]:
        """Give the smallest and the largest volume in Å³ of a reduced cell within the limits.

        Both are bounds that no cell passes, not volumes that are reached: with edges a, b, c a
        reduced cell has at least abc/√2, and at most what its most upright angles allow.
        """
        if self.lengths is None:
            return 0.0, float("inf")
        low, high = self.lengths
        upright = 90.0 if self.angles is None else float(np.clip(90.0, *self.angles))
        cosine = np.cos(np.radians(upright))
        share = np.sqrt(max(0.0, 1.0 - 3.0 * cosine**2 + 2.0 * cosine**3))
        return low**3 / np.sqrt(2.0), high**3 * share


def angles_of(cell: FloatArray) -> FloatArray:
    """Give the angles α, β, γ in degrees of a cell with vectors as rows."""
    unit = cell / np.linalg.norm(cell, axis=1)[:, None]
    cosines = np.array([unit[1] @ unit[2], unit[2] @ unit[0], unit[0] @ unit[1]])
    return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))))


def _within(values: FloatArray, limits: tuple[float, float] | None) -> bool:
    if limits is None:
        return True
    low, high = limits
    return bool(values.min() >= low * (1 - _SLACK) and values.max() <= high * (1 + _SLACK))
