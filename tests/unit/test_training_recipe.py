"""What a training is made by, where the settings leave it open."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
import pytest

from aga.config import Settings
from aga.config.potential import CUTOFF, PotentialSettings
from aga.config.training import TrainingSettings
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fixed import function_set
from aga.training.recipe import NEIGHBOURS, Recipe


def recipe(composition: str, potential: dict[str, Any] | None = None, **search: Any) -> Recipe:
    tree = {
        "search": {"composition": composition, **search},
        "potential": potential or {},
        "oracle": {"engine": "emt"},
    }
    return Recipe.of_search(Settings.model_validate(tree))


def test_the_cutoff_of_a_search_holds_nineteen_atoms() -> None:
    radius = recipe("Cu4", volume_per_atom=8.0).potential.cutoff
    assert radius is not None
    assert radius == pytest.approx((3 * NEIGHBOURS * 8.0 / (4 * pi)) ** (1 / 3), abs=0.05)


def test_it_shrinks_with_the_atoms_and_not_with_their_number() -> None:
    silicon, carbon = recipe("Si8").potential.cutoff, recipe("C8").potential.cutoff
    assert (silicon, carbon) == (4.5, 3.1)
    assert recipe("Si2").potential.cutoff == silicon


def test_what_the_settings_say_stays() -> None:
    assert recipe("C8", {"cutoff": 5.0}).potential.cutoff == 5.0
    assert recipe("TiO2", {"preset": "tio2"}).potential.cutoff is None
    assert recipe("TiO2", {"preset": "tio2"}).potential == PotentialSettings(preset="tio2")


def test_without_a_search_it_is_one_number() -> None:
    settings = PotentialSettings()
    candidate = Candidate(
        name="a", numbers=np.array([6]), positions=np.zeros((1, 3)), cell=3.0 * np.eye(3)
    )
    frame = Frame(candidate=candidate, energy=-1.0)
    made = Recipe.for_frames([frame], settings, TrainingSettings(), seed=0)
    assert made.potential == settings
    assert function_set(made.elements, made.potential).cutoff == CUTOFF
