"""The concurrent schedule: nothing waits that need not, nothing is done twice."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aga.config import Settings
from aga.store.documents import Step
from aga.tasks.schedule import Plan, Situation, plan_concurrent

ENDED = {"done", "failed", "cancelled"}


def settings(**search: Any) -> Settings:
    acquisition = {"picks_per_iteration": 3}
    tree = {"composition": "Si8", "schedule": "concurrent", "acquisition": acquisition, **search}
    return Settings.model_validate(
        {"search": tree, "potential": {"members": 2}, "training": {"retrain_after": 4}}
    )


class World:
    """A search in memory: steps, labels, and workers that take any step at any time."""

    def __init__(self, chosen: Settings, *, rounds: int = 3, picks: bool = True) -> None:
        self.settings = chosen
        self.rounds = rounds
        self.picks = picks
        self.steps: dict[str, Step] = {}
        self.in_dataset: set[str] = set()
        self.most_rounds_at_once = 0
        self.finished = False

    def of(self, kind: str, *states: str) -> list[Step]:
        return [
            s for s in self.steps.values() if s.kind == kind and (not states or s.state in states)
        ]

    def newest(self, kind: str) -> Step | None:
        return max(self.of(kind), key=lambda s: s.iteration, default=None)

    def labelled(self) -> set[str]:
        return {s.key for s in self.of("label", "done")}

    def situation(self) -> Situation:
        choice, seed, newest = self.newest("acquire"), self.newest("seed"), self.newest("collect")
        origin = choice or seed
        names = [] if origin is None else (origin.result or {}).get("label", [])
        planned = {s.key for s in self.of("label")}
        bred: dict[int, Step] = {}
        for step in sorted(self.of("breed"), key=lambda s: s.generation or 0):
            bred[step.args["island"]] = step
        done = self.of("assess", "done")
        return Situation(
            seed=seed,
            choice=choice,
            unplanned=tuple(n for n in names if n not in planned),
            bred=bred,
            waiting=len(self.of("label", "planned")),
            running=len(self.of("label", "running")),
            new_labels=len(self.labelled() - self.in_dataset),
            round=tuple(
                s
                for s in self.steps.values()
                if newest is not None
                and s.iteration == newest.iteration
                and s.kind in {"collect", "train", "assess", "refine", "finish"}
            ),
            assessed=max(done, key=lambda s: s.iteration, default=None),
        )

    def plan(self) -> Plan:
        plan = plan_concurrent("s", self.situation(), self.settings)
        assert plan.failure is None
        for step in plan.steps:
            assert step.id not in self.steps, "planned twice"
            self.steps[step.id] = step
        for kind in plan.cancel:
            for step in self.of(kind, "planned"):
                self.steps[step.id] = replace(step, state="cancelled")
        self.finished = self.finished or plan.finished
        running = {s.iteration for k in ("collect", "train", "assess") for s in self.of(k)} - {
            s.iteration for s in self.of("assess", "done")
        }
        self.most_rounds_at_once = max(self.most_rounds_at_once, len(running))
        return plan

    def begin(self, step: Step) -> None:
        args = dict(step.args)
        if step.kind == "breed":
            newest = max(self.of("assess", "done"), key=lambda s: s.iteration)
            committee = (newest.result or {})["committee"]
            before = [
                s.args
                for s in self.of("breed", "done")
                if s.args["island"] == args["island"] and s.generation == args["population"]
            ]
            again = bool(before) and before[0]["committee"] == committee
            args |= {"committee": committee, "since": before[0]["since"] + 1 if again else 1}
        self.steps[step.id] = replace(step, state="running", args=args)

    def end(self, step: Step) -> None:
        self.steps[step.id] = replace(step, state="done", result=self.result(step))
        self.plan()

    def result(self, step: Step) -> dict[str, Any]:
        number = step.iteration
        if step.kind == "seed":
            return {"label": [f"i{n}" for n in range(5)]}
        if step.kind == "acquire":
            names = [f"c{number}-{n}" for n in range(step.args["number"])] if self.picks else []
            return {"label": names}
        if step.kind == "collect":
            new = self.labelled() - self.in_dataset
            self.in_dataset |= new
            serving = number - 1 if number else None
            return {"new": len(new), "dataset": number, "committee": serving}
        if step.kind == "assess":
            last = number == self.rounds
            verdict = "converged" if last else "continue"
            return {
                "verdict": verdict,
                "committee": step.args["committee"],
                "refine": ["i0", "i1"] if last else [],
            }
        return {}


def run(world: World, rng: random.Random, *, limit: int = 3000) -> None:
    """Let workers begin and end steps in any order until the search is over."""
    world.plan()
    for _ in range(limit):
        if world.finished:
            return
        ready = [s for s in world.steps.values() if s.state == "planned"]
        running = [s for s in world.steps.values() if s.state == "running"]
        assert ready or running, "stuck"
        if ready and (not running or rng.random() < 0.5):
            world.begin(rng.choice(ready))
        else:
            world.end(rng.choice(running))
    pytest.fail("the search does not end")


@given(st.integers(0, 10_000), st.integers(1, 3))
def test_any_order_of_work_comes_to_its_end(seed: int, islands: int) -> None:
    world = World(settings(islands=islands))
    run(world, random.Random(seed))
    assert world.most_rounds_at_once == 1
    assert [s.iteration for s in world.of("assess")] == [0, 1, 2, 3]
    assert Counter(s.state for s in world.of("refine")) == {"done": 2}
    labels = [s.key for s in world.of("label")]
    assert len(labels) == len(set(labels))


@given(st.integers(0, 10_000))
def test_a_search_whose_choices_find_nothing_still_comes_to_its_verdict(seed: int) -> None:
    world = World(settings(), picks=False)
    run(world, random.Random(seed))
    assert [s.iteration for s in world.of("assess")] == [0, 1, 2, 3]


def until_bred(world: World) -> None:
    """Go on to the first committee; reference jobs stay where they are after that."""
    world.plan()
    while not world.of("assess", "done"):
        step = next(s for s in world.steps.values() if s.state not in ENDED)
        world.begin(step)
        world.end(world.steps[step.id])


def end(world: World, kind: str) -> None:
    (step,) = world.of(kind, "planned", "running")
    world.begin(step)
    world.end(world.steps[step.id])


def test_breeding_never_waits_for_the_reference_method() -> None:
    world = World(settings())
    until_bred(world)
    for _ in range(10):
        end(world, "breed")
    assert len(world.of("breed", "done")) == 10
    assert not world.of("label", "done")[5:]


def test_as_many_reference_jobs_wait_as_run() -> None:
    world = World(settings())
    until_bred(world)
    for _ in range(4):
        end(world, "breed")
        for step in world.of("acquire", "planned"):
            world.begin(step)
            world.end(world.steps[step.id])
        for step in world.of("label", "planned"):
            world.begin(step)
    running = len(world.of("label", "running"))
    assert running >= 12
    end(world, "breed")
    end(world, "acquire")
    assert len(world.of("label", "planned")) == running


def test_no_more_is_chosen_while_enough_waits() -> None:
    world = World(settings())
    until_bred(world)
    end(world, "breed")
    end(world, "acquire")
    end(world, "breed")
    assert len(world.of("label", "planned")) == 3
    assert not world.of("acquire", "planned")


def test_training_begins_with_the_label_that_makes_it_enough() -> None:
    world = World(settings())
    until_bred(world)
    for _ in range(2):
        end(world, "breed")
        end(world, "acquire")
        for step in world.of("label", "planned"):
            world.begin(step)
    labels = world.of("label", "running")
    for step in labels[:3]:
        world.end(step)
    assert not world.of("collect", "planned")
    world.end(labels[3])
    (collect,) = world.of("collect", "planned")
    assert collect.iteration == 1


def test_an_island_rests_after_long_on_one_committee() -> None:
    world = World(settings(generations_per_committee=4))
    until_bred(world)
    for _ in range(4):
        end(world, "breed")
    assert not world.of("breed", "planned")


def test_islands_breed_side_by_side_under_numbers_of_their_own() -> None:
    world = World(settings(islands=3))
    until_bred(world)
    assert [s.generation for s in world.of("breed", "planned")] == [1, 2, 3]
    second = world.of("breed", "planned")[1]
    world.begin(second)
    world.end(world.steps[second.id])
    (new,) = [s for s in world.of("breed") if s.generation == 5]
    assert new.args["population"] == 2


def test_a_failed_training_stops_the_search_and_a_failed_label_does_not() -> None:
    world = World(settings())
    until_bred(world)
    end(world, "breed")
    end(world, "acquire")
    label = world.of("label", "planned")[0]
    world.steps[label.id] = replace(label, state="failed", error={"message": "no"})
    assert world.plan().failure is None
    at = world.situation()
    broken = replace(
        world.of("breed")[0], state="failed", attempts=3, error={"message": "x", "remedy": "y"}
    )
    plan = plan_concurrent("s", replace(at, bred={0: broken}), world.settings)
    assert plan.failure == "breed failed 3 times: x"
    assert plan.remedy == "y"


def test_the_verdict_gives_up_what_nobody_has_begun() -> None:
    world = World(settings(), rounds=0)
    until_bred(world)
    plan = plan_concurrent("s", world.situation(), world.settings)
    assert plan.cancel == ("breed", "acquire", "label")
    assert not [s for s in world.steps.values() if s.kind == "breed"]
    assert {s.key for s in world.of("refine")} == {"i0", "i1"}
