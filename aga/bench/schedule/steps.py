"""The steps of a benchmark of the schedule: what is bred is real, what takes time is slept.

Candidates, populations, choices, labels and datasets are those of any search. Only the potential
is absent: a generation is "relaxed" on a parabola of the volume, a training and an assessment make
nothing but their documents.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import aga
from aga.store.documents import StepKind
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed, Relaxer
from aga.tasks.context import StepContext
from aga.tasks.steps import STEPS, StepFunction
from aga.tasks.steps.generation import breed_on

__all__ = ["Pace", "paced_steps"]

VOLUME = 20.0
"""Å³ per atom at the bottom of the parabola."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds that a generation, a reference job and the training of one member take."""

    generation: float
    oracle: float
    member: float

    def to_dict(self) -> dict[str, float]:
        """Give plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(**data)


def paced_steps(pace: Pace) -> Mapping[StepKind, str | StepFunction]:
    """Give the functions of the steps; the reference method keeps the pace by its own settings."""

    def breed(context: StepContext) -> dict[str, Any]:
        return _lasting(pace.generation, lambda: breed_on(context, _parabola))

    def train(context: StepContext) -> dict[str, Any]:
        return _lasting(pace.member, lambda: _trained(context))

    return {**STEPS, "breed": breed, "train": train, "assess": _assessed}


def _lasting(seconds: float, work: Any) -> dict[str, Any]:  # noqa: ANN401 - a function
    began = time.monotonic()
    result: dict[str, Any] = work()
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    return result


@dataclass(frozen=True, slots=True)
class _Parabola:
    """A relaxer that leaves structures as they are; the energy follows from the volume."""

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        return [_judged(one) for one in candidates]


def _judged(candidate: Candidate) -> Relaxed:
    number = len(candidate)
    energy = -number * (4.0 - 0.1 * (candidate.volume / number / VOLUME - 1) ** 2)
    return Relaxed(
        candidate=candidate,
        energy=energy,
        enthalpy=energy,
        energy_spread=0.05,
        force_spread=0.1,
        max_force=0.01,
        steps=0,
        reason="converged",
    )


def _parabola(context: StepContext, version: int) -> Relaxer:
    del context, version
    return _Parabola()


def _trained(context: StepContext) -> dict[str, Any]:
    return {"member": int(context.step.key.removeprefix("m")), "blob": None, "metrics": {}}


def _assessed(context: StepContext) -> dict[str, Any]:
    """Put the committee into service; the search goes on until it is stopped."""
    repository, search_id, iteration = context.repository, context.search_id, context.step.iteration
    trained = repository.list_steps(search_id, kind="train", iteration=iteration)
    version = int(context.step.args["committee"])
    if trained:
        card = {"dataset": iteration, "members": [], "code_version": aga.__version__}
        version = int(repository.commit_committee(search_id, iteration, card)["version"])
    return {"committee": version, "verdict": "continue", "reason": "a benchmark", "refine": []}
