"""A training that was killed goes on and ends with the bits of one that was not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.structure.protocols import Frame
from aga.training.fit import Workshop, fit_member
from aga.training.recipe import Recipe
from aga.training.state import Checkpoint, TrainingState, remove_checkpoint

OPTIMIZERS = (
    "newton", "lbfgs", "adam", "adamw", "adamax", "adadelta", "asgd", "sgd", "rprop", "rmsprop",
)  # fmt: skip


class Killed(BaseException):
    """What a killed process looks like from inside."""


@pytest.fixture(scope="module")
def frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"resume-{k}") for k in range(12)]


def recipe(frames: list[Frame], **training: Any) -> Recipe:
    settings = TrainingSettings.model_validate({"passes": 20, "focal_gamma": 0.5, **training})
    potential = PotentialSettings(hidden=(6, 6))
    return Recipe.for_frames(frames, potential, settings, seed=3)


def options(optimizer: str) -> dict[str, Any]:
    """Settings by which there are some looks in twenty passes."""
    refresh = {"optimizer_options": {"refresh": 5}}
    return {"optimizer": optimizer, **(refresh if optimizer in {"newton", "lbfgs"} else {})}


@pytest.fixture(autouse=True)
def _at_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Checkpoint.__init__

    def init(self: Checkpoint, path: Path, digest: str) -> None:
        made(self, path, digest, every=0.0)

    monkeypatch.setattr(Checkpoint, "__init__", init)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("looks", [1, 3])
def test_a_killed_training_ends_with_the_same_bits(
    optimizer: str, looks: int, frames: list[Frame], tmp_path: Path
) -> None:
    chosen = recipe(frames, **options(optimizer))
    whole = fit_member(frames, chosen, member=0)
    seen: list[dict[str, Any]] = []

    def tell(entry: dict[str, Any]) -> None:
        seen.append(entry)
        if len(seen) == looks:
            raise Killed

    file = tmp_path / "member.checkpoint"
    with pytest.raises(Killed):
        fit_member(frames, chosen, member=0, workshop=Workshop(checkpoint=file, progress=tell))
    assert 0 < seen[-1]["passes"] < 20
    rest: list[dict[str, Any]] = []
    resumed = fit_member(
        frames, chosen, member=0, workshop=Workshop(checkpoint=file, progress=rest.append)
    )
    assert rest[0]["passes"] > seen[-1]["passes"]
    assert resumed.model.to_bytes() == whole.model.to_bytes()
    assert (resumed.history, resumed.weights) == (whole.history, whole.weights)


def test_a_torn_checkpoint_falls_back_to_the_one_before(
    frames: list[Frame], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chosen = recipe(frames, **options("newton"))
    whole = fit_member(frames, chosen, member=0).model.to_bytes()
    file = tmp_path / "member.checkpoint"
    before = file.with_name(file.name + ".previous")
    passes: list[int] = []

    def until_killed(entry: dict[str, Any]) -> None:
        passes.append(entry["passes"])
        if len(passes) == 3:
            raise Killed

    shop = Workshop(checkpoint=file, progress=until_killed)
    with pytest.raises(Killed):
        fit_member(frames, chosen, member=0, workshop=shop)
    content, older = file.read_bytes(), before.read_bytes()
    for torn in (content[: len(content) // 2], content[:-8] + bytes(8), b""):
        file.write_bytes(torn)
        before.write_bytes(older)
        passes[:] = [0] * 3
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            resumed = fit_member(frames, chosen, member=0, workshop=shop)
        assert passes[3:] == [15, 20]  # ten were in the one before
        assert resumed.model.to_bytes() == whole
        assert str(file) in caplog.text


def test_a_checkpoint_of_other_frames_or_settings_is_left_alone(
    frames: list[Frame], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "member.checkpoint"
    shop = Workshop(checkpoint=file)
    fit_member(frames, recipe(frames, **options("newton")), member=0, workshop=shop)
    other = recipe(frames, **options("newton"), focal_cap=7.0)
    with caplog.at_level(logging.WARNING):
        again = fit_member(frames, other, member=0, workshop=shop)
    assert "other frames or settings" in caplog.text
    assert again.model.to_bytes() == fit_member(frames, other, member=0).model.to_bytes()


def test_more_passes_go_on_where_fewer_ended(frames: list[Frame], tmp_path: Path) -> None:
    shop = Workshop(checkpoint=tmp_path / "member.checkpoint")
    few = recipe(frames, **options("newton"))
    fit_member(frames, few, member=0, workshop=shop)
    more = recipe(frames, **options("newton"), passes=30)
    result = fit_member(frames, more, member=0, workshop=shop)
    assert [entry["passes"] for entry in result.history] == [0, 5, 10, 15, 20, 25, 30]


def test_every_bit_of_a_state_comes_back(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    state = TrainingState(
        vector=torch.randn(7, generator=generator, dtype=torch.float64),
        passes=3,
        quarantined={"4": "no good"},
        best_loss=float("inf"),
        history=[{"passes": 0, "loss": 0.1 + 0.2, "validation": None}],
        method={"state": {"step": torch.tensor(3.0), "ax": torch.eye(2)}, "typical": 1 / 3},
    )
    checkpoint = Checkpoint(tmp_path / "deep" / "file", "digest")
    checkpoint.save(state)
    read = checkpoint.load()
    assert read is not None
    assert torch.equal(read.vector, state.vector)
    assert (read.passes, read.quarantined, read.history) == (3, {"4": "no good"}, state.history)
    assert read.best_loss == float("inf")
    assert torch.equal(read.method["state"]["ax"], torch.eye(2))
    assert read.method["typical"] == 1 / 3
    assert read.losses.shape == (0,)
    remove_checkpoint(checkpoint.path)
    assert checkpoint.load() is None
