"""What the options of all density functional codes have in common, under the same names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pydantic import Field, field_validator

from aga.oracle.base import EngineOptions
from aga.oracle.lattice import kpoint_grid
from aga.structure.candidate import Candidate

__all__ = ["DftOptions", "Positive", "kpoints", "with_moments"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class DftOptions(EngineOptions):
    """``oracle.options`` that mean the same in every density functional code."""

    pseudopotentials: dict[str, str] = Field(
        default_factory=dict, description="of each element, e.g. {Si: NAME}"
    )
    kpoint_spacing: Positive = Field(
        0.3, description="1/Å (with 2π, as VASP's KSPACING), largest distance of k-points"
    )
    kpoint_shift: bool = Field(
        False, description="grid half a step off Γ: converges faster in insulators"
    )
    spin: Literal["none", "collinear"] = Field(
        "none", description="collinear: spins up and down have densities of their own"
    )
    magnetic_moments: dict[str, float] = Field(
        default_factory=dict,
        description="Bohr magnetons per atom of each element at the start, e.g. {Fe: 3}; for "
        "`spin: collinear`, other elements start with 0",
    )

    @field_validator("pseudopotentials", "magnetic_moments")
    @classmethod
    def _elements(cls, value: dict[str, Any]) -> dict[str, Any]:
        unknown = sorted(set(value) - set(chemical_symbols[1:]))
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no such element")
        return value


def kpoints(options: DftOptions, candidate: Candidate) -> dict[str, Any]:
    """Give the section ``kpoints`` of an input: ``grid`` (3 divisions), ``shift`` off Γ or not."""
    grid = kpoint_grid(candidate.cell, options.kpoint_spacing)
    return {"grid": list(grid), "shift": options.kpoint_shift}


def with_moments(atoms: Atoms, options: DftOptions) -> Atoms:
    """Give the structure with the magnetic moments it starts with (Bohr magnetons)."""
    if options.spin == "collinear":
        moments = [options.magnetic_moments.get(el, 0.0) for el in atoms.get_chemical_symbols()]
        atoms.set_initial_magnetic_moments(np.array(moments))
    return atoms
