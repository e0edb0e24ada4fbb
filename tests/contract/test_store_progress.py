"""What the schedules read: newest steps, counts, labels that wait, reference calls."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from aga.config import Settings
from aga.errors import StaleAttemptError
from aga.store.documents import Step, StepKind, Worker
from aga.store.repository import Repository
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame

pytestmark = pytest.mark.embedded

SETTINGS = Settings.model_validate({"search": {"composition": "Si2"}})
SEARCH = SETTINGS.search_id()


@pytest.fixture
def store(repository: Repository) -> Repository:
    repository.ensure_indexes()
    repository.create_search(SETTINGS)
    return repository


def plan(store: Repository, kind: StepKind, iteration: int, key: str, **fields: object) -> Step:
    step = Step(search_id=SEARCH, kind=kind, iteration=iteration, key=key, **fields)  # type: ignore[arg-type] # fields of a step
    store.plan_steps([step])
    return store.get_step(step.id)


def finish(store: Repository, step: Step, **result: object) -> None:
    attempt = store.claim(step.id, worker=Worker.current(), lease=60)
    assert attempt is not None
    if "failed" in result:
        store.fail(attempt, {"message": "no"}, retry=False)
    else:
        store.complete(attempt, result)


def by_hand(store: Repository) -> int:
    steps = store.list_steps(SEARCH, kind="label", state=["done", "failed"])
    return sum(int((s.result or s.error or {}).get("evaluations", 1)) for s in steps)


def test_reference_calls_are_the_same_however_often_they_are_counted(store: Repository) -> None:
    rng = random.Random(5)
    waiting: list[Step] = []
    for iteration in range(6):
        waiting += [plan(store, "label", iteration, f"{iteration}-{n}") for n in range(4)]
        rng.shuffle(waiting)
        for _ in range(rng.randint(1, len(waiting))):
            step = waiting.pop()
            outcome: dict[str, object] = (
                {"failed": True} if rng.random() < 0.3 else {"evaluations": rng.randint(1, 5)}
            )
            finish(store, step, **outcome)
            assert store.count_reference(SEARCH) == by_hand(store)
            assert store.get_search(SEARCH)["reference_calls"] == by_hand(store)
    for step in waiting:
        finish(store, step, evaluations=2)
    assert store.count_reference(SEARCH) == by_hand(store)
    assert store.get_search(SEARCH)["settled"]["iteration"] == 4, "the newest may still get steps"
    again = store.list_steps(SEARCH, kind="label", iteration=1)[0]
    store.unsettle(SEARCH, 1)
    store.plan_again(again)
    assert store.count_reference(SEARCH) == by_hand(store)


def test_refine_steps_are_counted_apart(store: Repository) -> None:
    finish(store, plan(store, "label", 0, "a"), evaluations=1)
    finish(store, plan(store, "refine", 0, "a"), evaluations=17)
    assert store.count_reference(SEARCH) == 1
    assert store.get_search(SEARCH)["refine_calls"] == 17


def test_the_newest_step_of_a_kind(store: Repository) -> None:
    assert store.newest_step(SEARCH, "acquire") is None
    for number in (1, 2, 11, 3):
        plan(store, "acquire", number, "picks")
    plan(store, "label", 40, "x")
    newest = store.newest_step(SEARCH, "acquire")
    assert newest is not None
    assert newest.iteration == 11
    assert store.newest_step(SEARCH, "acquire", at_least=12) is None
    finish(store, store.get_step(f"{SEARCH}/acquire/3/picks"))
    done = store.newest_step(SEARCH, "acquire", state="done")
    assert done is not None
    assert done.iteration == 3
    for generation in (1, 2, 9):
        plan(store, "breed", 1, f"g{generation}", generation=generation)
    assert [s.generation for s in store.steps_from(SEARCH, "breed", 2)] == [2, 9]


def test_what_is_decided_at_the_beginning_stays_decided(store: Repository) -> None:
    step = plan(store, "breed", 1, "g001", generation=1, args={"island": 0})
    attempt = store.claim(step.id, worker=Worker.current(), lease=60)
    assert attempt is not None
    assert store.fix_args(attempt, {"committee": 3}).args == {"island": 0, "committee": 3}
    store.release(attempt)
    with pytest.raises(StaleAttemptError):
        store.fix_args(attempt, {"committee": 4})
    later = store.claim(step.id, worker=Worker.current(), lease=60)
    assert later is not None
    assert later.step.args["committee"] == 3


def test_only_what_nobody_has_begun_is_given_up(store: Repository) -> None:
    planned, running, other = (plan(store, "label", 0, key) for key in "abc")
    train = plan(store, "train", 0, "m0")
    attempt = store.claim(running.id, worker=Worker.current(), lease=60)
    assert attempt is not None
    finish(store, other)
    assert [s.id for s in store.cancel_planned(SEARCH, ["label"])] == [planned.id]
    assert store.cancel_planned(SEARCH, ["label"]) == []
    assert store.claim(planned.id, worker=Worker.current(), lease=60) is None
    store.complete(attempt, {})
    states = {s.key: s.state for s in store.list_steps(SEARCH)}
    assert states == {"a": "cancelled", "b": "done", "c": "done", "m0": train.state}


def test_labels_wait_for_one_dataset(store: Repository, make_frame: Callable[[str], Frame]) -> None:
    store.put_frames(SEARCH, 0, [make_frame("a"), make_frame("b")])
    store.put_frame(SEARCH, 0, make_frame("a.ref"), pending=False)
    assert store.pending_frames(SEARCH) == ["a", "b"]
    store.commit_dataset(SEARCH, 0, None, ["a"])
    assert (store.count_pending(SEARCH), store.pending_frames(SEARCH)) == (1, ["b"])
    store.commit_dataset(SEARCH, 0, None, ["a", "b"])  # another attempt: the first decided
    assert store.pending_frames(SEARCH) == ["b"]
    prints = store.frame_fingerprints(SEARCH)
    assert set(prints) == {"a", "b", "a.ref"}
    assert all(one.size for one in prints.values())


@pytest.fixture
def make_frame() -> Callable[[str], Frame]:
    def make(name: str) -> Frame:
        from ase.build import bulk

        atoms = bulk("Si", "diamond", a=5.43)
        return Frame(candidate=Candidate.from_ase(atoms, name=name), energy=-9.0)

    return make
