"""The choice of the device, in settings and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from aga.cli.main import main
from aga.config.load import settings_from_dict
from aga.errors import SettingsError

SETTINGS = "search: {composition: Si8}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGA_DB_DIR", str(tmp_path / "db"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    path = tmp_path / "search.yaml"
    path.write_text(SETTINGS)
    return path


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_a_search_starts_where_there_is_no_gpu(
    file: Path, device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(file), "--dry-run", "--json", "--device", device]) == 0
    assert json.loads(capsys.readouterr().out)["device"] == device


def test_cuda_without_a_gpu_is_told_before_anything_is_computed(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(file), "--dry-run", "--device", "cuda"]) == 3
    assert "cuda is asked for" in capsys.readouterr().err
    file.write_text(f"{SETTINGS}machine: {{device: cuda}}\n")
    assert main(["run", str(file), "--dry-run"]) == 3
    assert "use device auto or cpu" in capsys.readouterr().err
    assert main(["run", str(file), "--dry-run", "--device", "auto"]) == 0


def test_an_unknown_device_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(file), "--dry-run", "--device", "gpu"]) == 2
    assert "auto, cpu, cuda" in capsys.readouterr().err


def test_only_symmetry_functions_can_be_asked_onto_a_gpu() -> None:
    tree = {
        "search": {"composition": "Si8"},
        "potential": {"descriptor": "deep_smooth"},
        "machine": {"device": "cuda"},
    }
    with pytest.raises(SettingsError, match="symmetry functions only"):
        settings_from_dict(tree)
    settings_from_dict({**tree, "machine": {"device": "auto"}})


def test_the_device_changes_no_search() -> None:
    tree = {"search": {"composition": "Si8"}}
    here = settings_from_dict(tree)
    there = settings_from_dict({**tree, "machine": {"device": "cuda", "precision": "float32"}})
    assert here.digest() == there.digest()
