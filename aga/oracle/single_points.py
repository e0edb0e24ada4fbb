"""Any engine as an ASE calculator in this process, so that its evaluations are asked one by one.

``engine: aga.oracle.single_points:SinglePoints`` with the options ``engine`` and ``options`` of the
engine inside. Relaxations are then driven from here, each step a single point of its own, where
engines of programs let the program relax.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator
from pydantic import Field

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import Problem
from aga.oracle.ase_engine import AseEngine
from aga.oracle.base import EngineOptions
from aga.oracle.registry import build_oracle, check_oracle
from aga.structure.candidate import Candidate
from aga.structure.protocols import Oracle

__all__ = ["SINGLE_POINTS", "SinglePoints"]

SINGLE_POINTS = "aga.oracle.single_points:SinglePoints"
"""What :class:`SinglePoints` is as ``oracle.engine``."""


class InnerEngine(EngineOptions):
    """The engine whose single points are asked for, by name, with its own options."""

    engine: str
    options: dict[str, Any] = Field(default_factory=dict)


class SinglePoints(AseEngine):
    """The single points of another engine, one by one.

    Parameters
    ----------
    settings
        Limits of a job, for the engine inside too; ``options`` name that engine.
    machine
        Executables and folders of this machine.
    composition
        Atoms of each element in the cell.

    Raises
    ------
    aga.errors.SettingsError
        The options do not fit the engine inside.
    aga.errors.SiteError
        The machine lacks its executable or a pseudopotential.
    """

    Options: ClassVar[type[EngineOptions]] = InnerEngine
    known: ClassVar[frozenset[str] | None] = None

    def __init__(
        self, settings: OracleSettings, machine: MachineSettings, composition: Mapping[str, int]
    ) -> None:
        super().__init__(settings, machine, composition)
        # relaxations may begin at any forces; a label's are judged outside
        inner = _inner(self.options, settings).model_copy(update={"max_force": inf})
        self.inner = build_oracle(inner, machine, composition)
        self.name = self.inner.name

    @classmethod
    def check(
        cls,
        options: InnerEngine,
        machine: MachineSettings,
        composition: Mapping[str, int],
    ) -> list[Problem]:
        """Give everything that would keep the engine inside from running here."""
        return check_oracle(_inner(options, OracleSettings()), machine, composition)

    def calculator(self) -> Calculator:
        """Give a calculator that runs the engine inside."""
        return _OracleCalculator(self.inner)


class _OracleCalculator(Calculator):  # type: ignore[misc] # ASE is untyped here
    """A reference method as an ASE calculator; what it writes goes away with each answer."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, oracle: Oracle) -> None:
        super().__init__()
        self.oracle = oracle

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
    ) -> None:
        """Fill ``results``: eV, eV/Å and eV/Å³.

        Raises
        ------
        aga.errors.OracleError
            No usable result, with the reason.
        """
        del properties, system_changes  # everything is computed anew
        assert atoms is not None  # noqa: S101 - ASE's signature, for the type checker
        candidate = Candidate.from_ase(atoms, name="single-point")
        with tempfile.TemporaryDirectory(prefix="aga-single-point-") as folder:
            label = self.oracle.label(candidate, Path(folder))
        self.results = {"energy": label.energy, "forces": label.forces, "stress": label.stress}


def _inner(options: InnerEngine, settings: OracleSettings) -> OracleSettings:
    """Give the settings of the engine inside."""
    return settings.model_copy(update={"engine": options.engine, "options": options.options})
