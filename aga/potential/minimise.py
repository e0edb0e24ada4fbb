"""One structure on its way to a minimum of the enthalpy, atoms and cell together.

Limited-memory quasi-Newton steps (L-BFGS) with a bound on every step and a backtracking line
search, so the enthalpy never rises. The coordinates are the atoms' displacements δ (Å) and
L·ε, with ε a symmetric strain of atoms and cell and L = √n · 2 Å, which makes the cell about as
stiff as the atoms whatever the size of the cell; a step takes r to (1 + ε + ε²/2)(r + δ).
"""

from __future__ import annotations

import numpy as np

from aga.potential.jit import compiled
from aga.structure.candidate import FloatArray

__all__ = ["MAX_DISPLACEMENT", "MAX_STRAIN", "Minimisation"]

MAX_DISPLACEMENT = 0.25
"""Å that an atom may move in one step, besides moving with the cell."""

MAX_STRAIN = 0.06
"""Largest component of the strain of one step."""

CELL_LENGTH = 2.0
"""Å, by which √n ε counts as a displacement; hardly matters between 1 and 3."""

MEMORY = 24
"""Steps that the approximate Hessian remembers."""

STIFFNESS = 30.0
"""eV/Å² assumed before anything is known of the curvature."""

MAX_BACKTRACKS = 10


class Minimisation:
    """The state of one structure: the best point so far and the trial beyond it.

    Parameters
    ----------
    positions, cell
        (n, 3) and (3, 3) in Å: the first trial.
    pressure
        eV/Å³.
    """

    def __init__(self, positions: FloatArray, cell: FloatArray, pressure: float = 0.0) -> None:
        self.trial_positions = np.array(positions)
        self.trial_cell = np.array(cell)
        self.positions, self.cell = self.trial_positions, self.trial_cell
        self.pressure = pressure
        self.enthalpy = np.inf
        self.max_force = np.inf
        """Largest force on an atom at the best point, eV/Å."""
        self.max_strain_force = np.inf
        """Largest component of ∂H/∂ε at the best point, eV/atom."""
        self.stuck = False
        """No step along the gradient itself lowers the enthalpy: the model's own noise."""
        self._scale = CELL_LENGTH * float(np.sqrt(len(positions)))
        size = 3 * len(positions) + 9
        self._gradient = np.zeros(size)
        self._direction = np.zeros(size)
        self._length = 0.0
        self._backtracks = 0
        self._history = (np.zeros((MEMORY, size)), np.zeros((MEMORY, size)), np.zeros(MEMORY))
        self._stored = 0

    def receive(self, energy: float, gradient: FloatArray, strain: FloatArray) -> bool:
        """Take the evaluation of the trial and make the next trial.

        Parameters
        ----------
        energy
            eV.
        gradient
            (n, 3) ∂E/∂R in eV/Å.
        strain
            (3, 3) ∂E/∂ε in eV.

        Returns
        -------
        bool
            Whether the trial became the best point.
        """
        volume = abs(float(np.linalg.det(self.trial_cell)))
        enthalpy = energy + self.pressure * volume
        slope = float(self._gradient @ self._direction)
        noise = 1e-12 * abs(enthalpy)
        if enthalpy > self.enthalpy + 1e-4 * self._length * slope + noise:
            self._backtrack(enthalpy - self.enthalpy, slope)
            return False
        cell_part = 0.5 * (strain + strain.T) + self.pressure * volume * np.eye(3)
        new = np.concatenate([gradient.ravel(), cell_part.ravel() / self._scale])
        if np.isfinite(self.enthalpy):
            self._remember(self._length * self._direction, new - self._gradient)
        self.positions, self.cell = self.trial_positions, self.trial_cell
        self.enthalpy, self._gradient = enthalpy, new
        self.max_force = float(np.sqrt((gradient**2).sum(axis=1).max()))
        self.max_strain_force = float(np.abs(cell_part).max()) / len(gradient)
        self._backtracks = 0
        self._choose_direction()
        self._make_trial(1.0)
        return True

    def _backtrack(self, rise: float, slope: float) -> None:
        """Shorten the step to the minimum of the parabola through what is known."""
        self._backtracks += 1
        if self._backtracks > MAX_BACKTRACKS:
            self.stuck = self._stored == 0
            self._stored = self._backtracks = 0
            self._choose_direction()
            self._make_trial(0.1)
            return
        length = self._length
        best = -0.5 * slope * length * length / (rise - slope * length)
        self._make_trial(min(max(best, 0.1 * length), 0.5 * length))

    def _remember(self, step: FloatArray, change: FloatArray) -> None:
        """Keep a step and the change of the gradient along it, if the curvature is positive."""
        curvature = float(step @ change)
        if curvature <= 1e-6 * float(step @ step):
            return
        steps, changes, inverse = self._history
        if self._stored == MEMORY:
            for array in self._history:
                array[:-1] = array[1:]
            self._stored -= 1
        steps[self._stored], changes[self._stored] = step, change
        inverse[self._stored] = 1.0 / curvature
        self._stored += 1

    def _choose_direction(self) -> None:
        d = _descent(*self._history, self._stored, self._gradient)
        if float(d @ self._gradient) >= 0.0:
            self._stored = 0
            d = -self._gradient / STIFFNESS
        atoms = float(np.sqrt((d[:-9].reshape(-1, 3) ** 2).sum(axis=1).max()))
        cell = float(np.abs(d[-9:]).max()) / self._scale
        d *= 1.0 / max(1.0, atoms / MAX_DISPLACEMENT, cell / MAX_STRAIN)
        self._direction = d

    def _make_trial(self, length: float) -> None:
        self._length = length
        step = length * self._direction
        strain = step[-9:].reshape(3, 3) / self._scale
        deformation = np.eye(3) + strain + 0.5 * strain @ strain
        self.trial_positions = (self.positions + step[:-9].reshape(-1, 3)) @ deformation.T
        self.trial_cell = self.cell @ deformation.T


@compiled
def _descent(
    steps: FloatArray, changes: FloatArray, inverse: FloatArray, stored: int, g: FloatArray
) -> FloatArray:
    """Give −H⁻¹ g by the two-loop recursion (Nocedal & Wright, algorithm 7.4)."""
    d = -g
    if stored == 0:
        return d / STIFFNESS
    along = np.empty(stored)
    for k in range(stored - 1, -1, -1):
        along[k] = inverse[k] * np.sum(steps[k] * d)
        d -= along[k] * changes[k]
    last = stored - 1
    d /= inverse[last] * np.sum(changes[last] * changes[last])
    for k in range(stored):
        d += steps[k] * (along[k] - inverse[k] * np.sum(changes[k] * d))
    return d
