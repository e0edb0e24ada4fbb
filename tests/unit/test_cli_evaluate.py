"""`aga evaluate`: a potential against labelled frames."""

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
from aga.units import EV_PER_A3_IN_GPA

Make = Callable[..., Model]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(make_member: Make, tmp_path: Path) -> Path:
    """Eleven members, whose numbers do not sort as text."""
    place = tmp_path / "potential"
    place.mkdir()
    for seed in range(11):
        (place / f"member-{seed}.safetensors").write_bytes(make_member(seed % 3).to_bytes())
    (place / "other.safetensors").write_bytes(b"no member")
    return place


def members(folder: Path) -> list[Path]:
    return [folder / f"member-{number}.safetensors" for number in range(11)]


def labelled(file: Path, folder: Path, groups: tuple[str, ...] = ("rattled", "")) -> None:
    """Write frames with known errors: ±8 meV/atom, 0.2 eV/Å and 1 GPa on each component."""
    calculator, images = CommitteeCalculator.from_files(members(folder)), []
    for seed in range(6):
        atoms = bulk("TiO", "rocksalt", a=4.3) * (2, 1, 1)
        atoms.rattle(0.15, seed=seed)
        atoms.calc = calculator
        sign = (-1) ** seed
        labels = {
            "energy": atoms.get_potential_energy() + sign * 0.008 * len(atoms),
            "forces": atoms.get_forces() + sign * 0.2,
            "stress": atoms.get_stress() + sign / EV_PER_A3_IN_GPA,
        }
        atoms.calc = SinglePointCalculator(atoms, **labels)
        if group := groups[seed % len(groups)]:
            atoms.info["config_type"] = group
        images.append(atoms)
    write(file, images, format="extxyz")


def document(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main(["evaluate", *words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def test_errors_are_those_put_in(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "test.xyz"
    labelled(file, folder)
    said = document([str(folder), str(file)], capsys)
    assert (said["members"], said["frames"], said["potential"]) == (11, 6, "11 model files")
    for quantity, error, count in (("energy", 8, 6), ("forces", 0.2, 72), ("stress", 1, 36)):
        scored = said["all"][quantity]
        assert scored["mae"] == pytest.approx(error, rel=1e-4)
        assert scored["rmse"] == pytest.approx(error, rel=1e-4)
        assert scored["count"] == count
    assert {name: errors["frames"] for name, errors in said["groups"].items()} == {
        "rattled": 3,
        "test.xyz": 3,
    }
    assert [row["name"] for row in said["rows"]] == [f"test-{number:05d}" for number in range(6)]
    assert [round(row["energy_error"], 3) for row in said["rows"]] == [-8, 8, -8, 8, -8, 8]
    assert len([row for row in said["worst"] if row["quantity"] == "forces"]) == 5
    # the same members by name, and the same frames from another place
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / "test.xyz"
    again.write_bytes(file.read_bytes())
    listed = [str(path) for path in members(folder)]
    both = document([*listed, str(file), str(again)], capsys)
    assert both["frames"] == 12
    assert both["rows"][6]["name"] == "test.1-00000"
    assert both["all"]["energy"]["mae"] == pytest.approx(said["all"]["energy"]["mae"])


def test_members_stand_in_the_order_of_their_numbers(folder: Path) -> None:
    from aga.cli.evaluate import _told_apart

    frames = Path("a.xyz")
    assert _told_apart([folder, frames]) == (members(folder), [frames])


def test_tables_picture_and_predictions(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, plot, output = tmp_path / "test.xyz", tmp_path / "p" / "p.png", tmp_path / "o" / "o.xyz"
    labelled(file, folder)
    model = str(members(folder)[0])
    words = ["evaluate", model, str(file), "--plot", str(plot), "--output", str(output)]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "member-0.safetensors, members: 1, frames: 6" in text
    assert len(re.findall(r"energy \(meV/atom\)", text)) == 2  # errors, worst frames
    assert "rattled" not in text
    assert f"wrote {plot}\nwrote {output}\n" in text
    assert plot.read_bytes()[:4] == b"\x89PNG"
    back = read(output, ":")
    assert [atoms.info["name"] for atoms in back] == [f"test-{number:05d}" for number in range(6)]
    calculator = CommitteeCalculator.from_files(model)
    for atoms in back:
        fresh = Atoms(atoms)
        fresh.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy())
        np.testing.assert_allclose(atoms.get_forces(), fresh.get_forces(), atol=1e-6)

    assert main(words) == 2
    assert f"{plot} exists already" in capsys.readouterr().err
    assert main([*words, "--force", "--by-group"]) == 0
    text = capsys.readouterr().out
    assert "rattled (3)" in text
    assert "test.xyz (3)" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{folder}"], "there are no labelled frames to compare with"),
        (["{folder}", "nowhere.xyz"], "nowhere.xyz: cannot read it: there is no such file"),
        (["{empty}", "{file}"], "empty: holds no member-*.safetensors"),
        (["none.safetensors", "{file}"], "none.safetensors: No such file"),
        (["{folder}/other.safetensors", "{file}"], "other.safetensors: this is no model file"),
        (["{folder}", "{file}", "--search", "x"], "either model files or a search"),
        (["{folder}", "{file}", "--iteration", "1"], "either model files or a search"),
        (["{folder}", "{file}", "--plot", "p.doc"], "p.doc: the ending names no format"),
        (["{folder}", "{file}", "--output", "o.cif"], "o.cif: the ending names no format"),
        (["{folder}", "{file}", "--device", "tpu"], "no device is called 'tpu'"),
        (["{folder}", "{plain}"], "plain.xyz, frame 0: has no energy"),
        (
            ["{folder}", "{file}", "{strange}"],
            "strange.xyz, frame 0: strange-00000: the potential has no network for Au",
        ),
    ],
)
def test_what_is_refused(
    words: list[str],
    told: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, empty = tmp_path / "test.xyz", tmp_path / "empty"
    plain, strange = tmp_path / "plain.xyz", tmp_path / "strange.xyz"
    labelled(file, folder)
    empty.mkdir()
    write(plain, bulk("TiO", "rocksalt", a=4.3), format="extxyz")
    gold = bulk("Au")
    gold.calc = SinglePointCalculator(gold, energy=-3.0)
    write(strange, gold, format="extxyz")
    names = {"folder": folder, "file": file, "empty": empty, "plain": plain, "strange": strange}
    words = [word.format(**names) for word in words]
    assert main(["evaluate", *words]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""
    assert told in document(words, capsys, code=2)["message"]


def keys(value: Any) -> set[str]:
    """Give the keys of all dictionaries inside; names of groups are no keys."""
    if isinstance(value, dict):
        inner = {key: item for key, item in value.items() if key != "groups"}
        return set(value) | {key for item in inner.values() for key in keys(item)}
    return {key for item in value for key in keys(item)} if isinstance(value, list) else set()


def test_every_key_of_the_document_is_described(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    (section,) = re.findall(
        r"^## `aga evaluate --json`\n(.*?)(?=^## )", page, re.DOTALL | re.MULTILINE
    )
    file = tmp_path / "test.xyz"
    labelled(file, folder)
    found = keys(document([str(folder), str(file)], capsys)) - {"schema"}
    assert len(found) > 20
    assert not [key for key in sorted(found) if f"`{key}`" not in section]
