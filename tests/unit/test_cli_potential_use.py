"""`aga potential evaluate` and `calibrate` on model files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from aga.cli.main import main
from aga.potential.calculator import CommitteeCalculator
from aga.potential.model import Model
from aga.rng import stream

Make = Callable[..., Model]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def models(make_member: Make, tmp_path: Path) -> list[str]:
    """Three members as options of the command line."""
    words = []
    for seed in range(3):
        file = tmp_path / f"member-{seed}.safetensors"
        file.write_bytes(make_member(seed).to_bytes())
        words += ["--model", str(file)]
    return words


def structures() -> list[Atoms]:
    rutile = bulk("TiO", "rocksalt", a=4.3)
    rutile.rattle(0.1, seed=1)
    slab = bulk("TiO", "rocksalt", a=4.3, cubic=True)
    slab.pbc = (True, True, False)
    cluster = Atoms("TiO2", [[0, 0, 0], [1.7, 0, 0], [0, 1.8, 0]])
    rutile.info["name"] = "g003-017"
    return [rutile, slab, cluster]


def document(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main(["potential", *words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_structures_of_any_periodicity(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, output = tmp_path / "some.xyz", tmp_path / "out" / "said.extxyz"
    write(file, structures(), format="extxyz")
    said = document(["evaluate", str(file), *models, "-o", str(output)], capsys)
    assert said["members"] == 3
    rows = said["structures"]
    assert [row["name"] for row in rows] == ["g003-017", "some-00001", "some-00002"]
    assert [row["formula"] for row in rows] == ["OTi", "O4Ti4", "O2Ti"]
    calculator = CommitteeCalculator.from_files(models[1::2])
    written = read(output, ":")
    for row, atoms, back in zip(rows, structures(), written, strict=True):
        atoms.calc = calculator
        assert row["energy"] == pytest.approx(atoms.get_potential_energy(), rel=1e-8)
        assert row["energy_per_atom"] == pytest.approx(row["energy"] / len(atoms))
        assert row["energy_spread"] == pytest.approx(calculator.results["energy_spread"])
        norms = np.linalg.norm(atoms.get_forces(), axis=1)
        assert row["max_force"] == pytest.approx(norms.max())
        assert row["force_spread"] == pytest.approx(calculator.results["force_spread"])
        np.testing.assert_allclose(back.get_forces(), atoms.get_forces(), atol=1e-7)
        np.testing.assert_allclose(
            back.arrays["forces_spread"], calculator.results["forces_spread"], atol=1e-7
        )
        assert back.get_potential_energy() == pytest.approx(row["energy"])
        assert back.info["energy_spread"] == pytest.approx(row["energy_spread"])
        assert (back.pbc == atoms.pbc).all()
    np.testing.assert_allclose(rows[0]["stress"], written[0].get_stress(), atol=1e-8)
    assert rows[2]["stress"] is None
    assert main(["potential", "evaluate", str(file), *models, "-o", str(output)]) == 2
    assert f"{output} exists already" in capsys.readouterr().err


def test_the_table(models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "some.xyz"
    write(file, structures(), format="extxyz")
    assert main(["potential", "evaluate", str(file), *models]) == 0
    text = capsys.readouterr().out
    assert "3 model files, members: 3" in text
    rows = [line.split() for line in text.split("\n") if "Ti" in line]
    assert [row[:2] for row in rows] == [
        ["g003-017", "OTi"],
        ["some-00001", "O4Ti4"],
        ["some-00002", "O2Ti"],
    ]
    assert rows[2][-1] == "–"


def on_one_point(atoms: Atoms) -> None:
    atoms.positions[1] = atoms.positions[0]


def not_a_number(atoms: Atoms) -> None:
    atoms.positions[1, 2] = np.nan


def flat(atoms: Atoms) -> None:
    atoms.cell[2] = atoms.cell[0]


def strange(atoms: Atoms) -> None:
    atoms.symbols[0] = "Au"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (on_one_point, "some-00001: two atoms stand on one point"),
        (not_a_number, "some-00001: the position of atom 1"),
        (flat, "some-00001: the cell has no volume"),
        (strange, "some-00001: the potential has no network for Au, only for O, Ti"),
    ],
)
def test_nonsense_gives_no_number(
    spoil: Callable[[Atoms], None],
    told: str,
    models: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = structures()
    images[1].pbc = True
    spoil(images[1])
    file = tmp_path / "some.xyz"
    write(file, images, format="extxyz")
    output = tmp_path / "out.xyz"
    assert main(["potential", "evaluate", str(file), *models, "-o", str(output)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert told in said.err
    assert not output.exists()
    error = document(["evaluate", str(file), *models], capsys, code=2)
    assert told in error["message"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none.xyz"], "none.xyz: cannot read structure 0: No such file"),
        (["{file}", "--model", "none.safetensors"], "none.safetensors: No such file"),
        (["{file}", "--model", "{file}"], "some.xyz: this is no model file"),
        (["{file}", "--search", "x"], "either model files or a search"),
        (["{file}", "--iteration", "3"], "either model files or a search"),
        (["{empty}"], "empty.xyz: "),
        (["{file}", "--device", "tpu"], "no device is called 'tpu'"),
    ],
)
def test_wrong_files_are_named(
    words: list[str],
    told: str,
    models: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, empty = tmp_path / "some.xyz", tmp_path / "empty.xyz"
    write(file, structures(), format="extxyz")
    empty.touch()
    words = [word.format(file=file, empty=empty) for word in words]
    assert main(["potential", "evaluate", *words, *models]) == 2
    assert told in capsys.readouterr().err


def labelled(file: Path, models: list[str], factor: float) -> None:
    """Write frames whose labels differ from the prediction by the spread times the factor."""
    calculator, rng, images = CommitteeCalculator.from_files(models[1::2]), stream(4, "f"), []
    for seed in range(60):
        atoms = bulk("TiO", "rocksalt", a=4.3) * (2, 1, 1)
        atoms.rattle(0.15, seed=seed)
        atoms.calc = calculator
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        spreads = calculator.results["forces_spread"][:, None] / np.sqrt(3)
        energy += factor * calculator.results["energy_spread"] * 4 * rng.normal()
        forces = forces + factor * spreads * rng.normal(size=(4, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        images.append(atoms)
    write(file, images, format="extxyz")


def test_calibration_finds_the_factor(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plot = tmp_path / "frames.xyz", tmp_path / "plot.png"
    labelled(file, models, 2.5)
    words = ["calibrate", "--frames", str(file), *models, "--groups", "4"]
    said = document([*words, "--plot", str(plot)], capsys)
    assert said["energies"]["count"] == 60
    assert said["forces"]["count"] == 240
    assert said["energies"]["scale"] == pytest.approx(2.5, rel=0.25)
    assert said["forces"]["scale"] == pytest.approx(2.5, rel=0.1)
    assert [group["count"] for group in said["energies"]["groups"]] == [15] * 4
    row = said["frames"][7]
    assert row["name"] == "frames-00007"
    assert abs(row["energy_error"]) < 15 * row["energy_spread"]
    assert row["force_error"] == pytest.approx(2.5 * row["force_spread"], rel=0.8)
    assert read_png(plot)[0] > 1000
    assert main(["potential", *words, "--plot", str(plot)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["potential", *words, "--plot", str(plot), "--force"]) == 0
    text = capsys.readouterr().out
    assert "energies (meV/atom)" in text
    assert "forces (eV/Å)" in text
    assert f"most likely factor {said['forces']['scale']:.3g}" in text


def read_png(file: Path) -> tuple[int, int]:
    """Give width and height."""
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def test_what_calibration_refuses(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plain = tmp_path / "frames.xyz", tmp_path / "plain.xyz"
    labelled(file, models, 1.0)
    write(plain, bulk("TiO", "rocksalt", a=4.3), format="extxyz")
    cases = [
        (["--frames", str(file), *models[:2]], "the spread is zero everywhere"),
        (["--frames", str(plain), *models], "has no energy"),
        (["--frames", str(file), *models, "--plot", "a.doc"], "a.doc: the ending names no format"),
    ]
    for words, told in cases:
        assert main(["potential", "calibrate", *words]) == 2
        said = capsys.readouterr()
        assert told in said.err
        assert said.out == ""


def keys(value: Any) -> set[str]:
    """Give the keys of all dictionaries inside; elements, paths and facts are no keys."""
    free = {"facts", "count", "reference_energies"}
    if isinstance(value, dict):
        inner = {key: item for key, item in value.items() if key not in free}
        return set(value) | {key for item in inner.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_key_of_the_documents_is_described(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    frames = tmp_path / "frames.xyz"
    labelled(frames, models, 1.0)
    table = ["functions", "--elements", "O,Ti"]
    for words in (
        table,
        ["show", models[1]],
        ["evaluate", str(frames), *models],
        ["calibrate", "--frames", str(frames), *models],
        ["export", *models, "-o", str(tmp_path / "out")],
    ):
        (section,) = re.findall(
            rf"^## `aga potential {words[0]} --json`\n(.*?)(?=^## )", page, re.DOTALL | re.MULTILINE
        )
        found = keys(document(words, capsys)) - {"schema"}
        if words[0] == "show":  # as those of the table, which the page refers to
            found -= keys(document(table, capsys)) - {"elements"}
        assert len(found) > 3
        assert not [key for key in sorted(found) if f"`{key}`" not in section], words[0]
