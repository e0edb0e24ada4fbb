"""Bad labels among good ones: found, left out and reported; good but hard ones are learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.potential.kinds import make_committee
from aga.rng import stream
from aga.structure.protocols import Frame
from aga.training.fit import FitResult, fit_member
from aga.training.recipe import Recipe
from aga.training.scoring.assessment import assess, predict_frames


@pytest.fixture(scope="module")
def frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"label-{k}") for k in range(60)]


def fit(frames: list[Frame], **training: Any) -> FitResult:
    values = {"passes": 160, "validation_fraction": 0.0, "energy_scale": None, "focal_gamma": 1.0}
    settings = TrainingSettings.model_validate(values | training)
    recipe = Recipe.for_frames(frames, PotentialSettings(hidden=(8, 8)), settings, seed=1)
    return fit_member(frames, recipe, member=0)


def spoilt(frames: list[Frame]) -> tuple[list[Frame], set[str]]:
    """Forces of two frames given to the wrong atoms, and the energy of one off by 0.3 eV/atom."""
    bad = list(frames)
    for place in (7, 23):
        forces = frames[place].forces
        assert forces is not None
        bad[place] = replace(frames[place], forces=stream(place, "mix").permutation(forces))
    bad[41] = replace(frames[41], energy=frames[41].energy + 8 * 0.3)
    return bad, {frames[place].name for place in (7, 23, 41)}


def test_good_labels_are_all_kept(frames: list[Frame]) -> None:
    assert fit(frames).quarantined == {}


def test_planted_errors_are_found_and_nothing_else(frames: list[Frame]) -> None:
    bad, names = spoilt(frames)
    result = fit(bad)
    assert set(result.quarantined) == names
    assert "forces are off by" in result.quarantined[frames[7].name]
    assert "energy is off by" in result.quarantined[frames[41].name]
    assert all(result.focal[name] == 0.0 for name in names)
    history = result.weights[frames[7].name]
    assert max(history) > 2.0  # it was chased for a while
    assert history[-1] == 0.0


def test_what_is_left_is_fitted_as_if_they_had_not_been_there(
    frames: list[Frame], make_silicon: Callable[[str], Frame]
) -> None:
    bad, _ = spoilt(frames)
    unseen = [make_silicon(f"unseen-{k}") for k in range(20)]

    def error(result: FitResult) -> float:
        said = predict_frames(make_committee([result.model]), unseen)
        forces = assess(unseen, said).all.forces
        assert forces is not None
        return forces.rmse

    chased, kept = error(fit(bad, quarantine=False)), error(fit(bad))
    assert kept < 0.6 * chased


def test_a_high_frame_that_can_be_learnt_stays(
    frames: list[Frame], make_silicon: Callable[[str], Frame]
) -> None:
    """Right labels unlike the others: large forces, but of the same potential."""
    from ase.build import bulk
    from matscipy.calculators.manybody import Manybody
    from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
    from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
        Tersoff_PRB_39_5566_Si_C,
    )

    from aga.structure.candidate import Candidate

    atoms = bulk("Si", "diamond", a=5.1, cubic=True)
    atoms.positions += stream(1, "hot").normal(0, 0.25, (8, 3))
    atoms.calc = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
    hot = Frame(
        candidate=Candidate.from_ase(atoms, name="hot"),
        energy=float(atoms.get_potential_energy()),
        forces=atoms.get_forces(),
        stress=atoms.get_stress(),
    )
    assert np.abs(atoms.get_forces()).max() > 5.0
    result = fit([*frames, hot])
    assert result.quarantined == {}
