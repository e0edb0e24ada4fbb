"""Steps are worked on by exactly one attempt at a time, whoever dies or comes late."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from aga.config import Settings
from aga.errors import NotFoundError, StaleAttemptError
from aga.store.documents import Attempt, Step, Worker
from aga.store.repository import Repository

pytestmark = pytest.mark.embedded

SID = "Si8-00000000"
ELSEWHERE = Worker(host="node-17.example", pid=4711, started=1.0e9)


@pytest.fixture
def dead() -> Worker:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    worker = Worker(
        host=Worker.current().host,
        pid=process.pid,
        started=psutil.Process(process.pid).create_time(),
    )
    process.wait()
    return worker


@pytest.fixture
def step(repository: Repository) -> Step:
    (planned,) = repository.plan_steps([make("i000-000")])
    return planned


def make(key: str) -> Step:
    return Step(search_id=SID, kind="label", iteration=0, key=key, args={"structure": key})


def claim(
    repository: Repository, step: Step, *, lease: float = 60.0, who: Worker = ELSEWHERE
) -> Attempt:
    attempt = repository.claim(step.id, worker=who, lease=lease)
    assert attempt is not None
    return attempt


def test_steps_are_planned_once(repository: Repository) -> None:
    first = repository.plan_steps([make("a"), make("b")])
    assert [step.key for step in first] == ["a", "b"]
    assert [step.key for step in repository.plan_steps([make("b"), make("c")])] == ["c"]
    stored = repository.get_step(f"{SID}/label/0/a")
    assert stored == first[0]
    assert (stored.category, stored.state, stored.attempts) == ("oracle", "planned", 0)
    assert len(repository.list_steps(SID)) == 3
    assert repository.list_steps(SID, key=["a", "c"], kind="label", state="planned") != []
    assert repository.list_steps(SID, state="done") == []
    assert repository.list_steps("nobody") == []
    assert repository.plan_steps([]) == []
    with pytest.raises(NotFoundError):
        repository.get_step("nobody/label/0/a")


def test_a_step_in_hand_is_not_given_away(repository: Repository, step: Step) -> None:
    attempt = claim(repository, step, who=Worker.current())
    assert attempt.number == 1
    assert repository.claim(step.id, worker=ELSEWHERE, lease=60) is None
    repository.complete(attempt, {"evaluations": 1})
    assert repository.claim(step.id, worker=ELSEWHERE, lease=60) is None
    stored = repository.get_step(step.id)
    assert (stored.state, stored.result) == ("done", {"evaluations": 1})
    assert stored.ended_at is not None


def test_completing_twice_is_the_same_as_once(repository: Repository, step: Step) -> None:
    attempt = claim(repository, step)
    repository.complete(attempt, {"n": 1})
    repository.complete(attempt, {"n": 1})
    with pytest.raises(StaleAttemptError, match="done"):
        repository.fail(attempt, {"message": "late"}, retry=False)


def test_expired_lease_is_taken_over_and_the_late_one_refused(
    repository: Repository, step: Step
) -> None:
    late = claim(repository, step, lease=-1.0)
    assert [item.id for item in repository.overdue(SID)] == [step.id]
    owner = claim(repository, step)
    assert owner.number == 2
    assert repository.overdue() == []
    assert not repository.renew(late, 60)
    for action in (
        lambda: repository.complete(late, {"who": "late"}),
        lambda: repository.fail(late, {"message": "x"}, retry=True),
        lambda: repository.release(late),
    ):
        with pytest.raises(StaleAttemptError):
            action()
    assert repository.renew(owner, 60)
    repository.complete(owner, {"who": "owner"})
    assert repository.get_step(step.id).result == {"who": "owner"}
    with pytest.raises(StaleAttemptError):
        repository.complete(late, {"who": "late"})


def test_lease_expired_but_not_taken_still_completes(repository: Repository, step: Step) -> None:
    attempt = claim(repository, step, lease=-1.0)
    repository.complete(attempt, {})
    assert repository.get_step(step.id).state == "done"


def test_renewed_lease_holds(repository: Repository, step: Step) -> None:
    attempt = claim(repository, step, lease=-1.0)
    assert repository.renew(attempt, 60)
    assert repository.claim(step.id, worker=Worker.current(), lease=60) is None


def test_step_of_a_dead_local_process_is_taken_at_once(
    repository: Repository, step: Step, dead: Worker
) -> None:
    claim(repository, step, who=dead, lease=3600)
    assert [item.id for item in repository.overdue(SID)] == [step.id]
    assert claim(repository, step, who=Worker.current()).number == 2


def test_reused_process_number_counts_as_dead(repository: Repository, step: Step) -> None:
    me = Worker.current()
    claim(repository, step, who=Worker(host=me.host, pid=me.pid, started=me.started - 100))
    assert claim(repository, step, who=me).number == 2


def test_failed_steps_are_retried_or_given_up(repository: Repository, step: Step) -> None:
    repository.fail(claim(repository, step), {"message": "no luck"}, retry=True)
    stored = repository.get_step(step.id)
    assert (stored.state, stored.attempts, stored.lease) == ("planned", 1, None)
    repository.fail(claim(repository, step), {"message": "again"}, retry=False)
    stored = repository.get_step(step.id)
    assert (stored.state, stored.error) == ("failed", {"message": "again"})
    assert repository.claim(step.id, worker=ELSEWHERE, lease=60) is None


def test_released_attempt_does_not_count(repository: Repository, step: Step) -> None:
    repository.release(claim(repository, step))
    stored = repository.get_step(step.id)
    assert (stored.state, stored.attempts, stored.worker) == ("planned", 0, None)
    assert claim(repository, step).number == 1


def test_firework_is_remembered(repository: Repository, step: Step) -> None:
    assert repository.set_firework(step.id, 17)
    assert repository.get_step(step.id).fw_id == 17
    assert not repository.set_firework("nobody", 17)


def test_reference_calls_are_counted_from_the_steps(repository: Repository) -> None:
    tree = Settings.model_validate({"search": {"composition": "Si8"}})
    repository.create_search(tree)
    sid = tree.search_id()
    steps = [Step(search_id=sid, kind="label", iteration=0, key=str(k)) for k in range(4)]
    steps.append(Step(search_id=sid, kind="refine", iteration=1, key="0"))
    attempts = [claim(repository, item) for item in repository.plan_steps(steps)]
    repository.complete(attempts[0], {})
    repository.complete(attempts[1], {"evaluations": 5})
    repository.fail(attempts[2], {"message": "crashed"}, retry=False)
    repository.complete(attempts[4], {"evaluations": 40})
    assert repository.count_reference(sid) == 7
    assert repository.count_reference(sid) == 7
    found = repository.get_search(sid)
    assert (found["reference_calls"], found["refine_calls"]) == (7, 40)


def test_reopened_search_plans_its_failed_steps_again(repository: Repository) -> None:
    tree = Settings.model_validate({"search": {"composition": "Si8"}})
    repository.create_search(tree)
    sid = tree.search_id()
    steps = repository.plan_steps(
        [
            Step(search_id=sid, kind="train", iteration=0),
            Step(search_id=sid, kind="label", iteration=0),
        ]
    )
    for item in steps:
        repository.fail(claim(repository, item), {"message": "x"}, retry=False)
    repository.update_search(sid, {"state": "failed", "reason": "train failed"})
    assert repository.reopen(sid) == [steps[0].id]
    assert repository.get_search(sid)["state"] == "running"
    assert repository.get_step(steps[0].id).state == "planned"
    assert repository.get_step(steps[1].id).state == "failed"


def test_an_ended_step_is_planned_anew_unless_it_has_changed(
    repository: Repository, step: Step
) -> None:
    attempt = claim(repository, step)
    repository.complete(attempt, {"frame": None})
    done = repository.get_step(step.id)
    assert repository.plan_again(done)
    now = repository.get_step(step.id)
    assert (now.state, now.attempts, now.result, now.fw_id) == ("planned", 0, None, None)
    assert not repository.plan_again(done)
    with pytest.raises(StaleAttemptError):
        repository.complete(attempt, {"frame": "late"})


def test_only_a_failed_step_is_withdrawn(repository: Repository, step: Step) -> None:
    attempt = claim(repository, step)
    assert not repository.withdraw(repository.get_step(step.id))
    repository.fail(attempt, {"message": "x"}, retry=False)
    assert repository.withdraw(repository.get_step(step.id))
    with pytest.raises(NotFoundError):
        repository.get_step(step.id)


# many at once

CLAIMER = """
import sys
from aga.store.documents import Worker
from aga.store.repository import Repository
from aga.store.connect import connect

repository = Repository(connect(sys.argv[1]))
keys = sys.argv[2].split(",")
sys.stdin.readline()  # until all are ready
for key in keys:
    attempt = repository.claim(key, worker=Worker.current(), lease=float(sys.argv[3]))
    if attempt is not None:
        repository.complete(attempt, {"token": attempt.token})
        print(key, attempt.token, flush=True)
"""


@pytest.fixture
def eight(embedded_database: str, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    keys = ",".join(f"{SID}/label/0/k{k:02d}" for k in range(20))
    command = [sys.executable, "-c", CLAIMER, embedded_database, keys, "60"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(8)
    ]
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_eight_processes_get_each_step_once(
    repository: Repository, eight: list[subprocess.Popen[str]]
) -> None:
    repository.plan_steps([make(f"k{k:02d}") for k in range(20)])
    for process in eight:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    won = []
    for process in eight:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        won += [line.split() for line in output.splitlines()]
    assert sorted(key for key, _ in won) == [f"{SID}/label/0/k{k:02d}" for k in range(20)]
    for key, token in won:
        stored = repository.get_step(key)
        assert (stored.state, stored.attempts, stored.result) == ("done", 1, {"token": token})


@pytest.mark.parametrize("state", ["planned", "expired"])
def test_eight_threads_get_one_step_once(
    repository: Repository, embedded_database: str, state: str
) -> None:
    steps = repository.plan_steps([make(f"t{k}") for k in range(10)])
    if state == "expired":
        for step in steps:
            claim(repository, step, lease=-1.0)
    barrier = threading.Barrier(8)
    won: list[str] = []

    def work() -> None:
        with Repository.open(embedded_database) as own:
            for step in steps:
                barrier.wait(60)
                if own.claim(step.id, worker=ELSEWHERE, lease=60) is not None:
                    won.append(step.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(won) == sorted(step.id for step in steps)


def test_two_planners_share_the_steps_between_them(
    repository: Repository, embedded_database: str
) -> None:
    steps = [make(f"p{k:03d}") for k in range(40)]
    barrier = threading.Barrier(4)
    planned: list[str] = []

    def work() -> None:
        with Repository.open(embedded_database) as own:
            barrier.wait(60)
            planned.extend(step.id for step in own.plan_steps(steps))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(planned) == sorted(step.id for step in steps)
