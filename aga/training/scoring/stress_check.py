"""Whether stress labels have the sign and the unit that they are taken to have.

Codes differ in both: kbar or GPa or eV/Å³, tension or compression positive. A wrong one is wrong
in all frames alike, and a network fits half of it without complaint. Energies and forces alone
determine the stress: a model of these, however rough, knows its sign and its order of magnitude
as the derivative by strain, and the labels are compared with it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.errors import DataError
from aga.potential.kinds import make_committee
from aga.rng import stream
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.fit import Workshop, fit_member
from aga.training.recipe import Recipe
from aga.training.scoring.assessment import predict_frames
from aga.units import EV_PER_A3_IN_GPA

__all__ = ["check_stress", "judge_stress"]

SAMPLE = 60
"""Frames that the rough model is fitted to."""

PASSES = 60
FEWEST = 8
"""Frames with stress below which nothing is said."""

AGREED = 0.7
"""Correlation of labels and model above which they tell of one thing, but for sign and unit."""

_UNITS = {
    "GPa": EV_PER_A3_IN_GPA,
    "kbar": 10.0 * EV_PER_A3_IN_GPA,
    "bar": 1e4 * EV_PER_A3_IN_GPA,
    "Pa": 1e9 * EV_PER_A3_IN_GPA,
    "Ha/Bohr³": 1.0 / 183.6315,
    "Ry/Bohr³": 1.0 / 91.8158,
}
"""Numbers that a stress of 1 eV/Å³ has in other units."""


def check_stress(frames: Sequence[Frame], recipe: Recipe, workshop: Workshop) -> None:
    """Fit a rough model to energies and forces of some frames, and compare its stress.

    Raises
    ------
    aga.errors.DataError
        The labels of all frames alike have the other sign or another unit.
    """
    labelled = [frame for frame in frames if frame.stress is not None]
    if len(labelled) < FEWEST:
        return
    order = stream(recipe.seed, "stress check").permutation(len(labelled))[:SAMPLE]
    sample = [labelled[place] for place in sorted(order)]
    training = recipe.training.model_copy(
        update={
            "stress_prefactor": (0.0, 0.0),
            "passes": min(PASSES, recipe.training.passes),
            "optimizer": None,
            "optimizer_options": {},
            "learning_rate": None,
            "test_fraction": 0.0,
            "validation_fraction": 0.0,
            "focal_gamma": 0.0,
        }
    )
    potential = recipe.potential.model_copy(update={"hidden": (10, 10)})
    elements = {symbol for frame in sample for symbol in frame.candidate.symbols}
    if elements != set(recipe.elements):
        return  # an element so rare that the sample has none of it: the model would know nothing
    rough = Recipe(
        elements=recipe.elements, potential=potential, training=training, seed=recipe.seed
    )
    model = fit_member(sample, rough, member=0, workshop=workshop).model
    said = predict_frames(make_committee([model]), sample)
    labels = np.array([frame.stress for frame in sample])
    what = judge_stress(labels, np.array([one.stress for one in said]))
    if what is not None:
        sources = sorted({frame.source for frame in sample})
        raise DataError(
            f"{', '.join(sources)}: the stress of all frames {what}",
            remedy="give stress in eV/Å³, tension positive (ASE's convention), or leave it away; "
            "--no-stress-check trains on it as it is",
            files=sources,
        )


def judge_stress(labels: FloatArray, model: FloatArray) -> str | None:
    """Say what is wrong with the labels (F, 6), given a rough model's (F, 6), or None."""
    norm = np.sqrt(np.sum(labels**2) * np.sum(model**2))
    if not norm > 0:
        return None
    agreement = float(np.sum(labels * model) / norm)
    if abs(agreement) < AGREED:
        return None
    ratio = float(np.sum(labels * model) / np.sum(model**2))
    sign = "has the wrong sign: it is positive where the energy falls as the cell grows" * (
        ratio < 0
    )
    unit = _unit(abs(ratio))
    return " and ".join(part for part in (sign, unit) if part) or None


def _unit(ratio: float) -> str:
    """Name the unit whose numbers are so many times those in eV/Å³; empty for eV/Å³ itself."""
    distances = {name: abs(np.log(ratio / factor)) for name, factor in (_UNITS | {"": 1.0}).items()}
    nearest = min(distances, key=lambda name: distances[name])
    if not nearest:
        return ""
    return (
        f"seems to be in {nearest}, not in eV/Å³: it is {ratio:.3g} times the derivative of the "
        "energy by strain"
    )
