"""The settings tree. Every field has its unit in its description and a default that works."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Self

from pydantic import Field, model_validator

from aga.config.base import Positive, Section
from aga.config.machine import MachineSettings
from aga.config.potential import DeepSettings, PotentialSettings
from aga.config.search import (
    MIN_INITIAL,
    AcquisitionSettings,
    BudgetSettings,
    ConvergenceSettings,
    OperatorWeights,
    SearchSettings,
)
from aga.config.training import TrainingSettings

__all__ = [
    "MIN_INITIAL",
    "AcquisitionSettings",
    "BudgetSettings",
    "ConvergenceSettings",
    "DeepSettings",
    "MachineSettings",
    "OperatorWeights",
    "OracleSettings",
    "PotentialSettings",
    "SearchSettings",
    "Settings",
    "TrainingSettings",
]


class OracleSettings(Section):
    """The reference method. ``options`` are those of the engine."""

    engine: str = Field(
        "auto",
        description="tersoff, matsui-akaogi, emt, lj-mixture, espresso, gpaw, abinit, cp2k, vasp, "
        "lammps, or module:Class; auto: an analytic potential that knows all elements, else "
        "espresso",
    )
    timeout: Positive = Field(
        3600.0, description="seconds one reference job may take, its repairs included"
    )
    relax_steps: int = Field(300, ge=1, description="steps of a final relaxation")
    relax_force: Positive = Field(0.01, description="eV/Å at which a final relaxation ends")
    max_force: Positive = Field(100.0, description="eV/Å; a label above is refused")
    options: dict[str, Any] = Field(default_factory=dict, description="the engine's own settings")


class Settings(Section):
    """Everything that one search needs to know."""

    search: SearchSettings
    potential: PotentialSettings = Field(default_factory=PotentialSettings)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    oracle: OracleSettings = Field(default_factory=OracleSettings)
    machine: MachineSettings = Field(default_factory=MachineSettings)

    @model_validator(mode="after")
    def _device(self) -> Self:
        if self.machine.device == "cuda" and self.potential.descriptor != "symmetry_functions":
            raise ValueError(
                "machine.device: cuda computes symmetry functions only; leave it at auto with "
                f"potential.descriptor: {self.potential.descriptor}"
            )
        return self

    @model_validator(mode="after")
    def _optimizer(self) -> Self:
        if self.training.optimizer == "newton" and self.potential.descriptor == "deep_smooth":
            raise ValueError(
                "training.optimizer: newton needs a descriptor without trained parameters; leave "
                "it empty with potential.descriptor: deep_smooth"
            )
        return self

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        search, others = self.search, self.training.data or self.search.seeds
        if search.initial_structures < MIN_INITIAL and not others:
            raise ValueError(
                f"search.initial_structures: at least {MIN_INITIAL} are needed where "
                "training.data names no labelled frames and search.seeds no structures"
            )
        return self

    def science(self) -> dict[str, Any]:
        """Give the settings that decide the results, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"machine"})

    def digest(self) -> str:
        """Give the SHA-256 of the science settings: equal digests, equal searches."""
        text = json.dumps(self.science(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def search_id(self) -> str:
        """Give the identifier of the search: its name or formula, and its digest's start."""
        name = self.search.name or str(self.search.composition)
        return f"{name}-{self.digest()[:8]}"
