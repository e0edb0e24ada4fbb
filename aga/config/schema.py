"""The settings tree. Every field has its unit in its description and a default that works."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from aga.config.base import NonNegative, Positive, Section
from aga.config.composition import Composition, ElementPair
from aga.config.machine import MachineSettings
from aga.config.potential import DeepSettings, PotentialSettings
from aga.config.training import TrainingSettings

__all__ = [
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

MIN_INITIAL = 4
"""Labelled structures without which no committee can be trained."""


class OperatorWeights(Section):
    """Relative share of each operator among the offspring of a generation."""

    random: NonNegative = Field(0.35, description="random symmetric immigrants")
    crossover: NonNegative = Field(0.30, description="cut-and-splice of two parents")
    strain: NonNegative = Field(0.15, description="random symmetric strain of the lattice")
    rattle: NonNegative = Field(0.15, description="Gaussian displacement of the atoms")
    permutation: NonNegative = Field(
        0.05, description="swap of unlike atoms (needs two elements; else its share is spread)"
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if sum(getattr(self, name) for name in type(self).model_fields) <= 0:
            raise ValueError("at least one operator needs a weight above 0")
        return self


class AcquisitionSettings(Section):
    """Which relaxed candidates go to the reference method."""

    picks_per_iteration: int = Field(6, ge=1, description="reference jobs per iteration")
    kappa: NonNegative = Field(
        1.0, description="weight of the committee's spread in the score energy − κ·spread"
    )
    novel_share: float = Field(
        0.3, ge=0, le=1, description="share of the picks for structures unlike any labelled one"
    )
    energy_window: Positive = Field(
        0.5, description="eV/atom above the best prediction; higher ones are left away"
    )
    spread_min: NonNegative = Field(
        0.002, description="eV/atom; a known structure below this spread is not sent again"
    )
    spread_max: Positive = Field(
        1.0, description="eV/atom; above, the structure is unphysical and never sent"
    )
    relax_spread_max: Positive = Field(
        0.3, description="eV/atom; a relaxation on the committee stops where it disagrees more"
    )


class ConvergenceSettings(Section):
    """When the best structures count as found."""

    stable_iterations: int = Field(
        3, ge=1, description="iterations without change of the best structures"
    )
    energy_tolerance: Positive = Field(
        0.002, description="eV/atom; smaller improvements are no change"
    )
    spread_tolerance: Positive = Field(
        0.02, description="eV/atom; the committee must agree on the best this well"
    )
    error_tolerance: Positive = Field(
        0.03, description="eV/atom; the last picks must have been predicted this well (median)"
    )
    best_structures: int = Field(1, ge=1, description="how many of the best must be unchanged")
    target_energy_per_atom: float | None = Field(
        None,
        allow_inf_nan=False,
        description="eV/atom; stop once the reference method finds this or lower (benchmarks)",
    )


class BudgetSettings(Section):
    """What the search may spend; it ends with its best structures when one is used up."""

    reference_calls: int = Field(150, ge=1, description="reference energy+force evaluations")
    iterations: int = Field(20, ge=1, description="adaptation rounds after the initial structures")
    wall_time: Positive | None = Field(None, description="hours")


class SearchSettings(Section):
    """The genetic algorithm and the order of its steps."""

    composition: Composition = Field(description="chemical formula, e.g. Si8 or TiO2")
    formula_units: int | None = Field(
        None, ge=1, description="copies of the formula per cell; chosen (≥ 6 atoms) where empty"
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="name of the search"
    )
    seed: int = Field(0, ge=0, description="seed of every random stream")
    pressure: float = Field(
        0.0, allow_inf_nan=False, description="GPa; enthalpies are ranked when not 0"
    )
    initial_structures: int = Field(
        16,
        ge=0,
        description="random symmetric structures labelled before the first training; may be 0 "
        "where training.data gives labelled ones",
    )
    schedule: Literal["sequential", "concurrent"] = Field(
        "sequential",
        description="sequential: one module after the other, reproducible; concurrent: "
        "breeding, reference jobs and training side by side, for several workers",
    )
    islands: int = Field(
        1, ge=1, description="populations that evolve side by side, each bred by one worker"
    )
    migrants: int = Field(
        2, ge=0, description="best structures of each other island that join the parents"
    )
    population_size: int = Field(20, ge=2, description="structures kept between generations")
    offspring: int = Field(40, ge=1, description="structures bred and relaxed per generation")
    generations_per_iteration: int = Field(
        3, ge=1, description="generations on the committee between reference calls"
    )
    generations_per_committee: int = Field(
        100,
        ge=1,
        description="generations that an island breeds on one committee before it waits for the "
        "next, where the schedule is concurrent",
    )
    operators: OperatorWeights = Field(default_factory=OperatorWeights)
    min_distance_factor: Positive = Field(
        0.65, le=1.5, description="shortest distance allowed, in sums of covalent radii"
    )
    min_distances: dict[ElementPair, Positive] = Field(
        default_factory=dict, description="Å for single pairs, e.g. {Ti-O: 1.5}"
    )
    volume_per_atom: Positive | None = Field(
        None, description="Å³; estimated from the elements where empty"
    )
    volume_range: tuple[Positive, Positive] = Field(
        (0.5, 2.0), description="volume allowed, in estimated volumes"
    )
    fingerprint_tolerance: Positive = Field(
        0.02, description="cosine distance of fingerprints below which two structures are one"
    )
    symmetry_tolerance: Positive = Field(
        0.05, description="Å, for naming space groups and for those that relax_symmetry keeps"
    )
    relax_steps: int = Field(200, ge=1, description="steps of a relaxation on the committee")
    relax_force: Positive = Field(0.02, description="eV/Å at which a relaxation is converged")
    relax_optimizer: Literal["lbfgs", "fire"] = Field(
        "lbfgs", description="how structures are relaxed on the committee"
    )
    relax_symmetry: bool = Field(
        False, description="keep the space group of the start in relaxations on the committee"
    )
    acquisition: AcquisitionSettings = Field(default_factory=AcquisitionSettings)
    convergence: ConvergenceSettings = Field(default_factory=ConvergenceSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    final_relaxations: int = Field(
        5, ge=1, description="best structures relaxed by the reference method at the end"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        low, high = self.volume_range
        if low >= high:
            raise ValueError("volume_range: the first number must be smaller than the second")
        return self

    def atom_counts(self) -> dict[str, int]:
        """Give the number of atoms of each element in the cell, in alphabetical order."""
        units = self.formula_units or self.composition.default_units()
        return {el: n * units for el, n in sorted(self.composition.counts().items())}


class OracleSettings(Section):
    """The reference method. ``options`` are those of the engine."""

    engine: str = Field(
        "auto",
        description="tersoff, matsui-akaogi, espresso, gpaw, abinit, cp2k, vasp, lammps, or "
        "module:Class; auto: an analytic potential that knows all elements, else espresso",
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
        if self.search.initial_structures < MIN_INITIAL and not self.training.data:
            raise ValueError(
                f"search.initial_structures: at least {MIN_INITIAL} are needed where "
                "training.data names no labelled frames"
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
