"""The plan of the next steps: a pure function of the steps done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from aga.config import Settings
from aga.store.documents import Step
from aga.tasks.schedule import Plan, plan_next

SETTINGS = Settings.model_validate(
    {"search": {"composition": "Si8", "generations_per_iteration": 2}, "potential": {"members": 4}}
)


def results(step: Step) -> dict[str, Any]:
    """What each kind of step answers in a search of one iteration after the initial one."""
    version = step.iteration
    return {
        "seed": {"label": ["i000-000", "i000-001"]},
        "acquire": {"label": ["g002-004"]},
        "collect": {"new": 1, "dataset": version, "committee": max(version - 1, 0)},
        "assess": {
            "verdict": "continue" if version == 0 else "converged",
            "committee": version,
            "refine": ["g002-004"],
        },
    }.get(step.kind, {})


def walk(answer: Callable[[Step], dict[str, Any]] = results) -> tuple[list[Step], Plan]:
    """Plan and perform until there is nothing to do."""
    steps: list[Step] = []
    for _ in range(60):
        plan = plan_next("s", steps, SETTINGS)
        if plan.finished or plan.failure:
            return steps, plan
        assert plan.steps, f"stuck in {plan.phase}"
        steps += [replace(s, state="done", result=answer(s)) for s in plan.steps]
    pytest.fail("the search does not end")


def test_the_whole_story_in_order() -> None:
    steps, plan = walk()
    assert plan.finished
    assert [s.id for s in steps] == [
        "s/seed/0/seed",
        "s/label/0/i000-000",
        "s/label/0/i000-001",
        "s/collect/0/frames",
        *[f"s/train/0/m{m}" for m in range(4)],
        "s/assess/0/verdict",
        "s/breed/1/g001",
        "s/breed/1/g002",
        "s/acquire/1/picks",
        "s/label/1/g002-004",
        "s/collect/1/frames",
        *[f"s/train/1/m{m}" for m in range(4)],
        "s/assess/1/verdict",
        "s/refine/1/g002-004",
        "s/finish/1/results",
    ]
    breed = {s.key: s.args for s in steps if s.kind == "breed"}
    assert breed == {
        "g001": {"committee": 0, "population": 0, "neighbours": []},
        "g002": {"committee": 0, "population": 1, "neighbours": []},
    }


def test_waits_for_all_labels() -> None:
    steps = walk()[0][:3]
    running = [steps[0], steps[1], replace(steps[2], state="running", result=None)]
    plan = plan_next("s", running, SETTINGS)
    assert plan.steps == ()
    assert plan.phase == "label"


def test_a_failed_label_does_not_stop_the_search() -> None:
    steps = walk()[0][:3]
    failed = replace(steps[2], state="failed", result=None, error={"message": "died"})
    plan = plan_next("s", [*steps[:2], failed], SETTINGS)
    assert [s.kind for s in plan.steps] == ["collect"]


def test_a_failed_training_stops_the_search_with_its_message() -> None:
    steps = walk()[0][:5]
    failed = replace(steps[4], state="failed", attempts=3, error={"message": "no memory"})
    plan = plan_next("s", [*steps[:4], failed], SETTINGS)
    assert plan.failure == "train failed 3 times: no memory"


def test_a_failure_comes_with_its_remedy() -> None:
    steps = walk()[0][:4]
    error = {"message": "too few labels", "remedy": "mend the oracle"}
    failed = replace(steps[3], state="failed", attempts=1, error=error)
    plan = plan_next("s", [*steps[:3], failed], SETTINGS)
    assert plan.failure == "collect failed: too few labels"
    assert plan.remedy == "mend the oracle"


def test_nothing_picked_goes_straight_to_the_verdict() -> None:
    def nothing_new(step: Step) -> dict[str, Any]:
        if step.kind == "acquire":
            return {"label": []}
        if step.kind == "collect" and step.iteration:
            return {"new": 0, "dataset": 0, "committee": 0}
        return results(step)

    kinds = [s.kind for s in walk(nothing_new)[0] if s.iteration == 1]
    assert kinds == ["breed", "breed", "acquire", "collect", "assess", "refine", "finish"]


def test_generations_go_on_counting() -> None:
    def long(step: Step) -> dict[str, Any]:
        answer = results(step)
        if step.kind == "assess":
            answer["verdict"] = "continue" if step.iteration < 3 else "budget"
        return answer

    keys = [s.key for s in walk(long)[0] if s.kind == "breed"]
    assert keys == [f"g{g:03d}" for g in range(1, 7)]


def test_planning_again_gives_the_same_identifiers() -> None:
    steps = walk()[0]
    for cut in range(len(steps)):
        once = plan_next("s", steps[:cut], SETTINGS)
        again = plan_next("s", steps[:cut], SETTINGS)
        assert [s.id for s in once.steps] == [s.id for s in again.steps]
