"""What comes next: a pure function of the steps that a search has done.

One iteration is ::

    seed | breed … breed → acquire          (seed only in iteration 0)
         → label × picks → collect → train × members → assess
         → next iteration, or refine × best → finish

Every step has an identifier that follows from its place, so planning the same step twice is
harmless and any worker may do it at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aga.config import Settings
from aga.store.documents import KINDS, Step, StepKind

__all__ = ["MAY_FAIL", "Plan", "plan_next"]

MAY_FAIL: Final = frozenset({"label", "refine"})
"""Steps whose failure costs one candidate, not the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do next; performed in one place (:mod:`aga.tasks.dispatch`).

    ``phase`` names what the search is doing; ``failure`` is set when it can't go on, with
    what to do about it as ``remedy``.
    """

    phase: str
    iteration: int
    generation: int
    steps: tuple[Step, ...] = ()
    failure: str | None = None
    remedy: str | None = None
    finished: bool = False


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
        self.generation = max(generations, default=iteration * self.per_iteration)

    @property
    def per_iteration(self) -> int:
        return self.settings.search.generations_per_iteration

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
        iteration: int | None = None,
        generation: int | None = None,
    ) -> Plan:
        """Plan one step per key; ``{key}`` in args is filled in by the step functions."""
        number = self.iteration if iteration is None else iteration
        steps = tuple(
            Step(
                search_id=self.search_id,
                kind=phase,
                iteration=number,
                generation=generation,
                key=key,
                args=dict(args or {}),
            )
            for key in keys
        )
        return Plan(
            phase=phase,
            iteration=number,
            generation=self.generation if generation is None else generation,
            steps=steps,
        )

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
        error = step.error or {}
        often = f" {step.attempts} times" if step.attempts > 1 else ""
        return Plan(
            phase=step.kind,
            iteration=self.iteration,
            generation=self.generation,
            failure=f"{step.kind} failed{often}: {error.get('message', 'no message')}",
            remedy=error.get("remedy"),
        )

    def after_seed(self) -> Plan:
        return self._label(self.result("seed"))

    def after_breed(self) -> Plan:
        last = max(self.of("breed"), key=lambda s: s.generation or 0)
        generation = last.generation or 0
        if generation < self.iteration * self.per_iteration:
            args = {"committee": last.args["committee"], "population": generation}
            return self.plan(
                [_generation_key(generation + 1)],
                phase="breed",
                args=args,
                generation=generation + 1,
            )
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
            generation = self.iteration * self.per_iteration + 1
            return self.plan(
                [_generation_key(generation)],
                phase="breed",
                args={"committee": result["committee"], "population": generation - 1},
                iteration=self.iteration + 1,
                generation=generation,
            )
        if result["refine"]:
            return self.plan(result["refine"], phase="refine")
        return self.after_refine()

    def after_refine(self) -> Plan:
        return self.plan(["results"], phase="finish")

    def after_finish(self) -> Plan:
        return Plan(
            phase="finish", iteration=self.iteration, generation=self.generation, finished=True
        )


def _generation_key(generation: int) -> str:
    return f"g{generation:03d}"
