"""The adapters and fworkers: those of the package are those in hpc/, and they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aga.cli.main import main
from aga.errors import InputError
from aga.store.documents import CATEGORIES
from aga.tasks.adapter import FILES, load_kind, write_files

ROOT = Path(__file__).resolve().parents[2]
KINDS = sorted(set(CATEGORIES.values()))


def test_the_files_in_hpc_are_those_of_the_package() -> None:
    ours = {path.name: path.read_text("utf-8") for path in FILES.glob("*.yaml")}
    assert set(ours) == {f"{head}{kind}.yaml" for kind in KINDS for head in ("", "fworker_")}
    folder = ROOT / "hpc" / "slurm"
    assert {p.name: p.read_text("utf-8") for p in folder.iterdir()} == ours


def test_init_writes_them_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["submit", "--init", "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["files"]
    assert sorted(written) == sorted(f"hpc/slurm/{path.name}" for path in FILES.glob("*.yaml"))
    assert main(["submit", "--init"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["submit", "--init", "--files", "mine"]) == 0
    assert "edit the settings at the top" in capsys.readouterr().out


@pytest.mark.parametrize("name", KINDS)
def test_a_script_starts_a_worker_in_its_own_place(name: str, tmp_path: Path) -> None:
    kind = load_kind(FILES, name)
    assert kind.fworker.category == name
    assert kind.walltime >= 3600
    script = kind.adapter(f"aga-{name}-7", "--search X --launchpad /p").get_script_str("/scratch")
    lines = script.splitlines()
    assert "$$" not in script
    for line in (
        "#SBATCH --partition=standard",
        "#SBATCH --signal=B:USR1@120",
        "#SBATCH --requeue",
        "#SBATCH --open-mode=append",
        f"#SBATCH --job-name=aga-{name}-7",
        f"#SBATCH --output=aga-{name}-7-%j.out",
    ):
        assert line in lines
    body = [k for k, line in enumerate(lines) if line and not line.startswith("#")]
    assert max(k for k, line in enumerate(lines) if line.startswith("#SBATCH")) < body[0]
    (worker,) = [line for line in lines if line.startswith("exec aga worker ")]
    assert f"--category {name} " in worker
    assert worker.endswith("--search X --launchpad /p")
    margin = float(worker.split("--margin ")[1].split()[0])
    assert margin >= 120, "SLURM's signal comes before the worker has stopped taking steps"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rocket_launch": None}, "no queue adapter of FireWorks: rocket_launch missing"),
        ({"_fw_q_type": "PBS"}, "an adapter for PBS"),
        ({"walltime": "tomorrow"}, "walltime: 'tomorrow' is no time limit"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    write_files(tmp_path)
    yaml = YAML(typ="safe")
    content = yaml.load((tmp_path / "ga.yaml").read_text()) | change
    with (tmp_path / "ga.yaml").open("w") as stream:
        yaml.dump(content, stream)
    with pytest.raises(InputError, match=words) as caught:
        load_kind(tmp_path, "ga")
    assert str(tmp_path / "ga.yaml") in caught.value.message


def test_a_missing_folder_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no") as caught:
        load_kind(tmp_path / "none", "ga")
    assert "aga submit --init" in str(caught.value.remedy)
    (tmp_path / "ga.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not YAML"):
        load_kind(tmp_path, "ga")
