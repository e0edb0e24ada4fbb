"""What the optimizers of many structures share: the vectors, and how a step is taken.

Each structure is one stretch of 3n + 9 numbers in flat arrays over all structures: its atoms,
then its cell. The coordinates of a step are the atoms' displacements δ (Å) and L·ε, with ε a
symmetric strain of atoms and cell and L = √n · 2 Å, which makes the cell about as stiff as the
atoms whatever the size of the cell; a step takes r to (1 + ε + ε²/2)(r + δ).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from aga.potential.jit import compiled, vectorised
from aga.structure.candidate import FloatArray

__all__ = [
    "CELL_LENGTH",
    "MAX_DISPLACEMENT",
    "MAX_STRAIN",
    "STATE",
    "STIFFNESS",
    "State",
    "Vectors",
    "accept_trial",
    "dot",
    "make_trial",
    "shortened",
    "volume_of",
]

MAX_DISPLACEMENT = 0.25
"""Å that an atom may move in one step, besides moving with the cell."""

MAX_STRAIN = 0.06
"""Largest component of the strain of one step."""

CELL_LENGTH = 2.0
"""Å, by which √n ε counts as a displacement; hardly matters between 1 and 3."""

STIFFNESS = 30.0
"""eV/Å² assumed before anything is known of the curvature."""

STATE = np.dtype(
    [
        # where its numbers lie
        ("atoms", np.int64),
        ("start", np.int64),  # of its stretch
        ("size", np.int64),  # 3n + 9
        ("scale", np.float64),  # L in Å
        # the best point
        ("enthalpy", np.float64),  # eV
        ("max_force", np.float64),  # on an atom, eV/Å
        ("max_strain_force", np.float64),  # component of ∂H/∂ε, eV/atom
        # how it goes
        ("smallest", np.float64),  # volume in Å³
        ("largest", np.float64),
        ("evaluations", np.int64),
        ("reason", np.int64),  # 0 while it goes on
        ("stuck", np.bool_),  # no step along the gradient itself lowers H: the model's own noise
        # of L-BFGS
        ("length", np.float64),  # of the trial, in steps along the direction
        ("backtracks", np.int64),
        ("slot", np.int64),  # where its history lies
        ("stored", np.int64),
        ("newest", np.int64),
        # of FIRE
        ("time_step", np.float64),
        ("mixing", np.float64),
        ("downhill", np.int64),  # steps since the power was last negative
    ]
)
"""One structure's numbers."""

State = Any
"""A record of :data:`STATE`; numba knows its type."""


class Vectors(NamedTuple):
    """One stretch for every structure in each of these; the whole list's, or one structure's.

    ``best`` and ``trial`` hold positions and cell in Å, ``gradient`` (at the best point) and
    ``fresh`` (at the trial) ∂H/∂(δ, L·ε) in eV/Å, ``direction`` the search direction of L-BFGS
    in Å or the velocity of FIRE.
    """

    best: FloatArray
    trial: FloatArray
    gradient: FloatArray
    fresh: FloatArray
    direction: FloatArray


@vectorised
def dot(a: FloatArray, b: FloatArray) -> float:
    """Give the scalar product of two stretches."""
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@compiled
def accept_trial(vectors: Vectors) -> None:
    """Make the trial the best point."""
    for k in range(len(vectors.best)):  # slices compile for seconds, for their error messages
        vectors.best[k] = vectors.trial[k]
        vectors.gradient[k] = vectors.fresh[k]


@compiled
def volume_of(stretch: FloatArray) -> float:
    """Give the volume in Å³ of the cell at the end of a stretch."""
    a = stretch[-9:]
    determinant = (
        a[0] * (a[4] * a[8] - a[5] * a[7])
        - a[1] * (a[3] * a[8] - a[5] * a[6])
        + a[2] * (a[3] * a[7] - a[4] * a[6])
    )
    volume: float = abs(determinant)
    return volume


@compiled
def shortened(step: FloatArray, scale: float) -> float:
    """Give the factor ≤ 1 that brings a step within its bounds."""
    longest = 0.0
    for k in range(0, len(step) - 9, 3):
        longest = max(longest, step[k] ** 2 + step[k + 1] ** 2 + step[k + 2] ** 2)
    strain = 0.0
    for k in range(len(step) - 9, len(step)):
        strain = max(strain, abs(step[k]))
    ratio = max(np.sqrt(longest) / MAX_DISPLACEMENT, strain / (scale * MAX_STRAIN))
    factor: float = 1.0 / max(1.0, ratio)
    return factor


@compiled
def make_trial(state: State, vectors: Vectors, step: FloatArray, length: float) -> None:
    """Put the trial ``length`` steps away from the best point."""
    best, trial, last = vectors.best, vectors.trial, len(step) - 9
    f = length / state.scale
    xx, yy, zz = f * step[last], f * step[last + 4], f * step[last + 8]
    xy, xz, yz = f * step[last + 1], f * step[last + 2], f * step[last + 5]
    dxx = 1.0 + xx + 0.5 * (xx * xx + xy * xy + xz * xz)
    dyy = 1.0 + yy + 0.5 * (xy * xy + yy * yy + yz * yz)
    dzz = 1.0 + zz + 0.5 * (xz * xz + yz * yz + zz * zz)
    dxy = xy + 0.5 * (xx * xy + xy * yy + xz * yz)
    dxz = xz + 0.5 * (xx * xz + xy * yz + xz * zz)
    dyz = yz + 0.5 * (xy * xz + yy * yz + yz * zz)
    for k in range(0, len(step), 3):
        x, y, z = best[k], best[k + 1], best[k + 2]
        if k < last:  # the cell is only deformed
            x, y, z = x + length * step[k], y + length * step[k + 1], z + length * step[k + 2]
        trial[k] = dxx * x + dxy * y + dxz * z
        trial[k + 1] = dxy * x + dyy * y + dyz * z
        trial[k + 2] = dxz * x + dyz * y + dzz * z
