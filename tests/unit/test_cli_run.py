"""`aga workflow` and the machine's part of `aga run`, without a database."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aga.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = str(ROOT / "templates" / "si8-tersoff.yaml")


def test_workflow_tells_the_search_it_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wf.yaml"
    assert main(["workflow", TEMPLATE, "-o", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["workflow"] == str(file)
    assert document["search"] in file.read_text()


def test_workflow_says_where_run_directories_will_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(f"run_dir: {tmp_path}/runs\n")
    assert main(["workflow", TEMPLATE, "-o", str(tmp_path / "a.yaml")]) == 0
    assert "machine.run_dir" in capsys.readouterr().out
    assert main(["workflow", TEMPLATE, "-o", str(tmp_path / "b.yaml"), "--site", str(site)]) == 0
    assert "machine.run_dir" not in capsys.readouterr().out


def test_a_dry_run_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGA_DB_DIR", str(tmp_path / "db"))
    assert main(["run", TEMPLATE, "--dry-run", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cell"] == {"Si": 8}
    assert document["reference"] == "tersoff"
    assert list(tmp_path.iterdir()) == []
