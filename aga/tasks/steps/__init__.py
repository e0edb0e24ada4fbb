"""What each kind of step does: load by id, call the science, commit, return ids."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from aga.store.documents import StepKind
from aga.tasks.context import StepContext

__all__ = ["STEPS", "StepFunction", "step_function"]

StepFunction = Callable[[StepContext], dict[str, Any]]
"""The context of a step in, a small document of ids out."""

STEPS: Final[Mapping[StepKind, str]] = {
    "seed": "aga.tasks.steps.seed:seed",
    "breed": "aga.tasks.steps.evolve:breed_generation",
    "acquire": "aga.tasks.steps.acquire:acquire_picks",
    "label": "aga.tasks.steps.reference:label",
    "collect": "aga.tasks.steps.collect:collect",
    "train": "aga.tasks.steps.learn:train_member",
    "assess": "aga.tasks.steps.assess:assess_iteration",
    "refine": "aga.tasks.steps.refine:refine",
    "finish": "aga.tasks.steps.finish:finish",
}
"""Where the function of each kind of step is: a worker imports what it serves, no more."""


def step_function(
    kind: StepKind, steps: Mapping[StepKind, str | StepFunction] = STEPS
) -> StepFunction:
    """Import the function of a kind of step."""
    function = steps[kind]
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    return cast("StepFunction", getattr(importlib.import_module(module), name))
