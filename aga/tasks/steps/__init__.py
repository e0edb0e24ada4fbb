"""What each kind of step does: load by id, call the science, commit, return ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from aga.store.documents import StepKind
from aga.tasks.context import StepContext
from aga.tasks.steps.acquire import acquire_picks
from aga.tasks.steps.assess import assess_iteration, finish
from aga.tasks.steps.evolve import breed_generation, seed
from aga.tasks.steps.learn import collect, train_member
from aga.tasks.steps.reference import label, refine

__all__ = ["STEPS"]

STEPS: Final[Mapping[StepKind, Callable[[StepContext], dict[str, Any]]]] = {
    "seed": seed,
    "breed": breed_generation,
    "acquire": acquire_picks,
    "label": label,
    "collect": collect,
    "train": train_member,
    "assess": assess_iteration,
    "refine": refine,
    "finish": finish,
}
"""The function of each kind of step: its context in, a small document of ids out."""
