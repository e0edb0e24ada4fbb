"""`aga doctor`: each finding has a state and a remedy, and nothing stops the other checks."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aga.cli.main import main
from aga.config import Settings
from aga.config.machine import MachineSettings
from aga.errors import SiteError
from aga.tasks.doctor import examine as examining
from aga.tasks.doctor import machine as this_machine
from aga.tasks.doctor.database import is_loopback, judge_clock
from aga.tasks.doctor.engines import engines, version
from aga.tasks.doctor.examine import CHECKS, examine
from aga.tasks.doctor.finding import Context, Finding
from aga.tasks.doctor.fireworks import launchpad_file
from aga.tasks.doctor.machine import disks, gpu, python
from aga.tasks.doctor.mpi import mpi
from aga.tasks.doctor.slurm import adapters, count_nodes, slurm


def program(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Give a function that puts a program of one's own first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return lambda name, text: program(folder, name, text)


def fine(context: Context) -> list[Finding]:
    return [Finding(name="fine", state="ok", message="all is well")]


def bad(context: Context) -> list[Finding]:
    return [Finding(name="bad", state="fail", message="it is broken", remedy="mend it")]


def gone(context: Context) -> list[Finding]:
    return [Finding(name="gone", state="absent", message="there is none")]


# what the command does with findings


def test_a_check_that_raises_is_a_finding_and_the_others_go_on() -> None:
    def refuses(context: Context) -> list[Finding]:
        raise SiteError("no such thing", remedy="buy one", thing="x")

    def stumbles(context: Context) -> list[Finding]:
        raise ZeroDivisionError("by nothing")

    def hangs(context: Context) -> list[Finding]:
        time.sleep(30)
        return []

    checks = {"a": refuses, "b": stumbles, "c": hangs, "d": fine}
    found = list(examine(Context(), checks, limit=0.5))
    assert [one.name for one in found] == ["a", "b", "c", "fine"]
    assert [one.state for one in found] == ["fail", "fail", "fail", "ok"]
    assert (found[0].remedy, found[0].facts) == ("buy one", {"thing": "x"})
    assert found[1].message == "the check failed: ZeroDivisionError: by nothing"
    assert "no answer within 0.5 s" in found[2].message


@pytest.mark.parametrize(("checks", "code"), [((fine, gone), 0), ((fine, bad, gone), 3)])
def test_the_exit_code_and_the_document(
    checks: tuple[Any, ...],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = {check.__name__: check for check in checks}
    monkeypatch.setattr(examining.examine, "__defaults__", (chosen,))
    assert main(["doctor", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1
    assert document["ok"] == (code == 0)
    assert [one["name"] for one in document["findings"]] == list(chosen)
    keys = {"name", "state", "message", "remedy", "facts"}
    assert all(set(one) == keys for one in document["findings"])
    assert main(["doctor"]) == code
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(checks) + 1
    assert ("it is broken → mend it" in "\n".join(lines)) == (code == 3)
    assert lines[-1].endswith("1 absent, 1 fine")


def test_the_settings_say_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Context] = []

    def look(context: Context) -> list[Finding]:
        seen.append(context)
        return []

    monkeypatch.setattr(examining.examine, "__defaults__", ({"look": look},))
    file = tmp_path / "s.yaml"
    file.write_text(
        "search: {composition: Si8}\nmachine: {workers: 7, database: 'mongodb://h/x'}\n"
    )
    assert main(["doctor", "--settings", str(file)]) == 0
    assert seen[0].settings is not None
    assert (seen[0].machine.workers, seen[0].uri) == (7, "mongodb://h/x")
    assert main(["doctor", "--settings", str(file), "-d", "mongodb://other/y"]) == 0
    assert seen[1].uri == "mongodb://other/y"
    site = tmp_path / "site.yaml"
    site.write_text("machine: {workers: 3}\n")
    assert main(["doctor", "--site", str(site)]) == 0
    assert (seen[2].settings, seen[2].machine.workers) == (None, 3)
    capsys.readouterr()
    assert main(["doctor", "--settings", str(file), "--search", "x"]) == 2
    assert "give one of them" in capsys.readouterr().err


# the checks


@pytest.mark.parametrize(
    ("skew", "state"), [(0.02, "ok"), (-1.9, "ok"), (2.5, "warn"), (-29, "warn"), (31, "fail")]
)
def test_clocks(skew: float, state: str) -> None:
    found = judge_clock(skew, 120.0)
    assert found.state == state
    assert (found.remedy is None) == (state == "ok")


def test_addresses_of_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "localhost", "::1", "/tmp/mongodb.sock"]))  # noqa: S108 - a name
    assert not any(map(is_loopback, ["0.0.0.0", "10.0.0.5", "db.example"]))  # noqa: S104 - a name


@pytest.mark.parametrize(("mode", "password", "state"), [
    (0o644, "secret", "warn"), (0o600, "secret", "ok"), (0o644, None, "ok"),
])  # fmt: skip
def test_the_launchpad_file(mode: int, password: str | None, state: str, tmp_path: Path) -> None:
    file = tmp_path / "my_launchpad.yaml"
    secret = f"username: me\npassword: {password}\n" if password else ""
    file.write_text(f"host: db.example\nname: fw\n{secret}")
    file.chmod(mode)
    (found,) = launchpad_file(Context(launchpad=file))
    assert found.state == state
    assert "secret" not in str(found.to_dict())
    assert found.remedy == (f"chmod 600 {file}" if state == "warn" else None)


def test_no_launcher_fails_only_where_ranks_are_wanted() -> None:
    for ranks, state in ((1, "absent"), (2, "fail")):
        machine = MachineSettings(mpi_command="no-such-mpiexec -n {ranks}", relax_ranks=ranks)
        (found,) = mpi(Context(machine=machine))
        assert found.state == state
        assert "no-such-mpiexec" in found.message


@pytest.mark.mpi
def test_a_launcher_that_does_not_launch(on_path: Callable[[str, str], Path]) -> None:
    launcher = on_path("odd-mpiexec", 'echo "no licence" >&2; exit 7')
    for ranks, state in ((1, "warn"), (2, "fail")):
        machine = MachineSettings(mpi_command=f"{launcher} -n {{ranks}}", training_ranks=ranks)
        (found,) = mpi(Context(machine=machine))
        assert found.state == state
        assert "no licence" in found.message


def test_nodes_of_partitions() -> None:
    lines = ["cpu|10|idle", "cpu|2|down*", "gpu|1|drained", "cpu|3|mixed", "gpu|4|allocated*", "?"]
    assert count_nodes(lines) == {"cpu": (13, 2), "gpu": (0, 5)}


SINFO = """\
case "$3" in
  "%R|%D|%T") echo "cpu|4|idle"; echo "gpu|2|down*" ;;
  *) echo "cpu|up|1-00:00:00|cpu*"; echo "gpu|up|infinite|gpu" ;;
esac"""


def test_partitions_and_adapters(on_path: Callable[[str, str], Path], tmp_path: Path) -> None:
    from aga.tasks.adapter import write_files

    on_path("sinfo", SINFO)
    on_path("squeue", "exit 0")
    (found,) = slurm(Context())
    assert found.state == "warn"
    assert found.facts["partitions"] == {"cpu": {"up": 4, "down": 0}, "gpu": {"up": 0, "down": 2}}
    assert "jobs in gpu wait for ever" in str(found.remedy)
    folder = tmp_path / "queue"
    context = Context(machine=MachineSettings(queue_dir=folder))
    (none,) = adapters(context)
    assert none.state == "absent"
    folder.mkdir()
    write_files(folder)
    text = (folder / "ga.yaml").read_text()
    (folder / "ga.yaml").write_text(text.replace("queue: standard", "queue: cpu"))
    found_by_name = {one.name: one for one in adapters(context)}
    assert found_by_name["queue adapter ga"].state == "ok"
    train = found_by_name["queue adapter train"]
    assert train.state == "warn"
    assert "one of: cpu (at most" in str(train.remedy)


def test_a_controller_that_is_away(on_path: Callable[[str, str], Path]) -> None:
    on_path("squeue", "exit 0")
    on_path("sinfo", "echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1")
    (found,) = slurm(Context())
    assert found.state == "warn"
    assert adapters(Context()) == []


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = slurm(Context())
    assert found.state == "absent"
    assert adapters(Context()) == []


def test_versions_of_engines(on_path: Callable[[str, str], Path], tmp_path: Path) -> None:
    pw = on_path("pw.x", 'echo "     Program PWSCF v.7.9 starts on  1Jan2030"; touch CRASH; exit 1')
    assert version("espresso", str(pw)) == "7.9"
    assert version("vasp", "vasp_std") is None
    assert version("cp2k", str(on_path("cp2k", "echo nothing"))) is None
    assert not Path("CRASH").exists()
    machine = MachineSettings(espresso_command=str(pw), pseudo_dir=tmp_path / "nowhere")
    found = {one.name: one for one in engines(Context(machine=machine))}
    assert found["espresso"].state == "absent"
    assert "nowhere" in found["espresso"].message
    assert set(found) >= {"espresso", "gpaw", "abinit", "cp2k", "vasp", "lammps"}
    assert {one.state for one in found.values()} <= {"ok", "absent"}


@pytest.mark.parametrize(("engine", "state"), [("tersoff", "ok"), ("espresso", "fail")])
def test_the_engine_of_a_search_is_needed(engine: str, state: str, tmp_path: Path) -> None:
    machine = {"espresso_command": "no-such-pw.x", "pseudo_dir": str(tmp_path)}
    tree = {"search": {"composition": "Si8"}, "oracle": {"engine": engine}, "machine": machine}
    settings = Settings.model_validate(tree)
    (found,) = engines(Context(settings=settings, machine=settings.machine))
    assert (found.name, found.state) == (engine, state)
    assert (found.remedy is None) == (state == "ok")


def test_threads_and_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = Settings.model_validate(
        {"search": {"composition": "Si8"}, "machine": {"workers": 10_000}}
    )
    assert [one.name for one in python(Context())] == ["python"]
    names = [one.name for one in python(Context(settings=settings, machine=settings.machine))]
    assert names == ["python", "cores"]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert [one.state for one in python(Context())] == ["ok", "warn"]


def test_a_gpu_is_needed_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(wanted: str) -> None:
        raise SiteError("PyTorch sees no GPU", remedy="use device cpu")

    monkeypatch.setattr(this_machine, "choose_device", none)
    assert gpu(Context())[0].state == "absent"
    assert gpu(Context(machine=MachineSettings(device="cuda")))[0].state == "fail"
    monkeypatch.setattr(this_machine, "choose_device", lambda _: None)
    assert gpu(Context(machine=MachineSettings(device="cpu")))[0].state == "ok"


def test_disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(this_machine, "has_slurm", lambda: True)
    monkeypatch.setattr(this_machine, "LOW", 0)
    context = Context(machine=MachineSettings(run_dir=tmp_path / "not" / "yet"))

    def look(kind: str) -> dict[str, str]:
        monkeypatch.setattr(this_machine, "_filesystem", lambda _: kind)
        return {one.name.removeprefix("disk: "): one.state for one in disks(context)}

    assert look("nfs4") == dict.fromkeys(("run directories", "database", "temporary files"), "ok")
    assert look("ext4")["run directories"] == "warn"
    assert look("ext4")["temporary files"] == "ok"
    monkeypatch.setattr(this_machine, "LOW", 2**60)
    assert look("nfs4")["database"] == "warn"
    monkeypatch.setattr(this_machine, "MIN_FREE", 2**60)
    assert look("nfs4")["database"] == "fail"


def test_every_check_is_registered_once() -> None:
    assert len(set(CHECKS.values())) == len(CHECKS)
