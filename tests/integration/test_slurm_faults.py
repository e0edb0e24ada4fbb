"""Jobs of a real SLURM that die: nothing acknowledged is lost, nothing is computed twice."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from aga.cli.main import main
from aga.tasks.jobs import ended_jobs, release_ended
from aga.tasks.perform import perform

pytestmark = [pytest.mark.slurm, pytest.mark.embedded, pytest.mark.slow]

LONG = 600.0


@pytest.fixture
def labelling(queued: Any) -> Any:
    """A search with six reference jobs to do, one already done, each of which takes long."""
    queued.search.add()
    queued.search.drain(until="label")
    step = queued.search.planned("label")[0]
    perform(step.id, queued.search.launchpad)
    queued.search.launchpad.abandon(step.fw_id)
    queued.takes(LONG)
    return queued


def finish(queued: Any) -> None:
    """Let one more job do the rest, and see that all is there and was computed once."""
    before = {f.name: f.energy for f in queued.repository.frames(queued.id)}
    queued.takes(0.0)
    queued.submit("--oracle", "1", words="--max-idle 40")
    queued.cluster.wait_for(lambda: set(queued.states()) == {"done"})
    after = {f.name: f.energy for f in queued.repository.frames(queued.id)}
    assert before, "there was something to lose"
    assert before.items() <= after.items(), "an acknowledged label was lost"
    times = Counter(line.split()[0] for line in queued.calls("ended"))
    assert len(times) == 6
    assert set(times.values()) == {1}, "a reference job was done twice"


def why(job: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["jobs", "why", job, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_walltime_in_the_middle_of_a_reference_job(
    labelling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """One job is warned by SLURM a minute before, another one only ended by it."""
    cluster = labelling.cluster
    (warned,) = labelling.submit("--oracle", "1", signal="B:USR1@59")
    (unwarned,) = labelling.submit("--oracle", "1", signal=None)
    cluster.wait_for(lambda: labelling.held_by(warned) and labelling.held_by(unwarned))
    names = {job: labelling.held_by(job)[0].id for job in (warned, unwarned)}
    cluster.says(f"scontrol update jobid={warned} EndTime=now+75", check=True)
    cluster.says(f"scontrol update jobid={unwarned} EndTime=now+2", check=True)
    cluster.wait_for(lambda: cluster.state(unwarned) == "TIMEOUT", 90)
    cluster.wait_for(lambda: cluster.state(warned) == "COMPLETED", 90)
    assert "SIGUSR1" in labelling.repository.get_job(warned).reason
    assert "SIGTERM" in labelling.repository.get_job(unwarned).reason
    given = [step for step in labelling.steps() if step.id in names.values()]
    assert {(step.state, step.attempts) for step in given} == {("planned", 0)}
    told = why(unwarned, capsys)
    assert told["state"] == "timeout"
    assert "reached its walltime" in told["cause"]
    assert "raise `walltime`" in told["remedy"]
    assert told["steps"] == [
        {"step": names[unwarned], "state": "planned", "attempts": 0, "now": "handed out again"}
    ]
    assert any("DUE TO TIME LIMIT" in line for line in told["log"])
    finish(labelling)


def test_a_cancelled_job_gives_its_step_back_and_the_late_launcher_is_refused(
    labelling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = labelling.cluster
    (job,) = labelling.submit("--oracle", "1")
    (step,) = cluster.wait_for(lambda: labelling.held_by(job))
    late = perform(step.id, labelling.search.launchpad)  # a second launcher of the same step
    assert late == {"step_id": step.id, "state": "skipped"}
    assert main(["jobs", "cancel", "--search", labelling.id, "--kind", "ga"]) == 0
    assert "no such job" in capsys.readouterr().out
    assert main(["jobs", "cancel", job, "--dry-run"]) == 0
    assert f"would cancel {job}" in capsys.readouterr().out
    assert cluster.state(job) == "RUNNING"
    assert main(["jobs", "cancel", job]) == 0
    cluster.wait_for(lambda: cluster.state(job) == "CANCELLED")
    told = why(job, capsys)
    assert told["state"] == "cancelled"
    assert "scancel" in told["cause"]
    assert [s["now"] for s in told["steps"]] == ["handed out again"]
    assert labelling.repository.get_step(step.id).attempts == 0
    finish(labelling)


def test_a_lost_node_costs_one_repetition(
    labelling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = labelling.cluster
    files = labelling.files()
    adapter = files / "oracle.yaml"
    adapter.write_text(adapter.read_text().replace("#SBATCH --requeue", "#"))
    assert main(["submit", labelling.id, "--oracle", "1", "--files", str(files)]) == 0
    (job,) = (job.id for job in labelling.repository.list_jobs())
    (step,) = cluster.wait_for(lambda: labelling.held_by(job))
    node = cluster.says(f"squeue -h -j {job} -o %N")
    cluster.lose_node(node)
    cluster.wait_for(lambda: cluster.state(job) == "NODE_FAIL")
    try:
        assert labelling.repository.get_step(step.id).state == "running", "nobody could tell"
        assert ended_jobs(labelling.repository, [job]) == {job}
        assert release_ended(labelling.repository, labelling.id) == [step.id]
        again = labelling.repository.get_step(step.id)
        assert (again.state, again.attempts) == ("planned", 0)
        told = why(job, capsys)
        assert told["state"] == "node_fail"
        assert told["remedy"].startswith("nothing")
        finish(labelling)
    finally:
        cluster.return_node(node)


def test_preemption_and_requeue_are_harmless(
    labelling: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = labelling.cluster
    (job,) = labelling.submit("--oracle", "1", queue="preempt", words="--max-idle 40")
    (step,) = cluster.wait_for(lambda: labelling.held_by(job))
    (labelling.folder / "urgent.sh").write_text("#!/bin/sh\nsleep 1\n")
    script = labelling.folder / "urgent.sh"
    cluster.says(f"sbatch -p urgent -n 2 -o /dev/null {script}", check=True)
    cluster.wait_for(lambda: cluster.state(job) == "PENDING")
    cluster.wait_for(lambda: labelling.repository.get_step(step.id).state == "planned")
    told = why(job, capsys)
    assert told["state"] == "pending"
    assert "requeued" in told["cause"]
    labelling.takes(0.0)
    cluster.wait_for(lambda: set(labelling.states()) == {"done"}, 90)
    found = labelling.repository.get_job(job)
    assert (found.starts, found.state) == (2, "running")
    assert found.submitted <= found.started < found.begun
    assert "PREEMPTION" in labelling.log(job)
    times = Counter(line.split()[0] for line in labelling.calls("ended"))
    assert set(times.values()) == {1}
    assert len(times) == 6
