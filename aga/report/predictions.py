"""Predictions as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.report.files import write_whole
from aga.structure.protocols import Prediction

__all__ = ["write_predictions"]


def write_predictions(
    path: Path, images: Sequence[Atoms], names: Sequence[str], predictions: Sequence[Prediction]
) -> None:
    """Write structures with what a committee says of them as extended XYZ.

    Energy, forces, stress and shares of the atoms stand under the names that ASE reads back;
    ``energy_spread`` (eV/atom) and ``force_spread`` (eV/Å) in ``info``, ``forces_spread``
    (n,) (eV/Å) among the arrays.
    """
    annotated = [_annotated(*one) for one in zip(images, names, predictions, strict=True)]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda temporary: write(temporary, annotated, format="extxyz"))


def _annotated(image: Atoms, name: str, said: Prediction) -> Atoms:
    atoms = Atoms(
        numbers=image.numbers,
        positions=image.positions,
        cell=image.cell,
        pbc=image.pbc,
        info={
            "name": name,
            "energy_spread": said.energy_spread,
            "force_spread": said.force_spread,
        },
    )
    atoms.arrays["forces_spread"] = said.forces_spread.copy()
    results: dict[str, Any] = {
        "energy": said.energy,
        "forces": said.forces,
        "energies": said.energies,
    }
    if np.isfinite(said.stress).all():
        results["stress"] = said.stress
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms
