"""Crash points made by hand: `recover` goes on from each, and leaves a healthy search alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fireworks.core.fworker import FWorker

from aga.store.documents import Attempt, Step, Worker, utcnow
from aga.store.handle import SearchHandle
from aga.tasks import perform as performing
from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.perform import perform
from aga.tasks.recovery import MAX_DEATHS, MAX_DEATHS_OF_CANDIDATE, Recovered, recover
from aga.tasks.session import open_session
from aga.tasks.steps import STEPS, reference, step_function
from aga.tasks.worker import WorkerOptions, work

pytestmark = pytest.mark.embedded

ELSEWHERE = Worker(host="a-node-far-away", pid=1, started=0.0)
DEAD = Worker(host=os.uname().nodename, pid=2**22 - 1, started=0.0)


def repair(search: Any, grace: float = 0.0) -> Recovered:
    return recover(search.repository, search.launchpad, search.id, grace=grace)


def serve(search: Any, *categories: str, max_idle: float = 0.5) -> int:
    """Be a worker in this process."""
    options = WorkerOptions(
        categories=categories,
        search_id=search.id,
        launch_dir=Path("launches"),
        max_idle=max_idle,
        poll=0.05,
    )
    return work(search.repository, search.launchpad, options)


def take(search: Any, step: Step, worker: Worker, lease: float = 3600.0) -> Attempt:
    attempt = search.repository.claim(step.id, worker=worker, lease=lease)
    assert isinstance(attempt, Attempt)
    return attempt


def launch(search: Any, step: Step) -> int:
    """Take the firework of a step as a worker does, and go no further."""
    fworker = FWorker(query={"spec.step_id": step.id})
    _, launch_id = search.launchpad.checkout_fw(fworker, str(Path.cwd()))
    return int(launch_id)


def lose_firework(search: Any, step: Step) -> None:
    """The planner died between the step and its firework."""
    search.launchpad.fireworks.delete_one({"fw_id": step.fw_id})
    search.launchpad.workflows.delete_one({"nodes": step.fw_id})
    search.repository.set_firework(step.id, None)


def lose_workflow(search: Any, step: Step) -> None:
    """The planner died between the two writes of a new workflow."""
    search.launchpad.workflows.delete_one({"nodes": step.fw_id})


def die_before_claim(search: Any, step: Step) -> None:
    """The worker died when it had launched the firework."""
    launch(search, step)


def die_in_checkout(search: Any, step: Step) -> None:
    """The worker died while it launched the firework, holding the workflow's lock."""
    launch(search, step)
    search.launchpad.launches.delete_many({"fw_id": step.fw_id})
    search.launchpad.fireworks.update_one({"fw_id": step.fw_id}, {"$set": {"state": "RESERVED"}})
    search.launchpad.workflows.update_one({"nodes": step.fw_id}, {"$set": {"locked": True}})


def die_at_work(search: Any, step: Step) -> None:
    """The worker died at work on this machine."""
    launch(search, step)
    take(search, step, DEAD)


def vanish_at_work(search: Any, step: Step) -> None:
    """The worker's machine went away, and its lease ran out."""
    launch(search, step)
    take(search, step, ELSEWHERE, lease=-1.0)


def die_in_completion(search: Any, step: Step) -> None:
    """The worker died at work, while FireWorks held the workflow's lock."""
    die_at_work(search, step)
    search.launchpad.workflows.update_one({"nodes": step.fw_id}, {"$set": {"locked": True}})


def die_before_planning(search: Any, step: Step) -> None:
    """The worker died after its commit: nobody planned what follows, FireWorks saw no end."""
    launch(search, step)
    attempt = take(search, step, Worker.current())
    context = performing.StepContext(
        repository=search.repository, settings=search.settings, step=step, attempt=attempt
    )
    search.repository.complete(attempt, step_function(step.kind)(context))


CRASHES: tuple[Callable[[Any, Step], None], ...] = (
    lose_firework,
    lose_workflow,
    die_before_claim,
    die_in_checkout,
    die_at_work,
    vanish_at_work,
    die_in_completion,
    die_before_planning,
)


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("kind", ["seed", "label", "train"])
def test_recover_goes_on_from_every_crash_point(
    small_search: Any, crash: Callable[[Any, Step], None], kind: str
) -> None:
    small_search.drain(until=kind)
    assert small_search.state == "running"
    step = small_search.planned(kind)[0]
    crash(small_search, step)
    found = repair(small_search)
    assert found, "nothing was repaired"
    assert not repair(small_search, grace=30.0), "the first repair was not the whole one"
    ended = small_search.repository.get_step(step.id)
    if ended.state == "planned":
        assert serve(small_search, ended.category or "") > 0
        ended = small_search.repository.get_step(step.id)
    assert ended.state == "done"
    following = small_search.repository.list_steps(small_search.id)
    assert {s.state for s in following} <= {"done", "planned"}
    fireworks = small_search.launchpad.fireworks.find({"spec.step_id": step.id})
    assert {f["state"] for f in fireworks} <= {"COMPLETED", "ARCHIVED"} | (
        {"READY"} if crash is lose_workflow else set()
    )


def test_a_search_with_a_crash_at_every_kind_of_step_ends_like_an_undisturbed_one(
    small_search: Any, new_search: Callable[..., Any], embedded_server: str
) -> None:
    crashed: set[str] = set()
    while small_search.state == "running":
        step = small_search.planned()[0]
        if step.kind not in crashed:
            CRASHES[len(crashed) % len(CRASHES)](small_search, step)
            crashed.add(step.kind)
        repair(small_search)
        for left in small_search.planned()[:1]:
            perform(left.id, small_search.launchpad)
    assert small_search.state == "finished"
    assert len(crashed) == len(STEPS)

    calm = new_search(uri=f"{embedded_server}/calm_{os.getpid()}")
    calm.add()
    calm.drain()
    frames = {
        frame.name: (frame.energy, frame.candidate.positions.tolist())
        for frame in calm.repository.frames(calm.id)
    }
    assert frames == {
        frame.name: (frame.energy, frame.candidate.positions.tolist())
        for frame in small_search.repository.frames(small_search.id)
    }


def test_a_healthy_search_is_left_alone(small_search: Any) -> None:
    assert not repair(small_search)
    small_search.drain(until="label")
    first, second, *_ = small_search.planned("label")
    take(small_search, first, Worker.current())
    launch(small_search, second)
    before = small_search.launchpad.fireworks.count_documents({})
    assert not repair(small_search, grace=30.0)
    assert small_search.launchpad.fireworks.count_documents({}) == before
    assert not [
        e for e in small_search.repository.events(small_search.id) if e["kind"] == "recovered"
    ]


def test_a_planner_gets_time_to_add_its_firework(small_search: Any) -> None:
    (step,) = small_search.planned()
    lose_firework(small_search, step)
    assert not repair(small_search, grace=30.0)
    assert repair(small_search, grace=0.0).handed_out == (step.id,)


def test_recovering_from_many_places_at_once_does_no_harm(small_search: Any) -> None:
    small_search.drain(until="label")
    steps = small_search.planned("label")
    for step, crash in zip(steps, (die_at_work, vanish_at_work, lose_firework), strict=False):
        crash(small_search, step)
    sessions = [open_session(small_search.uri) for _ in range(4)]
    start, errors = threading.Barrier(4), []

    def go(session: Any) -> None:
        start.wait()
        try:
            recover(session.repository, session.launchpad, small_search.id, grace=0.0)
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=go, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    serve(small_search)
    assert small_search.state == "finished"
    labels = small_search.repository.list_steps(small_search.id, kind="label", iteration=0)
    assert {(s.state, s.attempts) for s in labels} <= {("done", 1), ("done", 2)}
    assert len(small_search.repository.frames(small_search.id)) == len(
        {f.name for f in small_search.repository.frames(small_search.id)}
    )


def test_a_worker_that_comes_back_late_changes_nothing(
    small_search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_search.drain(until="label")
    step = small_search.planned("label")[0]
    original = reference.label
    steps = small_search.repository.collection("steps")

    def frozen(context: Any) -> dict[str, Any]:
        """Hang until the lease is over and somebody else has done the step."""
        monkeypatch.setattr(reference, "label", original)
        past = {"lease": utcnow() - timedelta(seconds=1)}
        steps.update_one({"_id": step.id}, {"$set": past})
        assert perform(step.id, small_search.launchpad)["state"] == "done"
        small_search.faults({f"label {step.key}": "shifted"})
        late: dict[str, Any] = original(context)
        return late

    monkeypatch.setattr(reference, "label", frozen)
    assert perform(step.id, small_search.launchpad)["state"] == "skipped"
    done = small_search.repository.get_step(step.id)
    assert (done.state, done.attempts) == ("done", 2)
    (frame,) = small_search.repository.frames(small_search.id, [step.key])
    stored = small_search.repository.get_structure(small_search.id, step.key)
    assert stored["reference"]["energy"] == frame.energy, "the late numbers were mixed in"
    assert len(small_search.repository.frames(small_search.id)) == 1
    assert small_search.repository.count_reference(small_search.id) == 1


@pytest.mark.parametrize(
    ("kind", "limit", "end"),
    [("label", MAX_DEATHS_OF_CANDIDATE, "finished"), ("seed", MAX_DEATHS, "failed")],
)
def test_a_step_that_kills_its_workers_does_not_go_on_for_ever(
    small_search: Any, kind: str, limit: int, end: str
) -> None:
    small_search.drain(until=kind)
    step = small_search.planned(kind)[0]
    for death in range(1, limit + 1):
        assert small_search.repository.get_step(step.id).state == "planned", f"death {death}"
        take(small_search, step, DEAD)
        repair(small_search)
    killed = small_search.repository.get_step(step.id)
    assert killed.state == "failed"
    assert killed.error is not None
    assert f"died during attempt {limit}" in killed.error["message"]
    assert "memory" in killed.error["remedy"]
    small_search.drain()
    search = small_search.repository.get_search(small_search.id)
    assert search["state"] == end
    if kind == "label":
        (failed,) = SearchHandle(small_search.repository, small_search.id).structures(
            "reason == worker_died"
        )
        assert failed.name == step.key
    else:
        assert "died" in search["reason"]
        assert "memory" in search["remedy"]


def test_ids_drawn_at_once_are_distinct(embedded_database: str) -> None:
    """FireWorks' own LaunchPad draws from the old document, which small servers give twice."""
    count, each = 8, 25
    pads: list[SearchLaunchPad] = [open_session(embedded_database).launchpad for _ in range(count)]
    start = threading.Barrier(count)
    drawn: list[list[int]] = [[] for _ in pads]

    def draw(index: int) -> None:
        start.wait()
        for _ in range(each):
            drawn[index].append(pads[index].get_new_fw_id())
            first = pads[index].get_new_fw_id(quantity=3)
            drawn[index] += [first, first + 1, first + 2]

    threads = [threading.Thread(target=draw, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = sorted(number for numbers in drawn for number in numbers)
    assert ids == list(range(1, 4 * count * each + 1))


def test_a_worker_of_one_category_leaves_the_others_alone(small_search: Any) -> None:
    small_search.drain(until="label")
    count = len(small_search.planned("label"))
    assert serve(small_search, "train") == 0
    assert serve(small_search, "oracle") == count
    (collect,) = small_search.planned()
    assert collect.kind == "collect"
    assert small_search.state == "running", "it ended for want of work, not the search"
