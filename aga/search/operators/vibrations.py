"""The vibrations of a crystal at Γ, from finite differences of forces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from aga.errors import GenerationError
from aga.structure.candidate import Candidate, FloatArray

__all__ = ["Forces", "Modes", "Vibrations", "modes_of"]

Forces = Callable[[Sequence[Candidate]], list[FloatArray]]
"""Gives the forces (n, 3) in eV/Å of each of a batch of structures."""

STEP = 0.01
"""Å; displacement of the finite differences."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Modes:
    """The 3n − 3 modes of a cell of n atoms that are no translation, the softest first.

    ``curvatures`` (3n − 3,) eV/Å², ascending, below 0 where the crystal is unstable; ``vectors``
    (3n − 3, n, 3) orthonormal displacements.
    """

    curvatures: FloatArray
    vectors: FloatArray


class Vibrations:
    """The modes of the parents of a generation, each computed when it is first asked for."""

    def __init__(self, forces: Forces) -> None:
        self._forces = forces
        self._known: dict[Candidate, Modes] = {}

    def of(self, candidate: Candidate) -> Modes:
        """Give the modes of a structure; raises like :func:`modes_of`."""
        if candidate not in self._known:
            self._known[candidate] = modes_of(candidate, self._forces)
        return self._known[candidate]


def modes_of(candidate: Candidate, forces: Forces) -> Modes:
    """Diagonalise the Hessian ∂²E/∂R∂R of a crystal at Γ.

    Central differences of the forces, all 6n displaced structures in one batch; made symmetric;
    the three translations projected out. Masses do not enter: what matters is where the energy
    rises least, not how fast the atoms swing.

    Parameters
    ----------
    candidate
        A cell of n atoms.
    forces
        Of a batch of structures.

    Raises
    ------
    aga.errors.GenerationError
        A force is not finite, or there is one atom only.
    """
    size = 3 * len(candidate)
    if len(candidate) < 2:
        raise GenerationError(f"{candidate.name}: one atom has no vibration at Γ")
    steps = STEP * np.concatenate([np.eye(size), -np.eye(size)]).reshape(2 * size, -1, 3)
    pulls = forces([candidate.moved(candidate.positions + step) for step in steps])
    flat = np.array([np.asarray(pull, dtype=np.float64).ravel() for pull in pulls])
    if not np.isfinite(flat).all():
        raise GenerationError(f"{candidate.name}: forces that are not finite")
    hessian = (flat[size:] - flat[:size]) / (2 * STEP)
    hessian = 0.5 * (hessian + hessian.T)
    uniform = np.tile(np.eye(3), (len(candidate), 1)) / np.sqrt(len(candidate))
    inner = np.eye(size) - uniform @ uniform.T
    # the translations are lifted above everything else, so they come last
    top = 1.0 + 2.0 * float(np.abs(hessian).sum(axis=1).max())
    values, vectors = np.linalg.eigh(inner @ hessian @ inner + top * uniform @ uniform.T)
    return Modes(curvatures=values[:-3], vectors=vectors.T[:-3].reshape(size - 3, -1, 3))
