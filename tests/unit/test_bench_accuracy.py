"""`aga bench accuracy`: which frames are trained and tested on, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
    Tersoff_PRB_39_5566_Si_C,
)

from aga.bench import accuracy
from aga.bench.accuracy import AccuracyOptions, measure_accuracy
from aga.bench.accuracy_data import (
    FOLDER,
    LARGEST_FORCE,
    SETS,
    Source,
    divide,
    find_set,
    read_set,
)
from aga.bench.accuracy_table import accuracy_tables
from aga.cli.console import console
from aga.cli.main import main
from aga.config.potential import PotentialSettings
from aga.errors import InputError
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fit import fit_member

NUMBER = {"type": "integer", "minimum": 0}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
MAYBE = {"type": ["number", "null"], "minimum": 0}
ERRORS = ["energy_mae", "energy_rmse", "force_mae", "force_rmse"]
COUNTS = ["passes", "train_frames", "test_frames", "validation_frames", "parameters"]
TIMES = ["seconds", "frames_per_second", "seconds_per_pass"]
PUBLISHED = {
    "type": ["object", "null"],
    "properties": {"title": {"type": "string"}, "source": {"type": "string"}}
    | dict.fromkeys(ERRORS, MAYBE),
    "required": ["title", "source", *ERRORS],
}
ROW = {
    "type": "object",
    "properties": {"set": {"type": "string"}, "published": PUBLISHED}
    | dict.fromkeys(ERRORS, MAYBE)
    | dict.fromkeys(COUNTS, NUMBER)
    | dict.fromkeys(TIMES, POSITIVE),
    "required": ["set", *ERRORS, *COUNTS, *TIMES, "published"],
    "additionalProperties": False,
}
SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": 1},
        "threads": {"const": 2},
        "settings": {"type": "object", "required": ["potential", "training"]},
        "rows": {"type": "array", "items": ROW},
        "speed": {"type": "array"},
    },
    "required": ["schema", "settings", "threads", "rows", "speed"],
    "additionalProperties": False,
}


def silicon(number: int) -> Atoms:
    rng = stream(2, "silicon", number)
    atoms = bulk("Si", "diamond", a=5.43, cubic=True)
    atoms.positions += rng.normal(0, 0.08, (8, 3))
    atoms.calc = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
    labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    training, test = tmp_path / "train.xyz", tmp_path / "test.extxyz"
    write(training, [silicon(number) for number in range(26)], format="extxyz")
    write(test, [silicon(number) for number in range(26, 30)], format="extxyz")
    return training, test


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small functions, network and course, so that a training takes a second."""
    monkeypatch.setattr(accuracy, "POTENTIAL", PotentialSettings(cutoff=3.5, hidden=(4,)))
    options = {"passes": 12, "optimizer_options": {"refresh": 4.0}, "jacobian_memory": 0.5}
    monkeypatch.setattr(accuracy, "TRAINING", accuracy.TRAINING.model_copy(update=options))
    monkeypatch.setattr(accuracy, "THREADS", 1)


def silent(_: str) -> None:
    pass


def test_files_of_ones_own(
    files: tuple[Path, Path],
    small: None,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    seen: list[list[str]] = []

    def watched(frames: list[Frame], *arguments: Any, **options: Any) -> Any:
        seen.append([frame.source for frame in frames])
        return fit_member(frames, *arguments, **options)

    monkeypatch.setattr(accuracy, "fit_member", watched)
    output = tmp_path / "accuracy.json"
    words = ["bench", "accuracy", "--data", *map(str, files)]
    assert main([*words, "--json", "--output", str(output)]) == 0
    assert seen == [["train.xyz"] * 26]
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert json.loads(output.read_text("utf-8")) == document
    wanted = SCHEMA | {"properties": SCHEMA["properties"] | {"threads": {"const": 1}}}  # type: ignore[operator] # a literal
    jsonschema.validate(document, wanted)
    (row,) = document["rows"]
    assert (row["set"], row["published"], row["passes"]) == ("custom", None, 12)
    assert (row["train_frames"], row["test_frames"]) == (26, 4)
    trained = row["train_frames"] - row["validation_frames"]
    assert row["frames_per_second"] == pytest.approx(trained * 12 / row["seconds"])
    assert 0.0 < row["energy_mae"] <= row["energy_rmse"] < 40.0  # the spread of the labels is 60
    assert 0.0 < row["force_mae"] <= row["force_rmse"] < 1.0
    assert "custom: 12 passes" in said.err
    assert "speed of passes is not measured" in said.err
    assert document["speed"] == []


def test_errors_are_those_of_the_test_frames(files: tuple[Path, Path], small: None) -> None:
    options = AccuracyOptions(data=files, speed=False)
    (row,) = measure_accuracy(options, silent)["rows"]
    from aga.potential.kinds import make_committee
    from aga.training.recipe import Recipe

    data = read_set(Source(files=files))
    recipe = Recipe.for_frames(
        data.training, accuracy.POTENTIAL, accuracy.TRAINING, seed=accuracy.SEED
    )
    committee = make_committee([fit_member(data.training, recipe, member=0).model])
    said = committee.predict([frame.candidate for frame in data.test])
    energy = [(p.energy - f.energy) / 8 for p, f in zip(said, data.test, strict=True)]
    force = [p.forces - f.forces for p, f in zip(said, data.test, strict=True)]
    assert row["energy_rmse"] == pytest.approx(1e3 * np.sqrt(np.mean(np.square(energy))))
    assert row["energy_mae"] == pytest.approx(1e3 * np.abs(energy).mean())
    assert row["force_rmse"] == pytest.approx(np.sqrt(np.mean(np.square(force))))
    assert row["force_mae"] == pytest.approx(np.abs(force).mean())


@pytest.mark.parametrize(("minutes", "passes"), [(0.0, 8), (10.0, 12)])
def test_a_limit_of_time(
    files: tuple[Path, Path], small: None, minutes: float, passes: int
) -> None:
    """Two looks are made anyway; a limit that is far away changes nothing."""
    looks: list[str] = []
    options = AccuracyOptions(data=files, speed=False, minutes=minutes)
    (row,) = measure_accuracy(options, looks.append)["rows"]
    assert row["passes"] == passes
    assert sum("passes," in line for line in looks) == passes // 4
    free = measure_accuracy(AccuracyOptions(data=files, speed=False), silent)["rows"][0]
    assert (row["energy_rmse"] == free["energy_rmse"]) == (passes == 12)


def test_energies_alone(files: tuple[Path, Path], small: None) -> None:
    for path in files:
        images = read(path, index=":")
        for atoms in images:
            energy = atoms.get_potential_energy()
            atoms.calc = SinglePointCalculator(atoms, energy=energy)
        write(path, images, format="extxyz")
    (row,) = measure_accuracy(AccuracyOptions(data=files, speed=False), silent)["rows"]
    assert row["force_mae"] is row["force_rmse"] is None
    assert row["energy_mae"] > 0


def test_missing_files_are_named_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(accuracy, "fit_member", None)
    first = tmp_path / "mlearn" / "Si_train.xyz.gz"
    first.parent.mkdir()
    first.touch()
    assert main(["bench", "accuracy", "--set", "mlearn-Si"]) == 2
    said = capsys.readouterr().err
    page = "docs/how-to/benchmark-data.md"
    assert (Path(__file__).resolve().parents[2] / page).exists()
    for word in ("Si_test.xyz.gz", FOLDER, page):
        assert word in said
    monkeypatch.delenv(FOLDER)
    for arguments in (["--set", "tio2"], ["--speed-only"]):
        assert main(["bench", "accuracy", *arguments]) == 2
        assert "TiO2_1000.xyz.gz" in capsys.readouterr().err


def test_wrong_words(files: tuple[Path, Path]) -> None:
    with pytest.raises(InputError, match="mlearn-Ge"):
        find_set("mlearn-Ge", Path())
    with pytest.raises(InputError, match="to train on and to test on"):
        read_set(Source(files=(files[0], files[0])))
    assert main(["bench", "accuracy", "--speed-only", "--no-speed"]) == 2


def frame(number: int, force: float = 0.0) -> Frame:
    candidate = Candidate(
        name=f"made-{number:05d}",
        numbers=np.array([22]),
        positions=np.zeros((1, 3)),
        cell=4.0 * np.eye(3),
    )
    return Frame(candidate=candidate, energy=-1.0, forces=np.array([[force, 0.0, force]]))


def test_violent_frames_are_left_out_and_the_others_divided_by_name() -> None:
    violent = [frame(number, LARGEST_FORCE / 1.4) for number in range(3)]
    calm = [frame(number, LARGEST_FORCE / 1.5) for number in range(3, 300)]
    data = divide(violent + calm)
    names = [[f.name for f in part] for part in (data.training, data.test)]
    assert sorted(names[0] + names[1]) == [f.name for f in calm]
    assert 15 < len(data.test) < 45
    assert [f.name for f in divide(calm[::-1]).test] == names[1][::-1]


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "training", "test"),
    [("mlearn-Si", 214, 25), ("mlearn-Mo", 194, 23), ("tio2", 907, 93)],
)
def test_the_public_sets(shared_data: Path, name: str, training: int, test: int) -> None:
    data = read_set(find_set(name, shared_data))
    assert (len(data.training), len(data.test)) == (training, test)
    assert all(f.forces is not None for f in data.training + data.test)
    names = [{(f.source, f.name) for f in part} for part in (data.training, data.test)]
    assert not names[0] & names[1]
    assert SETS[name].published is not None


def test_published_numbers_are_marked_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    row = dict.fromkeys([*ERRORS, *COUNTS, *TIMES], 9) | {"set": "mlearn-Si"}
    published = SETS["mlearn-Si"].published
    assert published is not None
    rows = [row | {"published": published.to_dict()}, row | {"published": None}]
    console().print(accuracy_tables({"threads": 2, "rows": rows, "speed": []}))
    said = capsys.readouterr().out
    (line,) = (line for line in said.split("\n") if "6.93" in line)
    assert "published" in line
    assert "0.170" in line
    assert "J. Phys. Chem. A 124, 731" in said
