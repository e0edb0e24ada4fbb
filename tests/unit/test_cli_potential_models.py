"""`aga potential show`, `export` and `import`: model files and those of n2p2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from aga.cli.main import main
from aga.potential.model import Model

Make = Callable[..., Model]


@pytest.fixture
def models(make_member: Make, tmp_path: Path) -> list[str]:
    """Three members as options of the command line."""
    words = []
    for seed in range(3):
        file = tmp_path / f"m{seed}.safetensors"
        file.write_bytes(make_member(seed).to_bytes())
        words += ["--model", str(file)]
    return words


def document(words: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> dict[str, Any]:
    assert main(["potential", *words, "--json"]) == code
    return dict(json.loads(capsys.readouterr().out))


def refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["potential", *words]) == 2
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""


def test_show(models: list[str], make_member: Make, capsys: pytest.CaptureFixture[str]) -> None:
    model = make_member(1)
    said = document(["show", models[3]], capsys)
    assert said["file"] == models[3]
    assert (said["kind"], said["elements"]) == ("symmetry_functions", ["O", "Ti"])
    size = model.symmetry_functions.size
    assert said["descriptor"]["count"] == {"O": size, "Ti": size}
    assert len(said["descriptor"]["functions"]) == size
    assert said["hidden"] == [7, 5]
    assert said["parameters"] == 2 * (size * 7 + 7 + 7 * 5 + 5 + 5 + 1)
    assert list(said["reference_energies"].values()) == model.reference_energies.tolist()
    assert said["repulsion"]["kind"] == "zbl"
    assert said["facts"] == {"member": 1}
    assert main(["potential", "show", models[3]]) == 0
    text = capsys.readouterr().out
    for words in ("hidden layers 7-5, tanh", "cutoff 4 Å", "zbl, whole below 0.55", "wide (G5)"):
        assert words in text


def test_show_what_a_training_said(
    make_member: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    metrics = {
        "training": {"frames": 9.0, "energy_mae": 6.5, "force_mae": 0.08, "stress_mae": None}
    }
    facts = {"passes": 150, "descriptor_range": {"O": [0.1] * 99}, "metrics": metrics}
    file = tmp_path / "a.safetensors"
    file.write_bytes(replace(make_member(1), repulsion=None, facts=facts).to_bytes())
    assert main(["potential", "show", str(file)]) == 0
    text = capsys.readouterr().out
    assert "6.5 meV/atom, 0.08 eV/Å (mean absolute; 9 frames)" in text
    assert "descriptor_range" not in text
    assert any(line.split() == ["repulsion", "none"] for line in text.split("\n"))


def test_export_of_model_files(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    said = document(["export", *models, "-o", str(folder)], capsys)
    assert said["files"] == [str(folder / f"member-{n}.safetensors") for n in range(3)]
    for made, given in zip(said["files"], models[1::2], strict=True):
        assert Path(made).read_bytes() == Path(given).read_bytes()
    refused(["export", *models, "-o", str(folder)], "member-0.safetensors exists already", capsys)
    again = ["export", *models, "-o", str(folder), "--force", "--member", "2"]
    assert main(["potential", *again]) == 0
    assert "wrote 1 member of 3 model files" in capsys.readouterr().out


def test_export_to_n2p2_and_back(
    models: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, file = tmp_path / "n2p2", tmp_path / "back.safetensors"
    words = ["export", *models, "--member", "1", "-o", str(folder), "--format", "n2p2"]
    said = document(words, capsys)
    assert {"input.nn", "scaling.data", "weights.008.data", "weights.022.data"} <= {
        Path(name).name for name in said["files"]
    }
    back = document(["import", str(folder), "-o", str(file)], capsys)
    assert back["elements"] == ["O", "Ti"]
    assert (
        back["descriptor"]["count"] == document(["show", models[3]], capsys)["descriptor"]["count"]
    )
    atoms = bulk("TiO", "rocksalt", a=4.4)
    atoms.rattle(0.05, seed=1)
    write(tmp_path / "a.cif", atoms)
    energies = [
        document(["evaluate", str(tmp_path / "a.cif"), "-m", one], capsys)["structures"][0]
        for one in (str(file), models[3])
    ]
    assert energies[0]["energy"] == pytest.approx(energies[1]["energy"], abs=1e-9)
    np.testing.assert_allclose(energies[0]["stress"], energies[1]["stress"], atol=1e-9)
    refused(words, "is there already", capsys)
    refused(["import", str(folder), "-o", str(file)], "exists already", capsys)
    whole = ["export", *models, "-o", str(tmp_path / "all"), "--format", "n2p2"]
    assert main(["potential", *whole]) == 0
    assert (tmp_path / "all" / "member-2" / "input.nn").is_file()


def test_a_newer_file_is_refused(
    make_member: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "new.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr("aga.potential.files.SCHEMA", 99)
        file.write_bytes(make_member(1).to_bytes())
    refused(["show", str(file)], f"{file}: the model file has schema 99", capsys)
    refused(["export", "-m", str(file), "-o", str(tmp_path / "o")], "schema 99", capsys)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "{none}"], "none.safetensors: No such file"),
        (["show", "{short}"], "short.safetensors: this is no model file, or a truncated one"),
        (["show", "{damaged}"], "damaged.safetensors: the model file is damaged"),
        (["export", "-m", "{good}", "-o", "{out}", "--format", "lammps"], "no format 'lammps'"),
        (["export", "-m", "{good}", "-o", "{out}", "--member", "4"], "has no member 4"),
        (["import", "{out}", "-o", "{none}"], "input.nn: the file is missing"),
        (["import", "{out}", "-o", "{none}", "--units", "ev"], "no units 'ev'"),
    ],
)
def test_bad_input_is_named(
    words: list[str],
    told: str,
    make_member: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    content = make_member(1).to_bytes()
    names = ("good", "short", "damaged", "none")
    files = {name: tmp_path / f"{name}.safetensors" for name in names}
    files["good"].write_bytes(content)
    files["short"].write_bytes(content[:-9])
    files["damaged"].write_bytes(content[:-9] + b"\x01" + content[-8:])
    words = [word.format(**files, out=tmp_path / "out") for word in words]
    refused(words, told, capsys)
    assert not (tmp_path / "out").exists()
    assert not files["none"].exists()
