"""Engines that are ASE calculators inside this process."""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from aga.errors import AgaError, OracleError
from aga.oracle.base import Engine, disk_full_as_error
from aga.oracle.path import path_points
from aga.oracle.relaxation import Relaxation
from aga.oracle.validation import Output, force_norm, validate
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Label

__all__ = ["AseEngine"]


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
        session = _Session(self, run_dir)
        output = session.evaluate(candidate)
        return self._label(candidate, output, session, time.perf_counter() - start)

    def relax(
        self, candidate: Candidate, run_dir: Path, *, pressure: float
    ) -> tuple[Candidate, Label]:
        """Relax atoms and cell with BFGS (FIRE where that does not settle) at a pressure.

        ``pressure`` in eV/Å³. See :class:`aga.oracle.relaxation.Relaxation` and
        :meth:`aga.oracle.base.Engine.relax`.
        """
        start = time.perf_counter()
        session = _Session(self, run_dir)
        relaxation = Relaxation(self.name, candidate, pressure, session.evaluate)
        converged, relaxed, output = relaxation.run(
            self.settings.relax_force, self.settings.relax_steps
        )
        label = self._label(relaxed, output, session, time.perf_counter() - start)
        label.details["converged"] = converged
        limit = self.settings.max_force
        path = path_points(candidate, relaxation.history, max_force=limit, source=self.name)
        return relaxed, replace(label, path=path)

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

    def __init__(self, engine: AseEngine, run_dir: Path) -> None:
        self.engine = engine
        self.calculator = engine.calculator()
        self.run_dir = run_dir
        self.deadline = time.monotonic() + engine.settings.timeout
        self.evaluations = 0

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
