"""Engines that are ASE calculators inside this process."""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS, FIRE

from aga.errors import AgaError, OracleError
from aga.oracle.base import Engine, disk_full_as_error
from aga.oracle.validation import Output, check_volume, force_norm, validate
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Label

__all__ = ["AseEngine"]

BFGS_SHARE = 0.6
"""Share of the steps for BFGS; if it has not converged by then, FIRE goes on from the best."""


class AseEngine(Engine):
    """Common part of engines that are ASE calculators: evaluation, counting, relaxation."""

    needs_stress: ClassVar[bool] = True

    @abstractmethod
    def calculator(self) -> Calculator:
        """Give a fresh ASE calculator."""

    def label(self, candidate: Candidate, run_dir: Path) -> Label:
        """Compute energy (eV), forces (eV/Å) and stress (eV/Å³) of one structure.

        Raises
        ------
        aga.errors.OracleError
            See :func:`aga.oracle.validation.validate`; ``crashed`` where the calculator raised.
        """
        start = time.perf_counter()
        session = _Session(self, candidate, run_dir)
        output = session.evaluate(candidate)
        return self._label(candidate, output, session, time.perf_counter() - start)

    def relax(
        self, candidate: Candidate, run_dir: Path, *, pressure: float
    ) -> tuple[Candidate, Label]:
        """Relax atoms and cell with BFGS (FIRE where that does not settle) at a pressure.

        The cell moves in the matrix logarithm of its deformation (ASE ``FrechetCellFilter``).
        ``pressure`` in eV/Å³. See :meth:`aga.oracle.base.Engine.relax`.
        """
        start = time.perf_counter()
        session = _Session(self, candidate, run_dir, pressure=pressure)
        converged, relaxed, output = session.relax(candidate)
        label = self._label(relaxed, output, session, time.perf_counter() - start)
        label.details["converged"] = converged
        return relaxed, label

    def _label(
        self, candidate: Candidate, output: Output, session: _Session, seconds: float
    ) -> Label:
        limit = self.settings.max_force
        validate(
            output,
            candidate,
            max_force=limit,
            needs_stress=self.needs_stress,
            source=self.name,
        )
        assert output.energy is not None  # noqa: S101 - shown by validate, for the type checker
        assert output.forces is not None  # noqa: S101 - shown by validate, for the type checker
        return Label(
            energy=output.energy,
            forces=output.forces,
            stress=output.stress,
            evaluations=session.evaluations,
            seconds=seconds,
            details={"engine": self.name, "max_force": force_norm(output.forces)},
        )


class _Session:
    """One job: the only place that calls the calculator, and so counts its evaluations."""

    def __init__(
        self, engine: AseEngine, candidate: Candidate, run_dir: Path, *, pressure: float = 0.0
    ) -> None:
        self.engine = engine
        self.calculator = engine.calculator()
        self.run_dir = run_dir
        self.pressure = pressure
        self.start = candidate
        self.deadline = time.monotonic() + engine.settings.timeout
        self.evaluations = 0
        self.best: tuple[float, Candidate, Output] | None = None

    def evaluate(self, candidate: Candidate) -> Output:
        """Call the calculator once; its exceptions become ``crashed``."""
        if time.monotonic() > self.deadline:
            raise OracleError(
                f"{self.engine.name}: {candidate.name}: took longer than "
                f"{self.engine.settings.timeout:g} s",
                reason="timeout",
                remedy="raise oracle.timeout",
            )
        atoms = candidate.to_ase()
        self.evaluations += 1
        try:
            with disk_full_as_error(self.run_dir), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is wrong shows in the numbers
                self.calculator.calculate(atoms, self._properties(), list(all_changes))
        except AgaError:
            raise
        except Exception as error:
            raise OracleError(
                f"{self.engine.name}: {candidate.name}: {type(error).__name__}: {error}",
                reason="crashed",
                error=type(error).__name__,
            ) from error
        return _output(self.calculator.results)

    def _properties(self) -> list[str]:
        known = self.calculator.implemented_properties
        return [p for p in ("energy", "forces", "stress") if p in known]

    def relax(self, candidate: Candidate) -> tuple[bool, Candidate, Output]:
        """Give whether it converged, and the structure with its output."""
        steps = self.engine.settings.relax_steps
        first = max(1, round(BFGS_SHARE * steps))
        adapter = _Adapter(self)
        for optimizer, share in ((BFGS, first), (FIRE, steps - first)):
            _, best, _ = self.best or (0.0, candidate, None)
            atoms = best.to_ase()
            atoms.calc = adapter
            cell = FrechetCellFilter(atoms, scalar_pressure=self.pressure)
            if optimizer(cell, logfile=None).run(
                fmax=self.engine.settings.relax_force, steps=share
            ):
                return True, *adapter.last()
        assert self.best is not None  # noqa: S101 - at least one evaluation went before
        return False, *self.best[1:]

    def step(self, candidate: Candidate) -> Output:
        """Evaluate on the way of a relaxation, remembering the lowest enthalpy."""
        check_volume(
            candidate.volume, self.start.volume, where=f"{self.engine.name}: {candidate.name}"
        )
        output = self.evaluate(candidate)
        # Large forces are allowed on the way: they are what a relaxation removes.
        validate(output, candidate, max_force=None, needs_stress=True, source=self.engine.name)
        assert output.energy is not None  # noqa: S101 - shown by validate, for the type checker
        enthalpy = output.energy + self.pressure * candidate.volume
        if self.best is None or enthalpy < self.best[0]:
            self.best = (enthalpy, candidate, output)
        return output


class _Adapter(Calculator):  # type: ignore[misc] # ASE is untyped here
    """Shows a session to ASE's optimizers as a calculator."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, session: _Session) -> None:
        super().__init__()
        self.session = session
        self._last: tuple[Candidate, Output] | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
    ) -> None:
        """Evaluate the structure through the session."""
        super().calculate(atoms, properties, system_changes)
        candidate = self.session.start.moved(self.atoms.get_positions(), np.array(self.atoms.cell))
        output = self.session.step(candidate)
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


def _output(results: dict[str, Any]) -> Output:
    """Take energy, forces and stress out of ASE's results, without believing their shapes."""
    # The free energy, where there is one: the forces are the derivatives of that.
    energy = results.get("free_energy", results.get("energy"))
    return Output(
        energy=None if energy is None else float(energy),
        forces=_array(results.get("forces")),
        stress=_array(results.get("stress")),
    )


def _array(value: Any) -> FloatArray | None:  # noqa: ANN401 - whatever the calculator stored
    return None if value is None else np.array(value, dtype=np.float64)
