"""SLURM's commands as they answer, refuse, or hang; recorded output of several versions."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aga.errors import InputError, MissingExecutableError, UnavailableError
from aga.slurm import command
from aga.slurm.accounting import parse_accounts, past_jobs
from aga.slurm.command import run
from aga.slurm.details import parse_details, show_job
from aga.slurm.environment import JobEnvironment
from aga.slurm.logs import end_in_log, tail
from aga.slurm.partitions import parse_partitions
from aga.slurm.queue import list_jobs, parse_queue
from aga.slurm.states import normalise
from aga.slurm.submission import refusal, submit_script
from aga.slurm.times import read_limit, read_time

QUEUE = """\
1|RUNNING|debug|1|1795659947|1795659948|1795660068|None|aga1|x
8|PENDING|debug|4|1795659997|N/A|N/A|Priority||a|b
9|COMPLETING|debug|2|1795659947|1795659948|1795659960|None|aga[1-2]|name
slurm_load_jobs error: something else
"""
ACCOUNTS = """\
17|COMPLETED|cpu|8|1795659947|1795659950|1795660000|0:0|n[01-02]|aga-ga-1
18|CANCELLED by 1000|cpu|8|1795659947|1795659950|1795660000|0:15|n03|aga|ga
19|NODE_FAIL|cpu|1|1795659947|1795659950|1795660000|0:0|n04|x
20|OUT_OF_MEMORY|cpu|1|1795659947|1795659950|1795660000|0:125|n04|x
21|CANCELLED by 0|cpu|0|1795659947|None|1795660000|0:0|None assigned|x
"""
DETAILS = """\
JobId=1 JobName=a name with spaces
   UserId=root(0) GroupId=root(0) MCS_label=N/A
   JobState=TIMEOUT Reason=TimeLimit Dependency=(null)
   Requeue=1 Restarts=2 BatchFlag=1 Reboot=0 ExitCode=0:9
   RunTime=00:00:13 TimeLimit=00:02:00 TimeMin=N/A
   SubmitTime=1795659947 EligibleTime=1795659947
   StartTime=1795659948 EndTime=1795660068 Deadline=N/A
   Partition=debug AllocNode:Sid=localhost:3191
   NodeList=aga1
   NumNodes=1 NumCPUs=3 NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
   Command=/home/me/a folder/FW_submit.script
   WorkDir=/home/me/a folder
   StdErr=/home/me/a folder/aga-1.error
   StdIn=/dev/null
   StdOut=/home/me/a folder/aga-1.out
   Power=
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of programs that stand before those of the machine."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_queue_that_hangs_is_given_up_with_all_it_started(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "TIMEOUT", 0.3)
    put(programs, "squeue", "echo $$ > pid; sleep 600 & wait")
    monkeypatch.chdir(programs)
    with pytest.raises(UnavailableError, match=r"squeue.*did not answer within 0.3 s") as caught:
        list_jobs(["1"])
    assert caught.value.exit_code == 4
    assert "nothing is lost" in str(caught.value.remedy)
    group = int((programs / "pid").read_text())
    for _ in range(100):
        if not any(
            stat.read_text().split(") ")[1].split()[2] == str(group)
            for stat in Path("/proc").glob("[0-9]*/stat")
            if stat.exists()
        ):
            return
        time.sleep(0.05)
    pytest.fail("its children go on")


@pytest.mark.parametrize(
    "said",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "squeue: error: Socket timed out on send/recv operation",
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller",
    ],
)
def test_a_controller_that_is_down_is_no_mistake_of_the_user(programs: Path, said: str) -> None:
    put(programs, "squeue", f"echo '{said}' >&2; exit 1")
    with pytest.raises(UnavailableError, match="does not answer"):
        list_jobs(["1"])


def test_without_slurm_the_message_says_where_to_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExecutableError, match="squeue") as caught:
        list_jobs(["1"])
    assert "login node" in str(caught.value.remedy)
    assert past_jobs(["1"]) is None


def test_the_users_display_settings_change_nothing(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SQUEUE_STATES", "PENDING")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    monkeypatch.setenv("SLURM_CONF", "/kept")
    put(programs, "squeue", 'echo "$SQUEUE_STATES,$SLURM_TIME_FORMAT,$SLURM_CONF"')
    assert run("squeue").output == ",%s,/kept\n"


def test_the_queue_is_read() -> None:
    first, second, third = parse_queue(QUEUE.splitlines())
    assert (first.id, first.state, first.cores, first.nodes) == ("1", "running", 1, "aga1")
    assert first.submitted == datetime.fromtimestamp(1795659947, UTC)
    assert first.ends == datetime.fromtimestamp(1795660068, UTC)
    assert (second.state, second.reason, second.name) == ("pending", "Priority", "a|b")
    assert (second.started, second.ends, second.nodes) == (None, None, None)
    assert third.state == "running"


def test_the_accounts_are_read() -> None:
    jobs = {job.id: job for job in parse_accounts(ACCOUNTS.splitlines())}
    assert [jobs[n].state for n in ("17", "18", "19", "20", "21")] == [
        *("completed", "cancelled", "node_fail", "out_of_memory", "cancelled")
    ]
    assert jobs["18"].reason == "CANCELLED by 1000"
    assert (jobs["18"].exit_code, jobs["18"].name) == ("0:15", "aga|ga")
    assert (jobs["21"].started, jobs["21"].nodes) == (None, None)


def test_accounting_that_is_off_is_no_error(programs: Path) -> None:
    put(programs, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert past_jobs(["1"]) is None


def test_one_job_is_read(programs: Path) -> None:
    found = parse_details(DETAILS)
    assert found is not None
    assert (found.name, found.state, found.reason) == ("a name with spaces", "timeout", "TimeLimit")
    assert (found.cores, found.restarts, found.exit_code) == (3, 2, "0:9")
    assert found.stderr == "/home/me/a folder/aga-1.error"
    assert found.ends == datetime.fromtimestamp(1795660068, UTC)
    assert parse_details("") is None
    put(programs, "scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert show_job("99") is None


def test_partitions_are_read() -> None:
    lines = "debug|up|infinite|debug*\nshort|up|1-12:30:00|short\nold|down|30:00|old\n"
    debug, short, old = parse_partitions(lines.splitlines())
    assert (debug.limit, debug.default) == (None, True)
    assert short.limit == 36.5 * 3600
    assert (old.up, old.limit, str(old)) == (False, 1800.0, "old (at most 0:30:00) (down)")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800.0),
        ("1:30", 90.0),
        ("24:00:00", 86400.0),
        ("2-0", 172800.0),
        ("1-02:03", 93780.0),
        ("1-02:03:04", 93784.0),
        ("UNLIMITED", None),
    ],
)
def test_time_limits_are_read(text: str, seconds: float | None) -> None:
    assert read_limit(text) == seconds
    with pytest.raises(InputError, match="no time limit"):
        read_limit("a day")


def test_times_are_read() -> None:
    assert read_time("1795659947") == datetime.fromtimestamp(1795659947, UTC)
    assert read_time("2026-01-31T12:00:00") == datetime(2026, 1, 31, 12).astimezone(UTC)
    assert [read_time(text) for text in ("N/A", "Unknown", "", "0", "soon")] == [None] * 5


def test_states_are_told_in_a_few_words() -> None:
    words = {
        "CANCELLED by 1000": "cancelled",
        "NODE_FAIL": "node_fail",
        "CANCELLED+": "cancelled",
        "REQUEUED": "pending",
        "SUSPENDED": "running",
        "SOMETHING_NEW": "unknown",
        "": "unknown",
    }
    assert {word: normalise(word) for word in words} == words


@pytest.mark.parametrize(
    ("said", "kind", "remedy"),
    [
        ("Batch job submission failed: Invalid partition name specified", InputError, "`queue`"),
        (
            "Invalid account or account/partition combination specified",
            InputError,
            "`account`",
        ),
        ("Batch job submission failed: Invalid qos specification", InputError, "`qos`"),
        ("Requested time limit is invalid (missing or exceeds some limit)", InputError, "walltime"),
        ("Requested node configuration is not available", InputError, "`mem`"),
        (
            "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
            UnavailableError,
            "submit fewer",
        ),
        ("something nobody has seen", InputError, "correct the settings in ga.yaml"),
    ],
)
def test_refusals_say_what_to_do(said: str, kind: type[Exception], remedy: str) -> None:
    error = refusal(f"sbatch: error: {said}", "ga.yaml")
    assert type(error) is kind
    assert said in error.message
    assert remedy in str(error.remedy)


def test_a_submission_gives_the_number(programs: Path) -> None:
    put(programs, "sbatch", "echo 'welcome 12'; echo 'Submitted batch job 4711 on cluster x'")
    assert submit_script(Path("script"), adapter="ga.yaml") == "4711"
    put(programs, "sbatch", "echo 'done'")
    with pytest.raises(InputError, match="done"):
        submit_script(Path("script"), adapter="ga.yaml")


@pytest.mark.parametrize(
    ("line", "state"),
    [
        ("slurmstepd-n1: error: *** JOB 1 ON n1 CANCELLED AT X DUE TO TIME LIMIT ***", "timeout"),
        ("slurmstepd: error: *** JOB 9 ON n CANCELLED AT X DUE TO PREEMPTION ***", "preempted"),
        ("slurmstepd: error: *** JOB 7 ON n CANCELLED AT 2026-11-26T02:26:35 ***", "cancelled"),
        ("slurmstepd: error: *** JOB 7 ON n CANCELLED AT X DUE TO NODE FAILURE ***", "node_fail"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in StepId=7.batch", "out_of_memory"),
        ("/var/spool/slurmd/job7/slurm_script: line 22: exec: aga: not found", "failed"),
    ],
)
def test_the_log_says_how_it_ended(tmp_path: Path, line: str, state: str) -> None:
    file = tmp_path / "log"
    file.write_text(f"INFO began\n{line}\nTraceback …\n")
    assert end_in_log(tail(file)) == (state, line)
    assert tail(file, 1) == ["Traceback …"]
    assert tail(tmp_path / "none") == []
    assert end_in_log(["INFO 3 steps performed"]) is None


def test_a_job_knows_itself() -> None:
    given = {
        "SLURM_JOB_ID": "12",
        "SLURM_JOB_NAME": "aga-ga-1",
        "SLURM_RESTART_COUNT": "1",
        "SLURM_CPUS_ON_NODE": "4",
        "SLURM_JOB_END_TIME": "1795660068",
        "SLURM_SUBMIT_DIR": "/scratch/me",
    }
    found = JobEnvironment.current(given)
    assert found is not None
    assert (found.id, found.restarts, found.cores) == ("12", 1, 4)
    assert found.ends is not None
    assert math.isclose(found.ends.timestamp(), 1795660068)
    assert JobEnvironment.current({}) is None
