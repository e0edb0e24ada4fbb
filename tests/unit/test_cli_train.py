"""`aga train`: from a file to a folder, gone on with, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.cli.main import main
from aga.structure.protocols import Frame

SMALL = """\
potential:
  hidden: [6, 6]
  functions: compact
training:
  passes: 20
  optimizer_options: {refresh: 10}
  validation_fraction: 0.2
"""


@pytest.fixture(scope="module")
def images(make_silicon: Callable[[str], Frame]) -> list[Atoms]:
    found = []
    for k in range(24):
        frame = make_silicon(f"cli-{k}")
        atoms = frame.candidate.to_ase()
        atoms.info = {"group": ("cold", "hot")[k % 2]}
        atoms.calc = SinglePointCalculator(
            atoms, energy=frame.energy, forces=frame.forces, stress=frame.stress
        )
        found.append(atoms)
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: list[Atoms]) -> Path:
    monkeypatch.chdir(tmp_path)
    write("frames.xyz", images[:18], format="extxyz")
    write("new.xyz", images[18:], format="extxyz")
    Path("small.yaml").write_text(SMALL)
    return tmp_path


def run(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    common = ["--settings", "small.yaml", "--processes", "1", "--json"]
    assert main(["train", *words, *common]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_from_a_file_to_a_folder_and_on_with_more_frames(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run(["frames.xyz", "--members", "2", "--test", "0.2"], capsys)
    folder = place / "frames-potential"
    assert {path.name for path in folder.iterdir()} == {
        "member-0.safetensors", "member-1.safetensors", "training.json",
        "learning.png", "parity.png",
    }  # fmt: skip
    assert first["folder"] == "frames-potential"
    assert first["splits"]["training"]["frames"] + first["splits"]["test"]["frames"] == 18
    assert first["splits"]["training"]["energy"]["mae"] < 40
    assert [member["diverged"] for member in first["members"]] == [None, None]
    assert set(first["groups"]) == {"cold", "hot"}
    record = json.loads((folder / "training.json").read_text())
    assert sorted(record["frames"]["known"] + record["frames"]["test"]) == [
        f"frames-{k:05d}" for k in range(18)
    ]
    assert set(record["focal_weights"][0]) <= set(record["frames"]["known"])
    words = ["frames.xyz", "new.xyz", "--start", str(folder), "-o", "more"]
    error = [*words, "--members", "3", "--json"]
    assert main(["train", *error]) == 2
    assert "the earlier training has 2" in json.loads(capsys.readouterr().out)["message"]
    assert main(["train", *words, "--json", "--processes", "1"]) == 0
    second = json.loads(capsys.readouterr().out)
    later = json.loads((place / "more" / "training.json").read_text())
    assert set(record["frames"]["test"]) <= set(later["frames"]["test"])
    assert later["recipe"] == record["recipe"]
    retained = second["retained"]
    assert retained["split"] == "test"
    assert retained["frames"] == len(record["frames"]["test"])
    assert retained["before"]["energy"]["mae"] > 0
    assert retained["after"]["forces"]["mae"] < 2 * retained["before"]["forces"]["mae"]
    assert main(["evaluate", "more", "new.xyz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["members"] == 2


def test_a_dry_run_reads_and_tells(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run(["frames.xyz", "--dry-run", "--members", "3", "--test", "0.2"], capsys)
    assert (said["frames"], said["members"], said["optimizer"]) == (18, 3, "newton")
    assert said["known"] + said["test"] == 18
    assert said["parameters"] > 100
    assert not (place / "frames-potential").exists()


def test_a_finished_folder_is_kept_unless_forced(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["frames.xyz", "--members", "1", "--test", "0", "--passes", "10"]
    run(words, capsys)
    error = run(words, capsys, code=2)
    assert "holds a finished training" in error["message"]
    assert "--start" in error["remedy"]
    run([*words, "--force"], capsys)
    assert place.exists()


@pytest.mark.parametrize(("words", "message"), [
    (["frames.xyz", "--optimizer", "adamm"], "training.optimizer"),
    (["frames.xyz", "--test", "1.5"], "training.test_fraction"),
    (["frames.xyz", "--start", "nowhere"], "holds no finished training"),
    (["none.xyz"], "none.xyz"),
    (["frames.xyz", "--test", "0.001"], "the test set is empty"),
])  # fmt: skip
def test_what_is_wrong_is_said(
    words: list[str], message: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in run(words, capsys, code=2)["message"]
    assert not (place / "frames-potential").exists()


def test_an_empty_validation_split_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.yaml").write_text(SMALL.replace("0.2", "0.001"))
    error = run(["frames.xyz", "--test", "0"], capsys, code=2)
    assert "the validation split of member 0 is empty" in error["message"]
    assert place.exists()


def test_stress_of_the_wrong_sign_is_refused(
    place: Path, images: list[Atoms], capsys: pytest.CaptureFixture[str]
) -> None:
    turned = []
    for atoms in images:
        copy = atoms.copy()
        results = {name: atoms.calc.results[name] for name in ("energy", "forces")}
        copy.calc = SinglePointCalculator(copy, **results, stress=-atoms.calc.results["stress"])
        turned.append(copy)
    write("turned.xyz", turned, format="extxyz")
    error = run(["turned.xyz", "--test", "0"], capsys, code=2)
    assert "wrong sign" in error["message"]
    assert "turned.xyz" in error["message"]
    passes = ["turned.xyz", "--test", "0", "--no-stress-check", "--members", "1", "--passes", "10"]
    run(passes, capsys)
    assert place.exists()


def test_mistakes_in_the_settings_are_told_with_their_lines(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("small.yaml").write_text("training:\n  passes: -3\n  gama: 1\n")
    error = run(["frames.xyz"], capsys, code=2)
    assert "small.yaml:2" in error["message"]
    assert "small.yaml:3" in error["message"]
    assert not (place / "frames-potential").exists()


def test_an_interrupted_training_goes_on(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aga.report.training_progress import TrainingProgress
    from aga.training.state import Checkpoint

    made = Checkpoint.__init__
    monkeypatch.setattr(
        Checkpoint, "__init__", lambda self, path, digest: made(self, path, digest, every=0.0)
    )
    words = ["frames.xyz", "--members", "1", "--test", "0"]
    with monkeypatch.context() as patched:

        def interrupt(self: TrainingProgress, member: int, entry: dict[str, Any]) -> None:
            raise KeyboardInterrupt

        patched.setattr(TrainingProgress, "tell", interrupt)
        assert main(["train", *words, "--settings", "small.yaml", "--processes", "1"]) == 130
    assert (place / "frames-potential" / "checkpoints" / "member-0.checkpoint").exists()
    capsys.readouterr()
    resumed = run(words, capsys)
    whole = run([*words, "-o", "whole"], capsys)
    one, other = (
        (place / name / "member-0.safetensors").read_bytes()
        for name in ("frames-potential", "whole")
    )
    assert one == other
    assert resumed["members"] == whole["members"]
    assert not (place / "frames-potential" / "checkpoints").exists()
