"""The sequential schedule: one module after the other, with a barrier between.

One iteration is ::

    seed | breed … breed → acquire          (seed only in iteration 0)
         → label × picks → collect → train × members → assess
         → next iteration, or refine × best → finish

A generation of every island is bred side by side; what comes out depends on the settings alone,
whatever the number of workers. Every step has an identifier that follows from its place, so
planning the same step twice is harmless and any worker may do it at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aga.config import Settings
from aga.search.islands import last_of_round, neighbours, predecessor, round_of
from aga.store.documents import KINDS, Step, StepKind
from aga.tasks.schedule.plan import MAY_FAIL, Plan, failed_plan, generation_key

__all__ = ["plan_next"]


def plan_next(search_id: str, steps: Sequence[Step], settings: Settings) -> Plan:
    """Decide the next steps of a search.

    Parameters
    ----------
    search_id
        The search.
    steps
        Every step planned so far in the latest iteration (earlier ones are ignored).
    settings
        Settings of the search.

    Returns
    -------
    Plan
        Without steps while the planned ones are still under way.
    """
    if not steps:
        return _Planner(search_id, 0, [], settings).plan(["seed"], phase="seed")
    iteration = max(step.iteration for step in steps)
    current = [step for step in steps if step.iteration == iteration]
    return _Planner(search_id, iteration, current, settings).next()


class _Planner:
    def __init__(
        self, search_id: str, iteration: int, steps: list[Step], settings: Settings
    ) -> None:
        self.search_id = search_id
        self.iteration = iteration
        self.settings = settings
        self.steps = steps
        generations = [s.generation for s in steps if s.generation is not None]
        self.generation = max(generations, default=self.last_generation)

    @property
    def last_generation(self) -> int:
        """Number of the last generation of this iteration."""
        search = self.settings.search
        rounds = self.iteration * search.generations_per_iteration
        return last_of_round(rounds, search.islands)

    def of(self, kind: str) -> list[Step]:
        return [step for step in self.steps if step.kind == kind]

    def result(self, kind: str) -> dict[str, Any]:
        return self.of(kind)[-1].result or {}

    def wait(self, phase: str) -> Plan:
        return Plan(phase=phase, iteration=self.iteration, generation=self.generation)

    def plan(
        self,
        keys: Sequence[str],
        *,
        phase: StepKind,
        args: dict[str, Any] | None = None,
    ) -> Plan:
        """Plan one step per key."""
        steps = tuple(
            Step(
                search_id=self.search_id,
                kind=phase,
                iteration=self.iteration,
                key=key,
                args=dict(args or {}),
            )
            for key in keys
        )
        return Plan(phase=phase, iteration=self.iteration, generation=self.generation, steps=steps)

    def next(self) -> Plan:
        for step in self.steps:
            if step.state == "failed" and step.kind not in MAY_FAIL:
                return self.failed(step)
        latest = next(kind for kind in reversed(KINDS) if self.of(kind))
        if any(step.state not in {"done", "failed"} for step in self.of(latest)):
            return self.wait(latest)
        follow: Plan = getattr(self, f"after_{latest}")()
        return follow

    def failed(self, step: Step) -> Plan:
        return failed_plan(step, iteration=self.iteration, generation=self.generation)

    def breed(self, committee: int, number: int, *, iteration: int) -> Plan:
        """Plan a generation of every island."""
        islands = self.settings.search.islands
        last = last_of_round(number, islands)
        steps = tuple(
            Step(
                search_id=self.search_id,
                kind="breed",
                iteration=iteration,
                generation=generation,
                key=generation_key(generation),
                args={
                    "committee": committee,
                    "population": predecessor(generation, islands),
                    "neighbours": neighbours(generation, islands),
                },
            )
            for generation in range(last - islands + 1, last + 1)
        )
        return Plan(phase="breed", iteration=iteration, generation=last, steps=steps)

    def after_seed(self) -> Plan:
        return self._label(self.result("seed"))

    def after_breed(self) -> Plan:
        last = max(self.of("breed"), key=lambda s: s.generation or 0)
        generation = last.generation or 0
        if generation < self.last_generation:
            number = round_of(generation, self.settings.search.islands) + 1
            return self.breed(last.args["committee"], number, iteration=self.iteration)
        args = {"committee": last.args["committee"], "population": generation}
        return self.plan(["picks"], phase="acquire", args=args)

    def after_acquire(self) -> Plan:
        return self._label(self.result("acquire"))

    def _label(self, result: dict[str, Any]) -> Plan:
        if names := result.get("label", []):
            return self.plan(names, phase="label")
        return self.after_label()

    def after_label(self) -> Plan:
        return self.plan(["frames"], phase="collect")

    def after_collect(self) -> Plan:
        result = self.result("collect")
        if not result["new"]:
            return self.plan(["verdict"], phase="assess", args={"committee": result["committee"]})
        keys = [f"m{member}" for member in range(self.settings.potential.members)]
        args = {"dataset": result["dataset"], "previous": result["committee"]}
        return self.plan(keys, phase="train", args=args)

    def after_train(self) -> Plan:
        return self.plan(["verdict"], phase="assess", args={"committee": self.iteration})

    def after_assess(self) -> Plan:
        result = self.result("assess")
        if result["verdict"] == "continue":
            number = self.iteration * self.settings.search.generations_per_iteration + 1
            return self.breed(result["committee"], number, iteration=self.iteration + 1)
        if result["refine"]:
            return self.plan(result["refine"], phase="refine")
        return self.after_refine()

    def after_refine(self) -> Plan:
        return self.plan(["results"], phase="finish")

    def after_finish(self) -> Plan:
        return Plan(
            phase="finish", iteration=self.iteration, generation=self.generation, finished=True
        )
