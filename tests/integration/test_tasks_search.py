"""A small search by `aga run`, by stock FireWorks, and killed at five moments: one same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

from aga.config import Settings
from aga.config.load import load_settings
from aga.store.repository import Repository
from aga.tasks.local import worker_environment

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

BIN = Path(sys.executable).parent

SETTINGS = """\
search:
  composition: Si4
  seed: 3
  initial_structures: 6
  offspring: 8
  population_size: 6
  generations_per_iteration: 2
  final_relaxations: 2
  relax_steps: 60
  acquisition: {picks_per_iteration: 3}
  budget: {iterations: 2, reference_calls: 20}
potential: {hidden: [8]}
training: {passes: 15}
oracle:
  engine: "slow_tersoff:SlowTersoff"
machine: {lease: 20}
"""

SLOW_TERSOFF = '''\
"""The Tersoff potential, slow enough to be caught at work."""

import time

from aga.oracle.tersoff import Tersoff


class SlowTersoff(Tersoff):
    name = "slow-tersoff"

    def label(self, candidate, run_dir):
        time.sleep(0.3)
        return super().label(candidate, run_dir)

    def relax(self, candidate, run_dir, *, pressure):
        time.sleep(1.0)
        return super().relax(candidate, run_dir, pressure=pressure)
'''


class Site:
    """A folder with settings and a database of its own."""

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self.uri = folder, uri
        folder.mkdir(parents=True)
        self.file = folder / "si4.yaml"
        self.file.write_text(SETTINGS)
        (folder / "slow_tersoff.py").write_text(SLOW_TERSOFF)
        self.environment = {**worker_environment(), "PYTHONPATH": str(folder), "AGA_DATABASE": uri}
        self.settings: Settings = load_settings(self.file)
        self.id = self.settings.search_id()
        self.repository = Repository.open(uri)

    def start(self) -> subprocess.Popen[bytes]:
        command = [str(BIN / "aga"), "run", str(self.file), "--workers", "2", "--json"]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE
        )

    def finish(self) -> dict[str, Any]:
        process = self.start()
        out, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        status: dict[str, Any] = json.loads(out)
        return status

    def population(self) -> list[tuple[str, float, list[list[float]]]]:
        latest = self.repository.latest_population(self.id)
        assert latest is not None
        return [
            (one.candidate.name, one.enthalpy, one.candidate.positions.tolist())
            for one in self.repository.get_population(self.id, latest["generation"])
        ]

    def results(self) -> list[tuple[str, float]]:
        found = self.repository.find_structures(self.id, {"stage": "result"}, sort=[("rank", 1)])
        return [(doc["name"], doc["reference"]["energy"]) for doc in found]

    def frames(self) -> dict[str, float]:
        return {frame.name: frame.energy for frame in self.repository.frames(self.id)}


@pytest.fixture(scope="module")
def undisturbed(embedded_server: str, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The same search run through without a disturbance."""
    site = Site(tmp_path_factory.mktemp("calm") / "site", f"{embedded_server}/calm_{os.getpid()}")
    site.status = site.finish()  # type: ignore[attr-defined] # for the first test
    return site


def test_a_search_runs_to_its_end(undisturbed: Site) -> None:
    status = undisturbed.status  # type: ignore[attr-defined] # set by the fixture
    assert status["schema"] == 1
    assert status["state"] == "finished"
    assert status["verdict"] in {"converged", "budget"}
    assert status["reason"]
    assert status["iteration"] == 2
    assert status["generation"] == 4
    assert 6 < status["reference_calls"] <= 12
    names = {step.kind for step in undisturbed.repository.list_steps(undisturbed.id)}
    assert names == {
        *("seed", "label", "collect", "train", "assess", "breed", "acquire", "refine", "finish")
    }
    assert undisturbed.results()
    assert all(energy / 4 >= -4.6300 for _, energy in undisturbed.results())


def test_the_same_command_again_shows_the_end(undisturbed: Site) -> None:
    before = undisturbed.results()
    assert undisturbed.finish()["state"] == "finished"
    assert undisturbed.results() == before


def test_stock_fireworks_carries_the_search_to_the_same_end(
    undisturbed: Site, embedded_server: str, tmp_path: Path
) -> None:
    name = f"stock_{os.getpid()}"
    site = Site(tmp_path / "site", f"{embedded_server}/{name}")
    launchpad = site.folder / "my_launchpad.yaml"
    launchpad.write_text(f"host: {embedded_server}/{name}\nname: {name}\nuri_mode: true\n")

    def call(*words: str) -> None:
        subprocess.run(
            [str(BIN / words[0]), *words[1:]],
            cwd=site.folder,
            env=site.environment,
            check=True,
            timeout=300,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    call("aga", "workflow", str(site.file), "-o", "wf.yaml")
    call("lpad", "-l", str(launchpad), "reset", "--password", f"{datetime.now():%Y-%m-%d}")  # noqa: DTZ005 - local
    call("lpad", "-l", str(launchpad), "add", "wf.yaml")
    call("rlaunch", "-l", str(launchpad), "rapidfire")
    assert site.repository.get_search(site.id)["state"] == "finished"
    assert site.population() == undisturbed.population()
    assert site.results() == undisturbed.results()


def _wait_for(site: Site, kind: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a step of the kind is at work."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if site.repository.list_steps(site.id, kind=kind, state="running"):
            return
        assert process.poll() is None, f"the search ended before any {kind} was seen at work"
    pytest.fail(f"no {kind} step was seen at work")


def test_killed_at_five_moments_it_ends_the_same(
    undisturbed: Site, embedded_server: str, tmp_path: Path
) -> None:
    site = Site(tmp_path / "site", f"{embedded_server}/killed_{os.getpid()}")
    labelled: dict[str, float] = {}
    for moment, kind in enumerate(("label", "train", "breed", "label", "refine")):
        process = site.start()
        if moment == 3:  # the labels of iteration 1, not those of iteration 0 again
            _wait_for(site, "acquire", process)
        _wait_for(site, kind, process)
        workers = psutil.Process(process.pid).children(recursive=True)
        if moment % 2:  # a machine that dies takes the workers at the same instant
            for worker in workers:
                worker.kill()
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=10)
        assert not alive, "workers outlived the command that started them"
        assert labelled.items() <= site.frames().items(), "an acknowledged label was lost"
        labelled = site.frames()
    status = site.finish()
    assert status["state"] == "finished"
    assert site.population() == undisturbed.population()
    assert site.results() == undisturbed.results()
    assert site.frames() == undisturbed.frames()
