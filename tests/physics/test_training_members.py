"""Members side by side, and one member on several ranks: the same as one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.errors import DataError, SiteError
from aga.structure.protocols import Frame
from aga.training.fit import FitResult, fit_member
from aga.training.members import Crew, train_members, train_on_ranks
from aga.training.recipe import Recipe


@pytest.fixture(scope="module")
def frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"crew-{k}") for k in range(9)]


def recipe(frames: list[Frame], **training: Any) -> Recipe:
    values = {"passes": 20, "optimizer_options": {"refresh": 5}, **training}
    settings = TrainingSettings.model_validate(values)
    return Recipe.for_frames(frames, PotentialSettings(hidden=(6, 6)), settings, seed=5)


def losses(result: FitResult) -> list[float]:
    return [entry["loss"] for entry in result.history]


def test_members_side_by_side_are_those_of_one_after_the_other(frames: list[Frame]) -> None:
    chosen, told = recipe(frames), []

    def tell(member: int, entry: dict[str, Any]) -> None:
        told.append((member, entry["passes"]))

    together = train_members(frames, chosen, [0, 3], Crew(processes=2), progress=tell)
    for member, result in zip((0, 3), together, strict=True):
        alone = fit_member(frames, chosen, member=member)
        assert result.model.to_bytes() == alone.model.to_bytes()
        assert (result.history, result.focal) == (alone.history, alone.focal)
    assert sorted(told) == [(member, passes) for member in (0, 3) for passes in (5, 10, 15, 20)]


def test_previous_models_reach_the_members(frames: list[Frame]) -> None:
    chosen = recipe(frames)
    first = train_members(frames[:6], chosen, [0, 1], Crew(processes=2))
    before = [result.model for result in first]
    second = train_members(frames, chosen, [0, 1], Crew(processes=2), previous=before)
    assert [result.model.facts["start"] for result in second] == ["previous", "previous"]


def test_what_is_wrong_with_the_data_comes_out_of_the_processes(frames: list[Frame]) -> None:
    bad = [*frames[:-1], replace(frames[-1], energy=float("nan"))]
    with pytest.raises(DataError, match="frame 8: the energy is nan"):
        train_members(bad, recipe(frames), [0, 1], Crew(processes=2))


@pytest.mark.mpi
@pytest.mark.parametrize(("training", "ranks", "rounding"), [
    # the sketch of the curvature is in single precision: 1e-4 apart after ten passes, 2e-2 after
    # twenty on one machine, where a sketch in double precision stays within 1e-12
    ({"passes": 10}, 2, 1e-3),
    ({"optimizer": "adam", "optimizer_options": {}, "batch_size": 3, "passes": 5}, 2, 1e-9),
    ({"optimizer": "lbfgs", "focal_gamma": 1.0}, 3, 1e-6),
    ({"optimizer": "lbfgs", "passes": 5, "validation_fraction": 0.2}, 3, 1e-9),
])  # fmt: skip
def test_ranks_give_the_history_of_one(
    training: dict[str, Any], ranks: int, rounding: float, frames: list[Frame], tmp_path: Path
) -> None:
    chosen = recipe(frames, **training)
    alone = fit_member(frames, chosen, member=0)
    shared = train_on_ranks(frames, chosen, 0, None, tmp_path / "job", Crew(ranks=ranks))
    assert [e["passes"] for e in shared.history] == [e["passes"] for e in alone.history]
    np.testing.assert_allclose(losses(shared)[0], losses(alone)[0], rtol=1e-12)
    # rounding grows from pass to pass: the paths are those of one and the same loss
    np.testing.assert_allclose(losses(shared), losses(alone), rtol=rounding)
    np.testing.assert_allclose(
        list(shared.focal.values()), list(alone.focal.values()), rtol=rounding
    )
    assert list(shared.focal) == list(alone.focal)
    for split in ("training", "validation"):
        mine, theirs = shared.metrics[split], alone.metrics[split]
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            assert mine["energy_rmse"] == pytest.approx(theirs["energy_rmse"], rel=rounding)


@pytest.mark.mpi
def test_ranks_begin_alike_with_a_descriptor_that_is_trained(
    frames: list[Frame], tmp_path: Path
) -> None:
    training = TrainingSettings(passes=4, optimizer_options={"refresh": 2})
    potential = PotentialSettings(hidden=(6, 6), descriptor="deep_smooth")
    chosen = Recipe.for_frames(frames, potential, training, seed=5)
    alone = fit_member(frames, chosen, member=0)
    shared = train_on_ranks(frames, chosen, 0, None, tmp_path / "job", Crew(ranks=2))
    np.testing.assert_allclose(losses(shared), losses(alone), rtol=1e-8)


@pytest.mark.mpi
def test_ranks_refuse_bad_frames_with_the_message_of_one(
    frames: list[Frame], tmp_path: Path
) -> None:
    bad = [*frames[:-1], replace(frames[-1], energy=float("inf"))]
    with pytest.raises(DataError, match="frame 8: the energy is inf"):
        train_on_ranks(bad, recipe(frames), 0, None, tmp_path / "job", Crew(ranks=2))


@pytest.mark.mpi
def test_a_rank_that_dies_is_told_of_and_the_training_goes_on_later(
    frames: list[Frame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rank 0 kills itself after its first checkpoint."""
    chosen, folder = recipe(frames, passes=400), tmp_path / "job"
    killer = tmp_path / "killer.py"
    killer.write_text(
        "import os, sys, runpy\n"
        "import aga.training.state as state\n"
        "save = state.Checkpoint.save\n"
        "def once(self, content):\n"
        "    self.every = 0.0\n"
        "    save(self, content)\n"
        "    os.kill(os.getpid(), 9)\n"
        "state.Checkpoint.save = once\n"
        "sys.argv = ['ranked', sys.argv[-1]]\n"
        "runpy.run_module('aga.training.ranked', run_name='__main__')\n"
    )
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(tmp_path))
        patched.setattr("aga.training.members.PROGRAM", "killer")
        with pytest.raises(SiteError):
            train_on_ranks(frames, chosen, 0, None, folder, Crew(ranks=2))
    assert (folder / "checkpoint").exists()
    resumed = train_on_ranks(frames, chosen, 0, None, folder, Crew(ranks=2))
    whole = train_on_ranks(frames, chosen, 0, None, tmp_path / "whole", Crew(ranks=2))
    assert resumed.model.to_bytes() == whole.model.to_bytes()
