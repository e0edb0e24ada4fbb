"""The command line: what it imports, what it prints, how it ends."""

from __future__ import annotations

import errno
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from aga import cli, errors
from aga.cli.main import MODULES, main
from aga.config.load import load_settings
from aga.config.schema_json import json_schema
from aga.errors import AgaError
from aga.oracle.registry import options_schema

ROOT = Path(__file__).resolve().parents[2]
HEAVY = "torch numba numpy scipy ase pymatgen pymongo fireworks matplotlib pydantic ruamel rich"


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out = capsys.readouterr().out
    data = json.loads(out, parse_constant=lambda text: pytest.fail(f"{text} in {out}"))
    assert data["schema"] == 1
    return dict(data)


def test_help_is_quick_because_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from aga.cli.main import main; code = main(['--help']);"
        f"found = [m for m in '{HEAVY}'.split() if m in sys.modules];"
        "print(found, code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    for word in ("init", "check", "run", "best", "structures", "db"):
        assert f"\n  {word} " in done.stdout


def test_every_module_is_in_the_help() -> None:
    found = {
        path.stem
        for path in Path(cli.__path__[0]).glob("*.py")
        if "def register(" in path.read_text(encoding="utf-8")
    }
    assert found == set(MODULES)


def test_version_and_missing_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"aga \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
    assert main([]) == 2
    assert "Usage: aga" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["initt"], ["check"], ["check", "a", "--jsn"], ["db", "x"]])
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert "--help` shows" in said.err
    assert main([*arguments, "--json"]) == 2
    assert document(capsys)["error"] == "UsageError"


def test_check_tells_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("search: {composition: Si8, sed: 1}\npotential:\n  cutoff: -1\n")
    before = sorted(tmp_path.iterdir())
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{path}:1: search.sed: unknown key (did you mean seed?)" in said.err
    assert f"{path}:3: potential.cutoff: must be greater than 0, got -1" in said.err
    assert main(["check", str(path), "--json"]) == 2
    data = document(capsys)
    assert data["error"] == "SettingsError"
    assert [p["line"] for p in data["facts"]["problems"]] == [1, 3]
    assert sorted(tmp_path.iterdir()) == before


def test_check_asks_the_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "search: {composition: GaAs}\npotential: {cutof: 1}\noracle:\n  engine: tersoff\n"
    )
    assert main(["check", str(path)]) == 2
    text = capsys.readouterr().err
    assert f"{path}:4: oracle.engine: tersoff has no parameters for As, Ga" in text
    assert f"{path}:2: potential.cutof" in text


def test_options_of_the_engine_are_told_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "search: {composition: Si2}\noracle:\n  engine: espresso\n  options:\n"
        "    ecutwfc: -3\n    smearing: mvv\n    ecutw: 4\n"
    )
    assert main(["check", str(path)]) == 2
    text = capsys.readouterr().err
    assert f"{path}:5: oracle.options.ecutwfc: must be greater than 0, got -3" in text
    assert f"{path}:6: oracle.options.smearing: must be one of mv" in text
    assert f"{path}:7: oracle.options.ecutw: unknown key (did you mean 'ecutwfc'?)" in text


def test_check_of_good_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("search: {composition: Si8}\n")
    assert main(["check", str(path), "--json"]) == 0
    data = document(capsys)
    assert data["ok"] is True
    assert data["engine"] == "tersoff"
    assert data["search"] == load_settings(path).search_id()
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: fine\n")


def test_check_tells_what_the_composition_decides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("search: {composition: TiO2, volume_per_atom: 10.4}\n")
    assert main(["check", str(path), "--json"]) == 0
    data = document(capsys)
    assert (data["volume_per_atom"], data["cutoff"]) == (10.4, 3.6)
    assert main(["check", str(path)]) == 0
    assert "10.4 Å³ per atom, potentials with cutoff 3.6 Å\n" in capsys.readouterr().out
    assert data["initial_atoms"] == [6]
    path.write_text("search: {composition: Si, formula_units: [2, 9]}\n")
    assert main(["check", str(path), "--json"]) == 0
    assert document(capsys)["initial_atoms"] == [6, 7, 8, 9, 10]
    assert main(["check", str(path)]) == 0
    assert "first crystals of 6 or 7 or 8 or 9 or 10 atoms: " in capsys.readouterr().out
    path.write_text("search: {composition: TiO2}\npotential: {preset: tio2}\n")
    assert main(["check", str(path), "--json"]) == 0
    assert document(capsys)["cutoff"] is None
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.endswith("potentials with preset tio2\n")


def test_init_writes_a_file_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for composition in ("Si8", "TiO2"):
        assert main(["init", composition]) == 0
        assert main(["check", f"{composition}.yaml"]) == 0
    capsys.readouterr()
    before = Path("Si8.yaml").read_text()
    assert main(["init", "Si8", "--oracle", "tersoff"]) == 2
    assert "Si8.yaml exists already" in capsys.readouterr().err
    assert Path("Si8.yaml").read_text() == before
    assert main(["init", "Si8", "--oracle", "tersoff", "--force", "--json"]) == 0
    assert document(capsys)["file"] == "Si8.yaml"
    assert load_settings("Si8.yaml").oracle.engine == "tersoff"
    assert main(["init", "Si8", "-o", "-"]) == 0
    assert capsys.readouterr().out == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["Xq2"], "is not an element"), (["Si8", "--oracle", "tersof"], "tersoff")],
)
def test_init_of_nonsense(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"search", "oracle", "machine"} <= set(schema["properties"])
    assert main(["schema", "-o", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_text()) == schema


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (errors.InputError("wrong"), 2, "wrong"),
        (errors.MissingExecutableError("no pw.x", remedy="install it"), 3, "install it"),
        (errors.DatabaseUnavailableError("away"), 4, "away"),
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), 5, "/data/x"),
        (errors.SearchFailedError("over"), 6, "over"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ValueError("odd"), 1, "unexpected ValueError: odd"),
    ],
)
def test_errors_and_their_codes(
    error: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("aga.config.load.load_settings", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["check", "x.yaml"]) == code
    assert words in capsys.readouterr().err
    logs = list(tmp_path.glob("aga-error-*.log"))
    assert len(logs) == (1 if code == 1 else 0)
    if logs:
        assert "ValueError: odd" in logs[0].read_text()
    if code != 130:
        assert main(["check", "x.yaml", "--json"]) == code
        data = document(capsys)
        assert data["exit_code"] == code
        assert words.rsplit(":", maxsplit=1)[-1].strip() in json.dumps(data)


def test_the_page_lists_every_code() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    kinds = {(int(c), k) for c, k in re.findall(r"^\| (\d+) \| `(\w+)`", page, flags=re.MULTILINE)}

    def below(kind: type[AgaError]) -> set[type[AgaError]]:
        return {kind}.union(*(below(sub) for sub in kind.__subclasses__()))

    for kind in below(AgaError) - below(errors.CandidateError) - {AgaError}:
        if kind.__module__ != errors.__name__ or issubclass(kind, errors.StaleAttemptError):
            continue  # never leave the worker that meets them
        assert kind.exit_code in listed
        assert (kind.exit_code, kind.kind) in kinds
    assert {0, 1, 130} <= listed


def test_init_for_espresso_shows_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "TiO2", "--oracle", "espresso"]) == 0
    text = Path("TiO2.yaml").read_text(encoding="utf-8")
    for words in ("  engine: espresso", "    # kpoint_spacing:", "    # pseudopotentials:"):
        assert words in text
    assert load_settings("TiO2.yaml").oracle.options == {}
    Path("TiO2.yaml").write_text(
        re.sub(r"(?m)^( *)# (\w+:)", r"\1\2", text).replace("launchpad:", "# launchpad:"),
        encoding="utf-8",
    )
    settings = load_settings("TiO2.yaml")
    assert settings.oracle.options["kpoint_spacing"] > 0
    assert "pseudopotentials" not in settings.oracle.options, "empty: takes its default"
    schema = json_schema(options_schema())
    jsonschema.validate(YAML(typ="safe", pure=True).load(Path("TiO2.yaml")), schema)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")
@pytest.mark.parametrize(
    "arguments", [["schema", "-o", "/dev/full"], ["init", "Si8", "-o", "/dev/full", "--force"]]
)
def test_a_full_disk(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 5
    said = capsys.readouterr().err
    assert "there is no space left" in said
    assert "free some space" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is missing")
def test_a_full_disk_behind_the_output() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "aga.cli.main", "schema"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 5, done.stderr
    assert "there is no space left" in done.stderr


def test_a_reader_that_stops_early() -> None:
    script = f"{sys.executable} -m aga.cli.main schema | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout == "{\n"
    assert done.stderr == ""


def test_check_knows_the_options_of_the_optimizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "options.yaml"
    path.write_text(
        "search:\n  composition: Si8\ntraining:\n  optimizer: adam\n"
        "  optimizer_options: {beta: 0.9}\n"
    )
    assert main(["check", str(path)]) == 2
    said = capsys.readouterr().err
    assert "options.yaml:5: training.optimizer_options: adam has no beta" in said
    assert "betas" in said
    path.write_text(path.read_text().replace("{beta: 0.9}", "{betas: [0.9, 0.99]}"))
    assert main(["check", str(path)]) == 0


def test_newton_and_trained_descriptors_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text(
        "search:\n  composition: Si8\npotential:\n  descriptor: deep_smooth\n"
        "training:\n  optimizer: newton\n"
    )
    assert main(["check", str(path)]) == 2
    assert "newton needs a descriptor without trained parameters" in capsys.readouterr().err
