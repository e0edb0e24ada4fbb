"""The comparison of optimizers: one start, one loss, each by its own way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.bench.optimizers import LIMITS, OPTIMIZERS, Contest, check_optimizers, measure_optimizers
from aga.cli.main import main
from aga.config.potential import PotentialSettings
from aga.config.training import FIRST_ORDER, TrainingSettings
from aga.errors import InputError
from aga.structure.protocols import Frame
from aga.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"bench-{k}") for k in range(14)]


def contest(frames: list[Frame], *names: str, **training: Any) -> Contest:
    recipe = Recipe.for_frames(
        frames,
        PotentialSettings(cutoff=3.5, hidden=(4,)),
        TrainingSettings.model_validate({"passes": 10, **training}),
        seed=5,
    )
    return Contest(recipe=recipe, held=0.3, optimizers=check_optimizers(names))


def test_all_begin_with_the_same_loss(frames: list[Frame]) -> None:
    told: list[str] = []
    found = measure_optimizers(
        frames, contest(frames), processes=1, progress=lambda name, _: told.append(name)
    )
    rows = found["rows"]
    assert tuple(row["optimizer"] for row in rows) == OPTIMIZERS
    assert set(told) == set(OPTIMIZERS)
    assert len({row["start_loss"] for row in rows}) == 1
    lowest = min(rows, key=lambda row: float(row["loss"]))
    assert found["best"] == lowest["optimizer"]
    assert lowest["loss"] < 0.5 * rows[0]["start_loss"]
    assert len({row["loss"] for row in rows}) > 7  # some may not get below the start
    for row in rows:
        assert row["diverged"] is None
        assert row["loss"] <= row["start_loss"]
        assert 0 <= row["passes"] <= 10
        assert row["held_out_loss"] > 0
        assert row["seconds"] > 0


def test_the_look_is_that_of_the_lowest_training_loss(frames: list[Frame]) -> None:
    some = contest(frames, "newton", passes=3)
    (row,) = measure_optimizers(frames, some, processes=1)["rows"]
    assert row["passes"] == 3
    training = some.training("newton").training
    assert training.optimizer == "newton"
    weighed = 100.0 * (row["energy_rmse"] / 1000) ** 2 + row["force_rmse"] ** 2
    assert row["held_out_loss"] > 0.9 * weighed  # the rest is the stress; errors are those held out


def test_schedules_differ_and_their_limits_do_not(frames: list[Frame]) -> None:
    asked = contest(frames, focal_gamma=2.0, batch_size=3, optimizer="adam", learning_rate=1e-9)
    for name in OPTIMIZERS:
        training = asked.training(name).training
        pairs = training.prefactors()
        assert [limit for _, limit in pairs] == list(LIMITS.values())
        assert (pairs[1][0] == 1000.0) == (name in FIRST_ORDER)
        assert (training.gamma(), training.batch_size) == ((0.0, 0.0), 3)
        assert training.learning_rate is None
        assert (training.quarantine, training.energy_scale) == (False, None)
        assert training.validation_fraction == 0.3


def test_one_that_diverges_is_a_row(frames: list[Frame], monkeypatch: pytest.MonkeyPatch) -> None:
    from aga.training.methods import first_order

    kind = first_order.OPTIMIZERS["sgd"][0]
    monkeypatch.setitem(first_order.OPTIMIZERS, "sgd", (kind, 1e6))
    found = measure_optimizers(frames, contest(frames, "sgd", "adam"), processes=1)
    lost, kept = found["rows"]
    assert "diverged" in lost["diverged"]
    assert lost["loss"] == lost["start_loss"]
    assert kept["diverged"] is None
    assert found["best"] == "adam"


def test_names_are_checked() -> None:
    assert check_optimizers([]) == OPTIMIZERS
    assert check_optimizers(["sgd", "adam", "sgd"]) == ("sgd", "adam")
    with pytest.raises(InputError, match="no optimizer is called 'adma'") as told:
        check_optimizers(["adam", "adma"])
    assert "rmsprop" in str(told.value.remedy)


@pytest.fixture
def words(frames: list[Frame], tmp_path: Path) -> list[str]:
    images = []
    for frame in frames:
        atoms = frame.candidate.to_ase()
        labels = {"forces": frame.forces, "stress": frame.stress}
        atoms.calc = SinglePointCalculator(atoms, energy=frame.energy, **labels)
        images.append(atoms)
    write(tmp_path / "some.xyz", images, format="extxyz")
    (tmp_path / "fit.yaml").write_text("potential: {cutoff: 3.5, hidden: [4]}\n", "utf-8")
    named = ["--optimizer", "rprop", "--optimizer", "newton", "--passes", "5"]
    file, settings = str(tmp_path / "some.xyz"), str(tmp_path / "fit.yaml")
    return ["bench", "optimizers", file, "--settings", settings, "--processes", "1", *named]


def test_the_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    told = capsys.readouterr()
    assert "lowest loss in 5 passes over 14 frames; prefactors 100, 1, 4" in told.out
    assert re.search(r"rprop +[\d.]+ +[\d.]+ ", told.out)
    assert re.search(r"newton .* lowest", told.out)
    assert "2 of 2  newton: loss" in told.err
    assert main([*words, "--optimizer", "adma"]) == 2
    assert main([*words, "--test", "2"]) == 2


def test_every_key_of_the_document_is_described(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["schema"] == 1
    page = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    (section,) = re.findall(
        r"^## `aga bench optimizers --json`\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE
    )
    for key in {*said, *said["rows"][0]} - {"schema"}:
        assert f"`{key}`" in section, key
