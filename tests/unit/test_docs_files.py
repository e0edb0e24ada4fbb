"""Files that a user copies or hands to stock programs: each is loaded as they would load it.

``python tests/unit/test_docs_files.py`` writes the files in workflows/ anew.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from fireworks.core.firework import Workflow
from fireworks.core.fworker import FWorker
from fireworks.core.launchpad import LaunchPad
from ruamel.yaml import YAML

from aga.cli.main import main
from aga.config.load import load_settings
from aga.oracle.registry import check_oracle
from aga.store.connect import read_launchpad
from aga.store.documents import CATEGORIES
from aga.tasks.workflows import start_workflow

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.yaml"))
SCRIPT = """
import sys
from fireworks.utilities.fw_serializers import load_object_from_file
for name in sys.argv[1:]:
    print(load_object_from_file(name).get_script_str("/scratch/launch"))
"""
KINDS = sorted(set(CATEGORIES.values()))
WORKFLOWS = {"si8.yaml": "si8-tersoff.yaml", "tio2.yaml": "tio2-matsui-akaogi.yaml"}


def content(path: Path) -> dict[str, Any]:
    """Give a workflow without times, and without numbers that FireWorks replaces."""
    workflow = YAML(typ="safe").load(path)
    (firework,) = workflow["fws"]
    return {
        "name": workflow["name"],
        "metadata": workflow["metadata"],
        "firework": {key: firework[key] for key in ("name", "spec")},
    }


def write_workflows(folder: Path) -> None:
    """Write the workflow of each template, as `aga workflow` does."""
    for name, template in WORKFLOWS.items():
        words = ["workflow", str(ROOT / "templates" / template), "-o", str(folder / name)]
        assert main(words) == 0


def test_every_folder_has_its_files() -> None:
    assert len(TEMPLATES) >= 4
    assert {path.name for path in (ROOT / "workflows").iterdir()} == set(WORKFLOWS)
    files = {p.relative_to(ROOT / "hpc").as_posix() for p in (ROOT / "hpc").rglob("*.yaml")}
    slurm = {f"slurm/{head}{kind}.yaml" for kind in KINDS for head in ("", "fworker_")}
    assert files == {"my_launchpad.yaml", *slurm}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_load(path: Path) -> None:
    settings = load_settings(path)
    counts = settings.search.atom_counts()
    problems = check_oracle(settings.oracle, settings.machine, counts)
    if settings.oracle.engine == "espresso" and shutil.which("pw.x"):
        assert problems == []
    # What this machine lacks is no fault of the template; nothing else may be wrong.
    lacking = ("machine.", "oracle.options.pseudopotentials", "oracle.options.basis_sets")
    assert [p for p in problems if not p.key.startswith(lacking)] == []


def test_workflows_are_those_of_their_templates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_workflows(tmp_path)
    assert f"next: lpad add {tmp_path / 'si8.yaml'}" in capsys.readouterr().out
    for name in WORKFLOWS:
        ours = content(ROOT / "workflows" / name)
        assert ours == content(tmp_path / name), "`python tests/unit/test_docs_files.py` writes it"


@pytest.mark.parametrize(("name", "template"), WORKFLOWS.items())
def test_workflows_load_as_fireworks_loads_them(name: str, template: str) -> None:
    workflow = Workflow.from_file(str(ROOT / "workflows" / name))
    (firework,) = workflow.fws
    (task,) = firework.tasks
    settings = load_settings(ROOT / "templates" / template)
    assert task["settings"]["search"]["composition"] == str(settings.search.composition)
    assert workflow.metadata == {"search_id": settings.search_id()}
    assert workflow.to_dict().keys() == start_workflow(settings).to_dict().keys()


def test_launchpad_loads() -> None:
    path = ROOT / "hpc" / "my_launchpad.yaml"
    pad = LaunchPad.from_file(str(path))  # connects only when it is asked something
    assert (pad.host, pad.port, pad.name) == ("localhost", 27017, "aga")
    pad.connection.close()
    assert read_launchpad(path) == ("mongodb://localhost:27017/", "aga", {})


@pytest.mark.parametrize("kind", KINDS)
def test_fworker_loads(kind: str) -> None:
    fworker = FWorker.from_file(str(ROOT / "hpc" / "slurm" / f"fworker_{kind}.yaml"))
    assert fworker.query["spec._category"] == kind


def test_stock_fireworks_writes_scripts_of_the_queue_adapters() -> None:
    files = [str(ROOT / "hpc" / "slurm" / f"{kind}.yaml") for kind in KINDS]
    printed = subprocess.run(  # FireWorks' loader imports its own tests: not inside pytest
        [sys.executable, "-c", SCRIPT, *files], capture_output=True, check=True, text=True
    ).stdout
    scripts = printed.split("#!/bin/bash -l")[1:]
    for kind, script in zip(KINDS, scripts, strict=True):
        assert "#SBATCH --partition=standard\n" in script
        assert "cd /scratch/launch\n" in script
        assert "--account" not in script
        assert "$$" not in script
        (line,) = [line for line in script.split("\n") if line.startswith("exec aga worker ")]
        assert f'--launchpad "$launchpad" --category {kind} ' in line


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_workflows(Path(folder))
        for changed in WORKFLOWS:
            new, old = Path(folder) / changed, ROOT / "workflows" / changed
            if not old.exists() or content(new) != content(old):  # times alone are no change
                old.write_text(new.read_text("utf-8"), "utf-8")
