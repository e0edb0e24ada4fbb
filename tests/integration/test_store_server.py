"""The embedded server starts once, survives what it should, and says why when it can't."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

from aga.errors import (
    DatabaseUnavailableError,
    DiskFullError,
    InputError,
    MissingExecutableError,
    UnavailableError,
)
from aga.store import process, server
from aga.store.documents import Step, Worker
from aga.store.repository import Repository

pytestmark = pytest.mark.embedded


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "db"
    yield root
    state = root / "server.json"
    if state.exists() and json.loads(state.read_text())["host"] != socket.gethostname():
        state.unlink()
    server.stop(root)


def alive(pid: int | None) -> bool:
    return (
        pid is not None
        and psutil.pid_exists(pid)
        and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    )


def test_start_status_stop(folder: Path) -> None:
    assert not server.status(folder).running
    first = server.start(folder)
    assert first.running
    assert server.start(folder) == first == server.status(folder)
    assert alive(first.pid)
    assert stat.S_IMODE((folder / "server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert first.pid is not None
    assert os.getsid(first.pid) != os.getsid(0), "the server must survive its starter"
    with pytest.raises(InputError, match="runs already on port"):
        server.start(folder, port=1)
    assert server.stop(folder)
    assert not alive(first.pid)
    assert not server.stop(folder)
    assert server.start(folder).uri == first.uri, "the port is remembered"


def test_server_outlives_the_process_that_started_it(folder: Path) -> None:
    code = "import sys; from pathlib import Path; from aga.store.server import start; "
    code += "print(start(Path(sys.argv[1])).pid)"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    assert server.status(folder).pid == int(done.stdout)


def test_two_that_start_at_once_get_the_same_server(folder: Path) -> None:
    code = "import sys; from pathlib import Path; from aga.store.server import start; "
    code += "s = start(Path(sys.argv[1])); print(s.pid, s.uri)"
    command = [sys.executable, "-c", code, str(folder)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {item.communicate(timeout=200)[0] for item in both}
    assert len(answers) == 1
    assert answers.pop().split()[0] == str(server.status(folder).pid)


@pytest.mark.parametrize("who", ["nobody", "somebody else"])
def test_stale_state_file_is_recognised(folder: Path, who: str) -> None:
    folder.mkdir()
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    me = Worker.current()
    worker = me if who == "somebody else" else Worker(host=me.host, pid=ended.pid, started=1.0)
    data = str(folder / "secantusdb")
    text = json.dumps(worker.to_dict() | {"port": 1, "engine": "secantusdb", "data": data})
    (folder / "server.json").write_text(text)
    assert not server.status(folder).running
    assert not server.stop(folder)
    (folder / "server.json").write_text(text)
    assert server.start(folder).running


def test_unreadable_state_file_is_ignored(folder: Path) -> None:
    folder.mkdir()
    (folder / "server.json").write_text('{"pid": ')
    assert server.start(folder).running


def test_server_without_a_state_file_is_adopted(folder: Path) -> None:
    first = server.start(folder)
    (folder / "server.json").unlink()
    assert server.start(folder).pid == first.pid


def test_directory_in_use_on_another_machine(folder: Path) -> None:
    folder.mkdir()
    worker = Worker(host="login.example", pid=1, started=1.0)
    data = str(folder / "secantusdb")
    (folder / "server.json").write_text(
        json.dumps(worker.to_dict() | {"port": 1, "engine": "secantusdb", "data": data})
    )
    with pytest.raises(DatabaseUnavailableError, match=r"login\.example"):
        server.start(folder)
    assert not server.status(folder).running


def test_taken_port(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(InputError, match=str(taken)):
            server.start(folder, port=taken)
        folder.mkdir(exist_ok=True)
        (folder / "port").write_text(f"{taken}\n")
        found = server.start(folder)
    assert found.uri is not None
    assert str(taken) not in found.uri


def fake_program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("says", "error"),
    [("illegal instruction", DatabaseUnavailableError), ("No space left on device", DiskFullError)],
)
def test_server_that_does_not_come_up_shows_its_log(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, error: type[Exception]
) -> None:
    program = fake_program(tmp_path / "mongod", f'echo "{says}"; exit 3')
    monkeypatch.setattr(server, "_which", {"mongod": program}.get)
    with pytest.raises(error, match=says):
        server.start(folder)
    assert not server.status(folder).running


def test_server_that_never_answers_is_ended(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = fake_program(tmp_path / "mongod", f'echo $$ > "{tmp_path}/pid"; exec sleep 600')
    monkeypatch.setattr(server, "_which", {"mongod": program}.get)
    monkeypatch.setattr(server, "READY_TIMEOUT", 1.0)
    with pytest.raises(DatabaseUnavailableError, match="did not answer within 1 s"):
        server.start(folder)
    assert not alive(int((tmp_path / "pid").read_text()))


def test_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code += "print('on', flush=True); time.sleep(600)"
    stubborn = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert stubborn.stdout is not None
    stubborn.stdout.readline()
    started = psutil.Process(stubborn.pid).create_time()
    worker = Worker(host=socket.gethostname(), pid=stubborn.pid, started=started)
    process.terminate(worker, grace=0.3)
    assert worker.is_dead()
    assert stubborn.wait(5) in (-signal.SIGKILL, 0)  # 0 where psutil reaped it


def test_missing_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_which", {}.get)
    with pytest.raises(MissingExecutableError, match="mongod or secantusd-py") as caught:
        server.start(folder)
    assert "pip install" in str(caught.value.remedy)


def test_data_keeps_the_engine_that_wrote_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "secantusdb").mkdir(parents=True)
    (folder / "secantusdb" / "WiredTiger").touch()
    monkeypatch.setattr(server, "_which", lambda name: tmp_path / name)
    assert server.find_engine(folder).name == "secantusdb"
    assert server.find_engine(tmp_path / "new").name == "mongod"
    only = {"mongod": tmp_path / "mongod"}
    monkeypatch.setattr(server, "_which", only.get)
    with pytest.raises(MissingExecutableError, match="secantusdb"):
        server.find_engine(folder)


def test_full_disk_is_said_before_starting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=10**6)
    monkeypatch.setattr(shutil, "disk_usage", {folder: usage}.get)
    with pytest.raises(DiskFullError, match="MiB of free disk"):
        server.start(folder)


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="Not a directory"):
        server.start(tmp_path / "file" / "db")


def test_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AGA_DB_DIR", str(tmp_path / "named"))
    assert server.default_directory() == tmp_path / "named"
    monkeypatch.delenv("AGA_DB_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert server.default_directory() == tmp_path / "aga" / "db"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert server.default_directory() == tmp_path / ".local" / "share" / "aga" / "db"


# kill -9 of the server while it works


def test_no_acknowledged_write_is_lost(folder: Path) -> None:
    first = server.start(folder)
    assert first.pid is not None
    acknowledged: list[str] = []
    enough = threading.Event()

    def work() -> None:
        repository = Repository.open(first.uri)
        repository.patience = 0.0  # the first lost answer ends the writer
        while True:
            step = Step(
                search_id="Si8-x", kind="label", iteration=0, key=f"{len(acknowledged):05d}"
            )
            try:
                repository.plan_steps([step])
                attempt = repository.claim(step.id, worker=Worker.current(), lease=60)
                assert attempt is not None
                repository.complete(attempt, {"n": len(acknowledged)})
            except DatabaseUnavailableError:
                return
            acknowledged.append(step.id)
            if len(acknowledged) > 60:
                enough.set()

    writer = threading.Thread(target=work)
    writer.start()
    assert enough.wait(120)
    os.kill(first.pid, signal.SIGKILL)
    writer.join(120)
    assert not server.status(folder).running
    with Repository.open(server.start(folder).uri) as repository:
        done = {step.id: step for step in repository.list_steps("Si8-x", state="done")}
    assert set(acknowledged) <= set(done)
    assert all(done[name].result == {"n": k} for k, name in enumerate(acknowledged))


def test_writes_ride_out_a_restart(folder: Path) -> None:
    first = server.start(folder)
    assert first.pid is not None
    with Repository.open(first.uri) as repository:
        repository.log("Si8-x", "note", "before")
        os.kill(first.pid, signal.SIGKILL)
        psutil.Process(first.pid).wait(30)
        restart = threading.Thread(target=server.start, args=(folder,))
        restart.start()
        repository.log("Si8-x", "note", "while it was away")
        restart.join(120)
        assert len(repository.events("Si8-x")) == 2


def test_broken_server_is_restarted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = server.start(folder)
    monkeypatch.setattr(server, "is_broken", lambda _: True)
    second = server.start(folder)
    assert second.running
    assert second.pid != first.pid
    assert not alive(first.pid)
    monkeypatch.undo()
    assert server.start(folder) == second
    assert second.uri is not None
    assert not process.is_broken(int(second.uri.rpartition("/")[0].rpartition(":")[2]))


@pytest.mark.parametrize(("free", "kind"), [(10**6, DiskFullError), (10**12, UnavailableError)])
def test_internal_error_tells_of_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, kind: type[Exception]
) -> None:
    # What the server answers to every request once its log could not be written.
    def panicked() -> None:
        raise OperationFailure("internal server error", code=1)

    usage = shutil.disk_usage("/")._replace(free=free)
    with Repository.open(server.start(folder).uri) as repository:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(kind, match=str(folder)) as caught:
            repository.write(panicked)
    assert "aga db start" in str(caught.value.remedy)
    assert isinstance(caught.value, DiskFullError) == (free == 10**6)


def test_plain_writes_survive_too(folder: Path) -> None:
    # FireWorks does not ask for the journal, so the server itself has to sync every write.
    first = server.start(folder)
    assert first.pid is not None
    acknowledged: list[str] = []
    enough = threading.Event()

    def work(k: int) -> None:
        with MongoClient[dict[str, Any]](first.uri, serverSelectionTimeoutMS=100) as client:
            number = 0
            try:
                while True:
                    client.fw.launches.insert_one({"_id": f"{k}-{number}"})
                    acknowledged.append(f"{k}-{number}")
                    number += 1
                    if len(acknowledged) > 600:
                        enough.set()
            except ConnectionFailure:
                return

    writers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for writer in writers:
        writer.start()
    assert enough.wait(200)
    os.kill(first.pid, signal.SIGKILL)
    for writer in writers:
        writer.join(60)
    with MongoClient[dict[str, Any]](server.start(folder).uri) as client:
        kept = {doc["_id"] for doc in client.fw.launches.find()}
    assert set(acknowledged) <= kept
