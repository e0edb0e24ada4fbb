"""Settings: one validated tree, science apart from site."""

from __future__ import annotations

from aga.config.schema import (
    AcquisitionSettings,
    BudgetSettings,
    ConvergenceSettings,
    MachineSettings,
    OperatorWeights,
    OracleSettings,
    PotentialSettings,
    SearchSettings,
    Settings,
    TrainingSettings,
)

__all__ = [
    "AcquisitionSettings",
    "BudgetSettings",
    "ConvergenceSettings",
    "MachineSettings",
    "OperatorWeights",
    "OracleSettings",
    "PotentialSettings",
    "SearchSettings",
    "Settings",
    "TrainingSettings",
]
