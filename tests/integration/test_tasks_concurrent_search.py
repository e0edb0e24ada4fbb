"""The concurrent schedule and islands on a real database: breeding goes on beside labels."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aga.errors import DatabaseUnavailableError
from aga.store import server
from aga.store.documents import Step
from aga.store.repository import Repository
from aga.structure.fingerprint import cosine_distances
from aga.tasks.perform import perform
from aga.tasks.recovery import recover
from aga.tasks.worker import WorkerOptions, work

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

CONCURRENT = {
    "schedule": "concurrent",
    "acquisition": {"picks_per_iteration": 3, "spread_max": 100.0},  # of a potential this small
    "generations_per_committee": 20,
    "budget": {"iterations": 2, "reference_calls": 30},
}


def ended(search: Any, kind: str) -> list[Step]:
    steps: list[Step] = search.repository.list_steps(search.id, kind=kind, state="done")
    return steps


def test_a_concurrent_search_comes_to_its_results(new_search: Callable[..., Any]) -> None:
    search = new_search(search={**CONCURRENT, "islands": 2})
    search.add()
    search.drain()
    assert search.state == "finished"
    labels = [step.key for step in search.repository.list_steps(search.id, kind="label")]
    assert len(labels) == len(set(labels))
    assert [step.iteration for step in ended(search, "assess")] == [0, 1, 2]
    assert search.repository.find_structures(search.id, {"stage": "result"})
    cards = search.repository.list_datasets(search.id)
    names = [name for card in cards for name in card["added"]]
    assert len(names) == len(set(names)), "a label was learned from twice"
    breeds = ended(search, "breed")
    assert {step.args["island"] for step in breeds} == {0, 1}
    assert any(step.args["neighbours"] for step in breeds)
    committees = [
        step.args["committee"] for step in sorted(breeds, key=lambda s: s.generation or 0)
    ]
    assert committees == sorted(committees), "a generation took an older committee"
    assert not search.planned()


def test_what_is_chosen_is_new(new_search: Callable[..., Any]) -> None:
    search = new_search(search=CONCURRENT)
    search.add()
    search.drain()
    prints = search.repository.frame_fingerprints(search.id)
    chosen = [name for name in prints if name.startswith("g")]
    assert chosen
    pending: dict[str, list[str]] = {}
    for step in ended(search, "acquire"):
        pending[f"{step.iteration}"] = (step.result or {})["label"]
    for names in pending.values():
        known = [prints[n] for n in names if n in prints]
        for place, one in enumerate(known):
            others = known[:place] + known[place + 1 :]
            assert not others or cosine_distances(one, others).min() >= 0.02


def test_generations_are_bred_while_labels_are_computed(new_search: Callable[..., Any]) -> None:
    search = new_search(search=CONCURRENT)
    search.add()
    search.drain(until="breed")
    search.faults({"label": "slow"})
    command = [sys.executable, "-m", "aga", "worker", "--search", search.id, "--launch-dir"]
    folder = Path(search.folder)
    workers = [
        subprocess.Popen(
            [*command, str(folder / kind), "--category", kind],
            env=search.environment(),
            stdout=subprocess.DEVNULL,
            stderr=(folder / f"{kind}.log").open("wb"),
        )
        for kind in ("ga", "oracle", "train")
    ]
    try:
        for process in workers:
            process.wait(300)
    finally:
        for process in workers:
            process.kill()
    assert search.state == "finished"
    labels = [s for s in ended(search, "label") if s.iteration > 0]
    breeds = ended(search, "breed")
    beside = [
        (one.key, two.key)
        for one in labels
        for two in breeds
        if one.started_at < two.ended_at and two.started_at < one.ended_at
    ]
    assert beside, "nothing was bred while the reference method was at work"
    assert {s.worker.pid for s in labels} == {workers[1].pid}
    assert {s.worker.pid for s in breeds} == {workers[0].pid}


def test_searches_share_a_database_and_its_workers(new_search: Callable[..., Any]) -> None:
    first = new_search(search=CONCURRENT)
    second = new_search(search={"seed": 4})
    for search in (first, second):
        search.add()
    options = WorkerOptions(launch_dir=first.folder / "launches", max_idle=1.0)
    work(first.repository, first.launchpad, options)
    assert (first.state, second.state) == ("finished", "finished")
    for search in (first, second):
        names = [step.key for step in ended(search, "label")]
        assert sorted(names) == sorted(
            frame.name
            for frame in search.repository.frames(search.id)
            if not frame.name.endswith(".ref")
        )


def test_islands_of_the_sequential_schedule_learn_of_each_other(
    new_search: Callable[..., Any],
) -> None:
    search = new_search(search={"islands": 2, "generations_per_iteration": 2})
    search.add()
    search.drain()
    assert search.state == "finished"
    steps = {step.generation: step.args for step in ended(search, "breed")}
    assert {g: (a["population"], a["neighbours"]) for g, a in steps.items()} == {
        1: (0, []),
        2: (0, []),
        3: (1, [2]),
        4: (2, [1]),
    }
    (choice,) = ended(search, "acquire")
    first_of_choice = search.repository.get_step(choice.id).started_at
    assert all(step.ended_at <= first_of_choice for step in ended(search, "breed"))


def test_an_answer_that_can_not_be_stored_is_not_computed_again(
    small_search: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_search.drain(until="label")
    step = small_search.planned("label")[0]
    put = Repository.put_frame

    def away(*_: Any, **__: Any) -> bool:
        raise DatabaseUnavailableError("gone for a while", remedy="wait")

    monkeypatch.setattr(Repository, "put_frame", away)
    with pytest.raises(DatabaseUnavailableError):
        perform(step.id, small_search.launchpad)
    waiting = list((small_search.folder / "runs" / small_search.id / "answers").iterdir())
    assert [file.name for file in waiting] == [f"label-000-{step.key}.json"]
    monkeypatch.setattr(Repository, "put_frame", put)
    small_search.faults({"label": "raise"})  # whoever computed it now would fail
    assert perform(step.id, small_search.launchpad)["state"] == "done"
    (frame,) = small_search.repository.frames(small_search.id, [step.key])
    assert frame.name == step.key
    assert not list(waiting[0].parent.iterdir()), "a stored answer is left on the disk"
    assert small_search.repository.get_step(step.id).attempts == 1


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Path]:
    """Give the folder of a server that a test may stop."""
    folder = tmp_path / "db"
    server.start(folder)
    yield folder
    server.stop(folder)


def test_a_job_outlives_the_absence_of_the_database(
    new_search: Callable[..., Any], own_server: Path
) -> None:
    status = server.status(own_server)
    assert status.uri
    search = new_search(uri=status.uri, patience=120)
    search.add()
    search.drain(until="label")
    search.faults({"label": "slow"})
    log = Path(search.folder) / "worker.log"
    command = [sys.executable, "-m", "aga", "worker", "--search", search.id, "--category"]
    worker = subprocess.Popen(
        [*command, "oracle", "--launch-dir", str(search.folder / "l"), "--max-idle", "5"],
        env=search.environment(),
        stdout=subprocess.DEVNULL,
        stderr=log.open("wb"),
    )
    answers = search.folder / "runs" / search.id / "answers"
    try:
        wait_for(lambda: search.repository.list_steps(search.id, kind="label", state="running"))
        server.stop(own_server)
        wait_for(lambda: answers.is_dir() and list(answers.glob("*.json")))
        time.sleep(3.0)
        server.start(own_server)
        worker.wait(120)
    finally:
        worker.kill()
    recover(search.repository, search.launchpad, search.id, grace=0.0)
    labels = search.repository.list_steps(search.id, kind="label")
    assert [step.state for step in labels] == ["done"] * len(labels)
    assert {step.attempts for step in labels} == {1}, "an answer was computed again"
    assert not list(answers.glob("*.json"))


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
