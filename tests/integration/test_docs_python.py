"""The Python and the JSON of the pages, tried on a stored search."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.io import read
from ruamel.yaml import YAML

from aga.cli.main import main
from aga.config.load import load_settings
from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle import registry
from aga.oracle.registry import Entry, build_oracle, check_oracle
from aga.structure.candidate import Candidate
from aga.training.data.formats import read_frames

pytestmark = pytest.mark.embedded

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OWN = DOCS / "how-to" / "add-a-reference-method.md"


def blocks(page: Path, info: str) -> list[str]:
    text = page.read_text("utf-8")
    return re.findall(rf"^```{info}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorials/first-search.md"])
def test_python_runs(page: str, filled_search: str, embedded_database: str, tmp_path: Path) -> None:
    programs = blocks(ROOT / page, "python")
    assert programs
    environment = os.environ | {"AGA_DATABASE": embedded_database, "PYTHONIOENCODING": "utf-8"}
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            encoding="utf-8",
            env=environment,
        )
        assert done.returncode == 0, done.stderr
    if page.startswith("docs"):
        frames = read_frames(tmp_path / "known.extxyz", ["Si"])
        assert len(frames) == 5
        assert all(one.forces is not None and one.stress is not None for one in frames)
        assert read(tmp_path / "known.extxyz", index="0").get_forces().shape == (8, 3)


def documented(title: str) -> str:
    """Give a section of the page on the documents, with those that it refers to."""
    text = (DOCS / "reference" / "json.md").read_text("utf-8")
    (section,) = [part for part in text.split("\n## ") if part.startswith(f"`aga {title}`")]
    return section


@pytest.mark.usefixtures("filled_search")
@pytest.mark.parametrize(
    ("title", "words", "inside"),
    [
        ("best --json", ["best"], "structures"),
        ("structures list --json", ["structures", "list"], None),
        ("structures show ID --json", ["structures", "show", "g002-000"], None),
        ("status --json", ["status"], None),
        ("status --json", ["status", "--all"], "searches"),
        ("structures export --json", ["structures", "export"], None),
        ("recover --json", ["recover", "-s", "example"], "searches"),
    ],
)
def test_documents_have_the_keys_described(
    title: str,
    words: list[str],
    inside: str | None,
    embedded_database: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*words, "-o", str(tmp_path)] if "export" in words else words
    assert main([*words, "--database", embedded_database, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document.pop("schema") == 1
    keys = set(document) | (set(document[inside][0]) if inside and document[inside] else set())
    section = documented(title)
    missing = [key for key in keys if f"`{key}`" not in section and f'"{key}"' not in section]
    assert not missing


def test_the_ladder_of_the_page_mixes_gentler_and_keeps_the_physics() -> None:
    (text,) = blocks(OWN, "python ladder")
    found: dict[str, Any] = {}
    exec(text, found)  # noqa: S102 - the page's own lines
    first = found["LADDER"].repairs[0]
    assert first.after.search("not_converged: 100 steps")
    assert found["LADDER"].kept == {"kpoints.grid", "basis.cutoff"}


def test_an_engine_of_the_page_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the page under its registry line, and ASE's class without a line of code."""
    (program,) = blocks(OWN, "python")
    (line,) = blocks(OWN, "python registry")
    (tmp_path / "lennard_jones.py").write_text(program, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "ENGINES", dict(registry.ENGINES))
    exec(  # noqa: S102 - the page's own line
        line.replace("aga.oracle.lennard_jones", "lennard_jones"),
        {"ENGINES": registry.ENGINES, "Entry": Entry},
    )
    assert registry.resolve_engine("auto", {"Ar": 4}) == "lennard-jones"
    machine = MachineSettings()
    wrong = OracleSettings(engine="lennard-jones", options={"sigam": 3.4})
    (problem,) = check_oracle(wrong, machine, {"Ar": 4})
    assert "did you mean 'sigma'?" in str(problem)
    (told,) = check_oracle(OracleSettings(engine="lennard-jones"), machine, {"Kr": 4})
    assert "no parameters for Kr" in told.message

    (settings,) = blocks(OWN, "yaml")
    file = tmp_path / "argon.yaml"
    file.write_text(settings, "utf-8")
    free = load_settings(file).oracle
    named = OracleSettings(engine="lennard-jones")
    grid = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 2.7
    fcc = Candidate(name="fcc", numbers=np.full(4, 18), positions=grid, cell=np.eye(3) * 5.4)
    for oracle in (free, named):
        engine = build_oracle(oracle, machine, {"Ar": 4})
        relaxed, label = engine.relax(fcc, tmp_path, pressure=0.0)
        assert label.details["converged"]
        assert label.energy / 4 < -0.05  # eV; −8.6 ε with all neighbours
        assert 5.0 < relaxed.volume ** (1 / 3) < 5.6
    assert YAML(typ="safe").load(settings)["search"]["composition"] == "Ar4"
