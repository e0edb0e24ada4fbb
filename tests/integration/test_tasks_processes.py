"""`aga run` and `aga worker` as processes: signals, a database that goes away, unfit machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from aga.cli.main import main
from aga.store.server import start, status, stop

pytestmark = [pytest.mark.embedded, pytest.mark.slow]


class Command:
    """A command of aga at work on a small search."""

    def __init__(self, search: Any, *words: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "aga", *words],
            cwd=search.folder,
            env=search.environment() | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, timeout: float = 120) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


def run(search: Any, *words: str, **environment: str) -> Command:
    return Command(search, "run", str(search.file), "--workers", "1", *words, **environment)


def wait_for(what: Callable[[], Any], command: Command, timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        if time.monotonic() > deadline or command.process.poll() is not None:
            command.process.kill()
            pytest.fail(f"it did not come to that: {command.end()}")
        time.sleep(0.05)


def working(search: Any, kind: str) -> Callable[[], Any]:
    return lambda: search.repository.list_steps(search.id, kind=kind, state="running")


def test_an_unfit_machine_ends_the_command_and_the_same_command_goes_on(
    new_search: Callable[..., Any],
) -> None:
    search = new_search(patience=0)
    for fault, code, words in (
        ("full", 5, "no space left"),
        ("missing", 3, "pw.x is not here"),
        ("crash", 6, "6 × crashed"),
    ):
        search.faults({"label": fault})
        found, _, err = run(search).end()
        assert found == code, err
        assert words in err
        assert "what to do: " in err
    search.faults()
    code, out, err = run(search, "--json").end()
    assert code == 0, out + err
    document = json.loads(out)
    assert document["state"] == "finished"
    assert document["structures_by_stage"]["labelled"] >= 6


def test_settings_of_the_machine_may_change_midway(new_search: Callable[..., Any]) -> None:
    (Path.cwd() / "file").write_text("in the way")
    wrong = new_search(run_dir=str(Path.cwd() / "file" / "runs"))
    wrong.add()
    right = new_search()
    assert right.id == wrong.id
    code, _, err = run(right).end()
    assert code == 0, err


def test_ctrl_c_stops_the_workers_and_tells_how_to_go_on(new_search: Callable[..., Any]) -> None:
    search = new_search()
    search.faults({"label": "slow"})
    command = run(search)
    wait_for(working(search, "label"), command)
    workers = psutil.Process(command.process.pid).children(recursive=True)
    assert workers
    command.process.send_signal(signal.SIGINT)
    code, _, err = command.end(30)
    assert code == 130
    assert "the same command goes on" in err
    assert "nothing stored is lost" in err
    assert not psutil.wait_procs(workers, timeout=10)[1], "a worker goes on"
    search.faults()
    code, _, err = run(search).end()
    assert code == 0, err
    labels = search.repository.list_steps(search.id, kind="label")
    assert {step.state for step in labels} == {"done"}


def worker(search: Any, *words: str) -> Command:
    return Command(search, "worker", "--search", search.id, *words)


def test_sigterm_lets_a_worker_finish_its_step(small_search: Any) -> None:
    small_search.drain(until="label")
    small_search.faults({"label": "slow"})
    command = worker(small_search, "--category", "oracle")
    wait_for(working(small_search, "label"), command)
    command.process.terminate()
    code, out, _ = command.end(30)
    assert code == 0
    states = [s.state for s in small_search.repository.list_steps(small_search.id, kind="label")]
    assert (states.count("done"), states.count("planned")) == (1, 5)
    assert "1 steps performed" in out


def test_ctrl_c_gives_the_step_back_at_once(small_search: Any) -> None:
    small_search.drain(until="label")
    small_search.faults({"label": "slow"})
    command = worker(small_search)
    wait_for(working(small_search, "label"), command)
    command.process.send_signal(signal.SIGINT)
    code, _, err = command.end(30)
    assert code == 130, err
    steps = small_search.repository.list_steps(small_search.id, kind="label")
    assert {(step.state, step.attempts) for step in steps} == {("planned", 0)}


def test_a_worker_without_work_ends_when_told(small_search: Any) -> None:
    command = worker(small_search, "--category", "train", "--max-idle", "0.5")
    code, out, _ = command.end(60)
    assert code == 0
    assert "0 steps performed" in out


def test_an_unknown_category_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--category", "gpu"]) == 2
    assert "oracle" in capsys.readouterr().err


def test_a_candidate_that_kills_its_workers_is_dropped(new_search: Callable[..., Any]) -> None:
    search = new_search()
    search.faults({"label i000-002": "kill"})
    code, out, err = run(search, "--json").end(240)
    assert code == 0, err
    assert json.loads(out)["state"] == "finished"
    failed = search.repository.get_structure(search.id, "i000-002")
    assert failed["failure"]["reason"] == "worker_died"


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Path]:
    """Folder of an embedded server that the test may kill."""
    folder = tmp_path / "db"
    assert start(folder).uri
    yield folder
    stop(folder)


def pid_of(folder: Path) -> int:
    pid = status(folder).pid
    assert pid is not None
    return pid


@pytest.mark.parametrize("kind", ["label", "train"])
def test_a_database_that_is_killed_and_started_again_loses_nothing(
    new_search: Callable[..., Any], own_server: Path, kind: str
) -> None:
    search = new_search(uri=status(own_server).uri)
    search.faults({"label": "slow"})
    command = run(search, "--json")
    wait_for(working(search, kind), command)
    labelled = {f.name: f.energy for f in search.repository.frames(search.id)}
    os.kill(pid_of(own_server), signal.SIGKILL)
    time.sleep(3.0)
    search.faults()
    start(own_server)
    code, out, err = command.end(240)
    assert code == 0, err
    assert json.loads(out)["state"] == "finished"
    after = {f.name: f.energy for f in search.repository.frames(search.id)}
    assert labelled.items() <= after.items(), "an acknowledged label was lost"
    labels = search.repository.list_steps(search.id, kind="label")
    assert {step.state for step in labels} == {"done"}


def test_a_database_that_hangs_is_waited_for(
    new_search: Callable[..., Any], own_server: Path
) -> None:
    search = new_search(uri=status(own_server).uri)
    search.faults({"label": "slow"})
    command = run(search, "--json")
    wait_for(working(search, "label"), command)
    os.kill(pid_of(own_server), signal.SIGSTOP)
    search.faults()
    time.sleep(8.0)
    os.kill(pid_of(own_server), signal.SIGCONT)
    code, out, err = command.end(240)
    assert code == 0, err
    assert json.loads(out)["state"] == "finished"


def test_the_embedded_server_is_started_again_when_it_dies(
    new_search: Callable[..., Any], own_server: Path
) -> None:
    search = new_search(uri=status(own_server).uri)
    search.faults({"label": "slow"})
    command = run(search, AGA_DATABASE="", AGA_DB_DIR=str(own_server))
    wait_for(working(search, "label"), command)
    os.kill(pid_of(own_server), signal.SIGKILL)
    search.faults()
    code, _, err = command.end(240)
    assert code == 0, err
    assert "nothing stored is lost" in err


def test_a_database_that_stays_away_ends_the_command(
    new_search: Callable[..., Any], own_server: Path
) -> None:
    search = new_search(uri=status(own_server).uri, patience=0)
    search.faults({"label": "slow"})
    command = run(search)
    wait_for(working(search, "label"), command)
    uri = search.uri
    stop(own_server)
    code, _, err = command.end(240)
    assert code == 4, err
    assert "does not answer" in err
    code, _, err = run(search).end()
    assert code == 4
    assert uri.rpartition("/")[0] in err
    start(own_server)
    search.faults()
    code, _, err = run(search).end()
    assert code == 0, err
