"""What a schedule decides: the next steps, or why there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aga.store.documents import Step, StepKind

__all__ = ["MAY_FAIL", "Plan", "failed_plan", "generation_key"]

MAY_FAIL: Final = frozenset({"label", "refine"})
"""Steps whose failure costs one candidate, not the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do next; performed in one place (:mod:`aga.tasks.dispatch`).

    ``phase`` names what the search is doing; ``cancel`` the kinds of steps of which those not yet
    begun are given up; ``failure`` is set when the search can't go on, with what to do about it as
    ``remedy``.
    """

    phase: str
    iteration: int
    generation: int
    steps: tuple[Step, ...] = ()
    cancel: tuple[StepKind, ...] = ()
    failure: str | None = None
    remedy: str | None = None
    finished: bool = False


def failed_plan(step: Step, *, iteration: int, generation: int) -> Plan:
    """Give the plan of a search that can't go on without a step that failed."""
    error = step.error or {}
    often = f" {step.attempts} times" if step.attempts > 1 else ""
    return Plan(
        phase=step.kind,
        iteration=iteration,
        generation=generation,
        failure=f"{step.kind} failed{often}: {error.get('message', 'no message')}",
        remedy=error.get("remedy"),
    )


def generation_key(generation: int) -> str:
    """Name the step that breeds a generation."""
    return f"g{generation:03d}"
