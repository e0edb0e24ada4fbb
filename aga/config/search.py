"""The settings of the search: what is bred, what is sent to the reference method, when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aga.config.base import NonNegative, Positive, Section
from aga.config.composition import Composition, ElementPair

__all__ = [
    "MIN_INITIAL",
    "AcquisitionSettings",
    "BudgetSettings",
    "ConvergenceSettings",
    "OperatorWeights",
    "SearchSettings",
]

Units = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

MIN_INITIAL = 4
"""Labelled structures without which no committee can be trained."""

MAX_LEAST_ANGLE = 109.4713
"""Degrees; the smallest angle of a reduced cell is never larger (arccos −⅓)."""


class OperatorWeights(Section):
    """Relative share of each operator among the offspring of a generation."""

    random: NonNegative = Field(0.30, description="random symmetric immigrants")
    crossover: NonNegative = Field(0.25, description="cut-and-splice of two parents")
    strain: NonNegative = Field(0.10, description="random symmetric strain of the lattice")
    rattle: NonNegative = Field(0.10, description="Gaussian displacement of the atoms")
    soft_mode: NonNegative = Field(
        0.05, description="displacement along a soft vibration of the committee"
    )
    slip: NonNegative = Field(0.04, description="a layer slides over another")
    ripple: NonNegative = Field(0.03, description="a wave through the layers")
    mirror: NonNegative = Field(0.03, description="a part is mirrored or rotated")
    symmetrise: NonNegative = Field(
        0.05, description="a part is repeated by the operations of a space group"
    )
    permutation: NonNegative = Field(
        0.05, description="swap of unlike atoms (needs two elements; else its share is spread)"
    )
    permustrain: NonNegative = Field(
        0.04, description="swap of unlike atoms and strain (needs two elements)"
    )
    add_unit: NonNegative = Field(
        0.05, description="one formula unit more (where formula_units is a range)"
    )
    remove_unit: NonNegative = Field(
        0.05, description="one formula unit less (where formula_units is a range)"
    )

    @model_validator(mode="after")
    def _some(self) -> Self:
        if sum(getattr(self, name) for name in type(self).model_fields) <= 0:
            raise ValueError("at least one operator needs a weight above 0")
        return self


class AcquisitionSettings(Section):
    """Which relaxed candidates go to the reference method."""

    picks_per_iteration: int = Field(3, ge=1, description="reference jobs per iteration")
    kappa: NonNegative = Field(
        1.0, description="κ of the score energy − κ·spread − ν·distance; the lowest is sent first"
    )
    novelty_weight: NonNegative = Field(
        1.0,
        description="eV/atom, ν of the score; the distance is that to the nearest fingerprint "
        "labelled or picked",
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
    force_spread_max: Positive | None = Field(
        None, description="eV/Å, the same for the largest spread of the force on an atom"
    )
    relax_spread_max: Positive = Field(
        0.3, description="eV/atom; a relaxation on the committee stops where it disagrees more"
    )


class ConvergenceSettings(Section):
    """When the best structures count as found."""

    stable_iterations: int = Field(
        5, ge=1, description="iterations without change of the best structures"
    )
    energy_tolerance: Positive = Field(
        0.002, description="eV/atom; smaller improvements are no change"
    )
    spread_tolerance: Positive = Field(
        0.02, description="eV/atom; the committee must agree on the best this well"
    )
    error_tolerance: Positive = Field(
        0.03,
        description="eV/atom; the picks of these iterations must have been predicted this well "
        "(median)",
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
    iterations: int = Field(40, ge=1, description="adaptation rounds after the initial structures")
    wall_time: Positive | None = Field(None, description="hours")


class SearchSettings(Section):
    """The genetic algorithm and the order of its steps."""

    composition: Composition = Field(description="chemical formula, e.g. Si8 or TiO2")
    formula_units: Units | tuple[Units, Units] | None = Field(
        None,
        description="copies of the formula per cell, or the fewest and the most, e.g. [1, 4]; "
        "chosen (≥ 6 atoms) where empty",
    )
    name: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="name of the search"
    )
    seed: int = Field(0, ge=0, description="seed of every random stream")
    pressure: float = Field(
        0.0, allow_inf_nan=False, description="GPa; enthalpies are ranked when not 0"
    )
    initial_structures: int = Field(
        6,
        ge=0,
        description="random symmetric structures labelled before the first training, of eight "
        "atoms or more where a cell holds fewer than six; may be 0 where training.data gives "
        "labelled ones",
    )
    prototypes: int = Field(
        0, ge=0, description="how many of the initial structures are known prototypes, substituted"
    )
    seeds: tuple[Path, ...] = Field(
        (),
        description="structure files (CIF, POSCAR, extended XYZ, ASE database, …) that join the "
        "initial structures",
    )
    seed_searches: tuple[str, ...] = Field(
        (), description="identifiers of earlier searches whose best structures join too"
    )
    symmetric_share: Share = Field(
        1.0,
        description="share of the random crystals that get the symmetry of a space group; a "
        "quarter of it where an immigrant, or what it copies, has six atoms or fewer",
    )
    subcell_share: Share = Field(
        0.4,
        description="share of the random immigrants that are copies of a smaller cell, where the "
        "composition can be divided",
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
    elites: int = Field(3, ge=1, description="best structures that never leave by age")
    max_age: int | None = Field(
        None, ge=1, description="generations after which a structure that is no elite leaves"
    )
    offspring: int = Field(100, ge=1, description="structures bred and relaxed per generation")
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
    adapt_operators: bool = Field(
        True, description="change the operators' shares with the success of their offspring"
    )
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
    cell_lengths: tuple[Positive, Positive] | None = Field(
        None, description="Å; shortest and longest edge allowed of the reduced cell"
    )
    cell_angles: tuple[Positive, Positive] | None = Field(
        None, description="degrees; smallest and largest angle allowed of the reduced cell"
    )
    fingerprint_tolerance: Positive = Field(
        0.02,
        description="cosine distance of fingerprints around which two structures are compared "
        "atom by atom",
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
    relaxation_frames: int = Field(
        0,
        ge=0,
        description="frames along each final relaxation that become labelled data too, at most; "
        "0: its end alone",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name in ("volume_range", "cell_lengths", "cell_angles"):
            limits = getattr(self, name)
            if limits is not None and limits[0] >= limits[1]:
                raise ValueError(f"{name}: the first number must be smaller than the second")
        self._check_angles()
        if isinstance(self.formula_units, tuple) and self.formula_units[0] > self.formula_units[1]:
            raise ValueError("formula_units: the first number must not be larger than the second")
        if self.prototypes > self.initial_structures:
            raise ValueError("prototypes: at most as many as initial_structures")
        return self

    def _check_angles(self) -> None:
        low, high = self.cell_angles or (0.0, 180.0)
        if high < 60.0 or low > MAX_LEAST_ANGLE:
            raise ValueError(
                "cell_angles: a reduced cell has an angle of at least 60°, and one of at most "
                f"{MAX_LEAST_ANGLE:.1f}°, so that none is between {low:g}° and {high:g}°"
            )

    def unit_range(self) -> range:
        """Give the numbers of formula units that a cell may have, ascending."""
        units = self.formula_units or self.composition.default_units()
        low, high = units if isinstance(units, tuple) else (units, units)
        return range(low, high + 1)

    def atom_counts(self, units: int | None = None) -> dict[str, int]:
        """Give the number of atoms of each element in a cell, in alphabetical order.

        ``units`` formula units; where None, the most that the search allows.
        """
        number = self.unit_range()[-1] if units is None else units
        return {el: n * number for el, n in sorted(self.composition.counts().items())}
