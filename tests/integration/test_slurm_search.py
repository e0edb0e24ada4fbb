"""A search worked off by jobs of a real SLURM."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aga.cli.main import main

pytestmark = [pytest.mark.slurm, pytest.mark.embedded, pytest.mark.slow]


def test_a_whole_search_runs_in_jobs_of_three_kinds(
    queued: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started from its settings file by `aga submit`, and nothing else."""
    files = queued.files(words="--max-idle 120")
    words = ["--ga", "1", "--oracle", "2", "--train", "2", "--files", str(files), "--json"]
    assert main(["submit", str(queued.search.file), *words]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [job["kind"] for job in document["jobs"]] == ["ga", *["oracle"] * 2, *["train"] * 2]
    address = Path(document["jobs"][0]["folder"]).parent / "launchpad.yaml"
    assert address.stat().st_mode & 0o777 == 0o600, "it may hold a password"
    queued.cluster.wait_for(lambda: queued.search.state != "running", 240)
    assert queued.search.state == "finished"
    queued.cluster.wait_for(lambda: not queued.cluster.says("squeue -h"))
    assert main(["jobs", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["queue"] is None
    assert {job["state"] for job in listed["jobs"]} == {"completed"}
    for job in listed["jobs"]:
        assert job["cores"] == 1
        assert job["partition"] == "debug"
        assert 0 <= job["wait"] < 60
        assert job["submitted"] <= job["started"] <= job["ended"]
        assert job["reason"] == "the search has ended"
        served = queued.repository.list_steps(queued.id, **{"worker.job": job["id"]})
        assert {step.category for step in served} <= {job["kind"]}
        assert len(served) == job["steps"]
    steps = queued.repository.list_steps(queued.id)
    assert sum(job["steps"] for job in listed["jobs"]) == len(steps)
    assert {step.attempts for step in steps} == {1}, "something was done twice"


def test_stock_qlaunch_works_with_the_same_files(queued: Any) -> None:
    queued.search.add()
    queued.search.drain(until="label")
    files = queued.files()
    pad = queued.folder / "my_launchpad.yaml"
    qlaunch = [str(Path(sys.executable).with_name("qlaunch")), "-l", str(pad)]
    for kind in ("train", "oracle"):
        command = [*qlaunch, "-w", f"{files}/fworker_{kind}.yaml", "-q", f"{files}/{kind}.yaml"]
        folder = queued.folder / kind
        folder.mkdir()
        subprocess.run([*command, "singleshot"], cwd=folder, check=True, capture_output=True)
    assert not (queued.folder / "train" / "FW_submit.script").exists(), "there is nothing to train"
    (job,) = queued.cluster.wait_for(queued.repository.list_jobs)
    assert (job.kind, job.name, job.search_id, job.starts) == ("oracle", "aga-oracle", None, 1)
    assert job.folder == str(queued.folder / "oracle")
    assert Path(job.stderr).exists()
    queued.cluster.wait_for(lambda: set(queued.states()) == {"done"})
    assert len(queued.calls("ended")) == 6


def test_a_dry_run_prints_and_checks_and_changes_nothing(
    queued: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    files = queued.files()
    words = ["--oracle", "8", "--ga", "2", "--files", str(files), "--dry-run"]
    assert main(["submit", str(queued.search.file), *words]) == 0
    out = capsys.readouterr().out
    assert f"--- oracle: 8 × {files}/oracle.yaml" in out
    assert "#SBATCH --partition=debug\n" in out
    assert "SLURM says: oracle: Job " in out
    assert "2 jobs for ga, but search.islands is 1: 1 would be idle" in out
    assert "search.schedule is sequential" in out
    assert "on this machine only" in out
    assert queued.repository.list_searches() == []
    assert queued.cluster.says("squeue -h") == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"queue": "nope"}, ("there is no partition nope", "debug, short (at most 0:01:00)")),
        (
            {"queue": "short", "walltime": "2:00:00"},
            ("2:00:00 is more than partition short gives, 0:01:00",),
        ),
        ({"walltime": "2"}, ("signal 30 s before the end of a walltime of 0:02:00",)),
        ({"walltime": "a day"}, ("oracle.yaml: walltime: 'a day' is no time limit",)),
        ({"mem": "90G"}, ("node configuration", "correct `ntasks`, `cpus_per_task`, `mem`")),
    ],
)
def test_what_slurm_would_not_run_is_refused(
    queued: Any, capsys: pytest.CaptureFixture[str], changes: dict[str, str], words: list[str]
) -> None:
    queued.search.add()
    files = queued.files(**changes)
    assert main(["submit", queued.id, "--oracle", "1", "--files", str(files)]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert queued.repository.list_jobs() == []
    assert queued.cluster.says("squeue -h") == ""
