"""`aga tune gamma` on two small files, and on a search."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.cli.main import main
from aga.config.schema import Settings
from aga.store.repository import Repository
from aga.structure.protocols import Frame

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = """
potential: {cutoff: 3.5, hidden: [4]}
training: {optimizer: adam, passes: 6}
"""


@pytest.fixture(scope="module")
def frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"tune-{k}") for k in range(16)]


def save(path: Path, frames: list[Frame]) -> str:
    images = []
    for frame in frames:
        atoms = frame.candidate.to_ase()
        labels = {"forces": frame.forces, "stress": frame.stress}
        atoms.calc = SinglePointCalculator(atoms, energy=frame.energy, **labels)
        images.append(atoms)
    write(path, images, format="extxyz")
    return str(path)


@pytest.fixture
def words(frames: list[Frame], tmp_path: Path) -> list[str]:
    """Give the command with its files and a folder."""
    (tmp_path / "fit.yaml").write_text(SETTINGS, "utf-8")
    files = [save(tmp_path / "base.xyz", frames[:10]), save(tmp_path / "new.xyz", frames[10:])]
    return ["tune", "gamma", *files, "--settings", str(tmp_path / "fit.yaml"), *common(tmp_path)]


def common(folder: Path) -> list[str]:
    gammas = ["--gamma", "0", "--gamma", "2"]
    return [*gammas, "--seeds", "2", "--processes", "1", "--output", str(folder / "scan")]


def document(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main([*words, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def keys(value: Any) -> set[str]:
    """Give the keys of all dictionaries inside."""
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_two_files(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = document([*words, "--target", "1e9", "--target", "1e-9"], capsys)
    assert said["frames"] == {"base": 9, "held": 1, "new": 6}
    assert (said["optimizer"], said["passes"], said["resolution"]) == ("adam", 6, 1)
    assert said["targets"] == [1e9, 1e-9]
    for row in said["rows"]:
        assert row["passes"]["1e+09"] == {"median": 0, "min": 0, "max": 0, "reached": 2}
        assert row["passes"]["1e-09"]["reached"] == 0
        assert row["new_loss"] > 0
        assert row["old_loss"] > 0
    assert [row["gamma"] for row in said["rows"]] == [0, 2]
    assert said["plot"] == str(tmp_path / "scan" / "gamma.png")
    assert (tmp_path / "scan" / "gamma.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    (section,) = re.findall(
        r"^## `aga tune gamma --json`\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE
    )
    found = keys(said) - {"schema", "1e+09", "1e-09"}
    assert not [key for key in sorted(found) if f"`{key}`" not in section]


def test_the_table_and_going_on(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    told = capsys.readouterr()
    assert re.search(r"6 new structures join 9, adam, 6 passes, 2 seeds", told.out)
    assert re.search(r"passes to a mean loss of +γ = 0 +γ = 2", told.out)
    assert re.search(r"final loss, new structures \(from [\d.]+\)", told.out)
    assert "6 of 6  seed-01-gamma" in told.err
    before = told.out
    assert main(words) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == (before, "")
    assert main([*words, "--seeds", "1"]) == 0
    assert "one seed" in capsys.readouterr().out
    assert main([*words, "--passes", "3"]) == 2
    said = capsys.readouterr().err
    assert "holds a scan of other frames or settings" in said
    assert "--force" in said
    assert main([*words, "--passes", "3", "--force"]) == 0
    assert "adam, 3 passes" in capsys.readouterr().out


def test_few_new_frames_are_warned_of(
    words: list[str], frames: list[Frame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words[3] = save(tmp_path / "few.xyz", frames[10:14])
    said = document([*words, "--seeds", "1", "--optimizer", "newton"], capsys)
    assert (said["optimizer"], said["resolution"]) == ("newton", 5)
    assert any("only 4 new frames" in note for note in said["notes"])


def test_without_held_out_frames(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    said = document([*words, "--seeds", "1", "--test", "0"], capsys)
    assert said["frames"] == {"base": 10, "held": 0, "new": 6}
    assert {row["old_loss"] for row in said["rows"]} == {None}
    assert said["start"]["old_loss"] is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--gamma", "-1"], "γ of -1"),
        (["--target", "0"], "a loss is above 0"),
        (["--optimizer", "sdg"], "training.optimizer"),
        (["--search", "Si8"], "either files or a search"),
        (["third.xyz"], "3 files of frames instead of two"),
        (["--test", "1"], "none is left to train on"),
    ],
)
def test_what_is_refused(
    more: list[str], told: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_new_frames_that_are_not_new_are_named(
    words: list[str], frames: list[Frame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words[3] = save(tmp_path / "mixed.xyz", [*frames[10:], frames[2], frames[5]])
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "2 of the new frames are in the base set already: mixed-00006, mixed-00007" in said


@pytest.mark.embedded
def test_a_search(
    repository: Repository,
    embedded_database: str,
    frames: list[Frame],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = Settings.model_validate(
        {
            "search": {"composition": "Si8"},
            "potential": {"cutoff": 3.5, "hidden": [4]},
            "training": {"optimizer": "adam", "passes": 4},
        }
    )
    name = settings.search_id()
    repository.create_search(settings)
    repository.put_frames(name, 0, frames)
    names = [frame.name for frame in frames]
    repository.commit_dataset(name, 0, None, names[:9])
    card = {"dataset": 0, "members": [], "metrics": {}}
    repository.commit_committee(name, 0, card)
    words = ["tune", "gamma", "--database", embedded_database, *common(tmp_path)]
    assert main(words) == 2
    assert "no second committee: nothing has joined its data yet" in capsys.readouterr().err
    repository.commit_dataset(name, 1, 0, names[9:])
    repository.commit_committee(name, 1, card | {"dataset": 1})
    said = document(words, capsys)
    assert said["frames"] == {"base": 8, "held": 1, "new": 7}
    assert (said["optimizer"], said["passes"]) == ("adam", 4)
