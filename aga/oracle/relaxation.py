"""Relaxation of atoms and cell by an optimizer in this process, over single points of a method."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE

from aga.oracle.validation import Output, check_volume, validate
from aga.structure.candidate import Candidate

__all__ = ["Relaxation"]

BFGS_SHARE = 0.6
"""Share of the steps for BFGS; if it has not converged by then, FIRE goes on from the best."""


class Relaxation:
    """One relaxation at a pressure.

    The cell moves in the matrix logarithm of its deformation (ASE ``FrechetCellFilter``).

    Parameters
    ----------
    name
        Of the engine, for messages.
    start
        Structure it begins with.
    pressure
        eV/Å³.
    evaluate
        The method: energy, forces and stress of a structure.
    """

    def __init__(
        self,
        name: str,
        start: Candidate,
        pressure: float,
        evaluate: Callable[[Candidate], Output],
    ) -> None:
        self.name = name
        self.start = start
        self.pressure = pressure
        self.evaluate = evaluate
        self.best: tuple[float, Candidate, Output] | None = None
        self.history: list[tuple[Candidate, Output]] = []

    def run(self, force: float, steps: int) -> tuple[bool, Candidate, Output]:
        """Relax until forces (and virial per atom) are below ``force`` (eV/Å), or out of steps.

        Returns
        -------
        tuple
            Whether it converged, and the last structure with its output; of a relaxation that
            has not converged the one of lowest enthalpy.
        """
        first = max(1, round(BFGS_SHARE * steps))
        adapter = _Adapter(self)
        for optimizer, share in ((BFGS, first), (FIRE, steps - first)):
            _, best, _ = self.best or (0.0, self.start, None)
            atoms = best.to_ase()
            atoms.calc = adapter
            cell = FrechetCellFilter(atoms, scalar_pressure=self.pressure)
            if optimizer(cell, logfile=None).run(fmax=force, steps=share):
                return True, *adapter.last()
        assert self.best is not None  # noqa: S101 - at least one evaluation went before
        return False, *self.best[1:]

    def step(self, candidate: Candidate) -> Output:
        """Evaluate on the way, remembering all there was and the lowest enthalpy."""
        check_volume(candidate.volume, self.start.volume, where=f"{self.name}: {candidate.name}")
        output = self.evaluate(candidate)
        # Large forces are allowed on the way: they are what a relaxation removes.
        validate(output, candidate, max_force=None, needs_stress=True, source=self.name)
        assert output.energy is not None  # noqa: S101 - shown by validate, for the type checker
        self.history.append((candidate, output))
        enthalpy = output.energy + self.pressure * candidate.volume
        if self.best is None or enthalpy < self.best[0]:
            self.best = (enthalpy, candidate, output)
        return output


class _Adapter(Calculator):  # type: ignore[misc] # ASE is untyped here
    """Shows a relaxation to ASE's optimizers as a calculator."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, relaxation: Relaxation) -> None:
        super().__init__()
        self.relaxation = relaxation
        self._last: tuple[Candidate, Output] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
    ) -> None:
        """Evaluate the structure through the relaxation."""
        super().calculate(atoms, properties, system_changes)
        start = self.relaxation.start
        candidate = start.moved(self.atoms.get_positions(), np.array(self.atoms.cell))
        output = self.relaxation.step(candidate)
        self._last = (candidate, output)
        self.results = {
            "energy": output.energy,
            "forces": output.forces,
            "stress": output.stress,
        }

    def last(self) -> tuple[Candidate, Output]:
        """Give the structure evaluated last, with its output."""
        assert self._last is not None  # noqa: S101 - an optimizer evaluates before it stops
        return self._last
