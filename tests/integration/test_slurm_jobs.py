"""What is known of jobs when the queue answers, has forgotten them, or is silent."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aga.cli.main import main
from aga.report.jobs_table import jobs_table
from aga.slurm import command
from aga.slurm.environment import JobEnvironment
from aga.store.documents import Step, Worker, utcnow
from aga.store.jobs import Job
from aga.store.repository import Repository
from aga.tasks.job_record import JobRecord
from aga.tasks.jobs import ended_jobs, reconcile, release_earlier, release_ended
from aga.tasks.time_limit import CUSHION, Durations, TimeLimit

pytestmark = pytest.mark.embedded


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_database: str) -> Path:
    """Folder of SLURM's commands, which print the files of their names."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("squeue", "sacct", "scontrol"):
        script = f'#!/bin/sh\necho "$*" >> {folder}/asked\ncat {folder}/{name}.txt 2>/dev/null\n'
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("AGA_DATABASE", embedded_database)
    return folder


def job(number: str, **fields: Any) -> Job:
    early = utcnow() - timedelta(hours=1)
    values = {"kind": "oracle", "name": "x", "state": "running", "submitted": early, "starts": 1}
    return Job(id=number, **{**values, **fields})


def asked(queue: Path) -> int:
    return len((queue / "asked").read_text().splitlines()) if (queue / "asked").exists() else 0


def held(repository: Repository, job_id: str, key: str, *, started: float | None = None) -> Step:
    """Give a step in the hands of a worker on another machine."""
    step = Step(search_id="s", kind="label", iteration=0, key=key)
    repository.plan_steps([step])
    when = time.time() if started is None else started
    worker = Worker(host="elsewhere", pid=1, started=when, job=job_id)
    assert repository.claim(step.id, worker=worker, lease=600)
    return step


def test_the_queue_then_the_accounts_then_the_log_decide(
    queue: Path, repository: Repository, tmp_path: Path
) -> None:
    log = tmp_path / "4.error"
    log.write_text("error: *** JOB 4 ON n CANCELLED AT X DUE TO TIME LIMIT ***\n")
    jobs = [
        job("1"),
        job("2", state="pending"),
        job("3"),
        job("4", stderr=str(log)),
        job("5", stderr=str(tmp_path / "none")),
        job("6", state="completed", reason="the search has ended", exit_code="0"),
        job("7", submitted=utcnow(), state="pending"),
        job("8", state="failed", settled=True),
    ]
    for item in jobs:
        repository.put_job(item)
    (queue / "squeue.txt").write_text(
        "1|RUNNING|cpu|4|1795659947|1795659948|1795660068|None|n1|x\n"
        "2|RUNNING|cpu|4|1795659947|1795659958|1795660068|None|n1|x\n"
    )
    (queue / "sacct.txt").write_text(
        "3|OUT_OF_MEMORY|cpu|4|1795659947|1795659950|1795660000|0:125|n4|x\n"
    )
    found = {item.id: item for item in reconcile(repository, jobs)}
    assert {number: item.state for number, item in found.items()} == {
        "1": "running",
        "2": "running",
        "3": "out_of_memory",
        "4": "timeout",
        "5": "unknown",
        "6": "completed",
        "7": "pending",
        "8": "failed",
    }
    assert {n for n, item in found.items() if item.settled} == {"3", "4", "5", "6", "8"}
    assert found["2"].cores == 4
    assert "DUE TO TIME LIMIT" in str(found["4"].reason)
    assert "without a word" in str(found["5"].reason)
    assert found["6"].reason == "the search has ended"
    assert {item.id: item for item in repository.list_jobs()} == found


def test_a_silent_queue_shows_what_was_known_last(
    queue: Path,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "TIMEOUT", 0.3)
    for name in ("squeue", "sinfo", "scancel"):
        (queue / name).write_text("#!/bin/sh\nsleep 600\n")
        (queue / name).chmod(0o755)
    repository.put_job(job("1"))
    assert main(["jobs", "list"]) == 0
    said = capsys.readouterr()
    assert " 1 " in said.out
    assert "running" in said.out
    assert "did not answer within 0.3 s; states are those known last" in said.err
    assert main(["jobs", "list", "--json"]) == 0
    assert "did not answer" in json.loads(capsys.readouterr().out)["queue"]
    assert main(["jobs", "cancel", "1"]) == 4
    assert "scontrol ping" in capsys.readouterr().err
    assert ended_jobs(repository) == set()


def test_jobs_that_nobody_knows_are_told(
    queue: Path, repository: Repository, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in (["log", "77"], ["files", "77"], ["why", "77"], ["cancel", "77"]):
        assert main(["jobs", *words]) == 2
        assert "no job '77' is known here" in capsys.readouterr().err
    assert main(["jobs", "cancel"]) == 2
    assert main(["jobs", "list", "--kind", "gpu"]) == 2
    assert "there is no kind gpu" in capsys.readouterr().err
    assert main(["jobs", "list"]) == 0
    assert "no jobs" in capsys.readouterr().out


def test_why_tells_exit_codes_and_the_log(
    queue: Path, repository: Repository, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "9.error"
    log.write_text("slurm_script: line 22: exec: aga: not found\n")
    repository.put_job(job("9", state="failed", exit_code="127:0", stderr=str(log), settled=True))
    assert main(["jobs", "why", "9"]) == 0
    out = capsys.readouterr().out
    assert "exit code 127: the script found no program `aga`" in out
    assert "pre_rocket" in out
    assert "exec: aga: not found" in out
    assert main(["jobs", "log", "9"]) == 0
    assert "exec: aga: not found" in capsys.readouterr().out


def test_steps_of_ended_jobs_are_freed_and_the_queue_is_not_flooded(
    queue: Path, repository: Repository
) -> None:
    begun = utcnow()
    for number, fields in {
        "1": {},
        "2": {},
        "3": {},
        "4": {"starts": 2, "begun": begun, "seen": utcnow()},
        "5": {},
    }.items():
        repository.put_job(job(number, **fields))
    steps = [held(repository, number, f"k{number}") for number in ("1", "2", "3", "5")]
    earlier = held(repository, "4", "k4", started=begun.timestamp() - 100)
    now = held(repository, "4", "k4b", started=begun.timestamp() + 1)
    (queue / "squeue.txt").write_text(
        "1|RUNNING|cpu|4|1795659947|1795659948|1795660068|None|n1|x\n"
        "2|NODE_FAIL|cpu|4|1795659947|1795659948|1795660068|NodeDown|n1|x\n"
        "3|PENDING|cpu|4|1795659947|N/A|N/A|BeginTime||x\n"
        "5|OUT_OF_MEMORY|cpu|4|1795659947|1795659948|1795660068|OutOfMemory|n1|x\n"
    )
    freed = release_ended(repository, "s")
    assert set(freed) == {steps[1].id, steps[2].id, earlier.id}
    states = {s.key: (s.state, s.attempts) for s in repository.list_steps("s")}
    assert states["k2"] == states["k3"] == states["k4"] == ("planned", 0)
    assert states["k5"] == ("running", 1), "a lack of memory may be the step's own fault"
    assert states["k1"] == states["k4b"] == ("running", 1)
    assert now.id not in freed
    times = asked(queue)
    for _ in range(5):
        release_ended(repository, "s")
    assert asked(queue) == times


def test_a_late_worker_of_a_requeued_job_is_refused(queue: Path, repository: Repository) -> None:
    def record(restarts: str) -> JobRecord:
        known = {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "x", "SLURM_RESTART_COUNT": restarts}
        return JobRecord(repository=repository, job=JobEnvironment.current(known))

    first, second = record("0"), record("1")
    assert first.begin(["oracle"], None, None)
    first.note(steps=3)
    assert second.begin(["oracle"], None, None)
    first.note(steps=4, state="completed")
    first.end("late", "0", failed=False)
    found = repository.get_job("1")
    assert (found.starts, found.steps, found.state, found.reason) == (2, 0, "running", None)
    assert not first.begin(["oracle"], None, None)
    assert JobRecord(repository=repository, job=None).begin(["oracle"], None, None)


def test_a_requeued_job_takes_over_from_its_earlier_start(
    queue: Path, repository: Repository
) -> None:
    begun = utcnow()
    old = held(repository, "1", "old", started=begun.timestamp() - 60)
    held(repository, "1", "new", started=begun.timestamp() + 1)
    held(repository, "2", "other", started=begun.timestamp() - 60)
    assert release_earlier(repository, "1", None) == []
    assert release_earlier(repository, "1", begun) == [old.id]


def test_a_job_known_before_its_submission_is_written_down_keeps_its_state(
    repository: Repository,
) -> None:
    running = job("1", state="running", search_id="s", steps=2)
    assert repository.put_job(running)
    late = job("1", state="pending", folder="/f", starts=0)
    assert not repository.put_job(late, ["folder", "submitted"])
    found = repository.get_job("1")
    assert (found.state, found.steps, found.folder) == ("running", 2, "/f")


def test_what_does_not_fit_is_not_begun(repository: Repository) -> None:
    now = utcnow()
    for key, category, seconds in (("a", "oracle", 500), ("b", "oracle", 90), ("c", "ga", 5)):
        kind: Any = "label" if category == "oracle" else "acquire"
        step = Step(search_id="s", kind=kind, iteration=0, key=key)
        times = {"started_at": now - timedelta(seconds=seconds), "ended_at": now, "state": "done"}
        repository.insert_new("steps", [step.to_dict() | times])
    durations = Durations(repository=repository, search_id="s")
    kinds = ["ga", "oracle", "train"]
    assert durations.fitting(kinds, 1000.0) == kinds
    assert durations.fitting(kinds, 400.0) == ["ga", "train"]
    assert durations.fitting(kinds, 3.0) == ["train"]
    assert durations.fitting(kinds, float("inf")) == kinds


def test_the_limit_is_that_of_the_job() -> None:
    assert TimeLimit.find(None, 60.0, None, None).is_near() is False
    limit = TimeLimit.find(100.0, 60.0, None, None)
    assert limit.is_near() is False
    assert 0 < limit.remaining() <= 100.0 - CUSHION
    assert TimeLimit.find(50.0, 60.0, None, None).is_near() is True
    known = JobEnvironment.current({"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": "1795660068"})
    assert TimeLimit.find(None, 60.0, known, None).ends == 1795660068.0


def test_the_table_cuts_nothing_off_in_a_narrow_terminal() -> None:
    begun = utcnow()
    rows = [
        job("4512345", state="out_of_memory", partition="standard", cores=16, starts=2),
        job("4512346", state="pending", reason="Priority", kind="ga+oracle+train"),
        job("4512347", name="aga-oracle-12", started=begun, ended=begun, steps=40),
    ]
    with io.StringIO() as out:
        Console(width=80, file=out).print(jobs_table(rows))
        text = out.getvalue()
    for word in ("4512345", "out_of_memory", "×2", "(Priority)", "train", "standard", "16", "40"):
        assert word in text
    assert "…" not in text
    assert "1 h 00" in text, "it waited an hour"


@pytest.mark.slow
def test_a_worker_ends_with_its_walltime_and_loses_nothing(small_search: Any) -> None:
    small_search.drain(until="label")
    small_search.faults({"label": "slow"})
    words = ["--search", small_search.id, "--walltime", "3", "--margin", "2"]
    subprocess.run(
        [sys.executable, "-m", "aga", "worker", *words],
        cwd=small_search.folder,
        env=small_search.environment(),
        capture_output=True,
        check=True,
        text=True,
    )
    steps = small_search.repository.list_steps(small_search.id, kind="label")
    states = Counter((step.state, step.attempts) for step in steps)
    assert set(states) <= {("done", 1), ("planned", 0)}
    assert states["planned", 0] > 0, "six steps of a second don't fit into three"
    given = small_search.planned("label")
    live = small_search.launchpad.live([step.fw_id for step in given], grace=30.0)
    assert live == {step.fw_id for step in given}, "what was given back is handed out again"
