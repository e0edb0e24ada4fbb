"""`aga doctor` on a real server, with real ranks and a real engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aga.cli.main import main
from aga.store.server import default_directory
from aga.tasks.doctor.database import database
from aga.tasks.doctor.engines import version
from aga.tasks.doctor.finding import Context
from aga.tasks.doctor.fireworks import launchpad
from aga.tasks.doctor.mpi import mpi
from aga.tasks.session import open_session


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", *words])
    document = json.loads(capsys.readouterr().out)
    return code, {one["name"]: one for one in document["findings"]}


@pytest.mark.embedded
def test_a_machine_that_is_fit(
    embedded_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "si.yaml"
    file.write_text(f"search: {{composition: Si8}}\nmachine: {{run_dir: {tmp_path / 'runs'}}}\n")
    code, found = run(capsys, "--settings", str(file), "-d", embedded_database)
    assert code == 0, found
    names = ("database", "users", "latency", "writes", "clock", "fireworks", "tersoff")
    assert [found[name]["state"] for name in names] == ["ok"] * len(names), found
    assert found["database"]["facts"]["name"] == embedded_database.rpartition("/")[2]
    assert found["users"]["facts"]["hosts"] == ["127.0.0.1"]
    assert found["latency"]["facts"]["median_ms"] > 0
    assert abs(found["clock"]["facts"]["seconds"]) < 1.0
    assert not (tmp_path / "runs").exists(), "looking changes nothing"


@pytest.mark.embedded
def test_the_needs_of_a_stored_search(
    filled_search: str, embedded_database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found = run(capsys, "--search", filled_search[:6], "-d", embedded_database)
    assert found["tersoff"]["facts"]["elements"] == ["Si"]
    assert "gpaw" not in found


@pytest.mark.embedded
def test_fireworks_that_fizzled_are_told(embedded_database: str) -> None:
    context = Context(uri=embedded_database)
    assert launchpad(context)[0].facts["ready"] is False
    pad = open_session(embedded_database).launchpad
    pad.fireworks.insert_many([{"fw_id": n, "state": s} for n, s in ((1, "READY"), (2, "FIZZLED"))])
    (found,) = launchpad(context)
    assert found.state == "warn"
    assert found.facts["fireworks"] == {"FIZZLED": 1, "READY": 1}
    assert "aga recover" in str(found.remedy)


def test_a_database_that_is_away_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, "-d", "mongodb://u:secret@127.0.0.1:1/x")
    assert code == 3
    assert found["database"]["state"] == "fail"
    assert "Connection refused" in found["database"]["message"]
    assert "secret" not in json.dumps(found)
    assert "latency" not in found


@pytest.mark.embedded
def test_a_server_that_is_not_started_yet_is_none_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGA_DB_DIR", str(tmp_path / "db"))
    monkeypatch.delenv("AGA_DATABASE", raising=False)
    (found,) = database(Context())
    assert found.state == "absent"
    assert "aga db start" in str(found.remedy)
    assert not default_directory().exists()


@pytest.mark.mpi
def test_two_ranks_add_up() -> None:
    (found,) = mpi(Context())
    assert found.state == "ok", found
    assert found.facts["seconds"] > 0


@pytest.mark.espresso
def test_the_version_of_a_real_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = version("espresso", "pw.x")
    assert told is not None
    assert told[0].isdigit()
    assert not list(tmp_path.iterdir()), "it ran in a folder of its own"
