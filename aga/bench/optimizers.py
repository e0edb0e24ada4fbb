"""How far each optimizer gets in the same number of passes, from the same weights.

The published pairs of prefactors differ from optimizer to optimizer, so that their losses can't
be compared. Here every training follows a schedule of its own (with a learning rate forces count
most at first), and all schedules have one limit. Losses are those of the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from aga.config.training import FIRST_ORDER, OptimizerName, TrainingSettings
from aga.errors import InputError, SearchFailedError
from aga.parallel.pool import Say, run_each
from aga.structure.protocols import Frame
from aga.training.fit import Workshop, fit_member
from aga.training.recipe import Recipe

__all__ = ["LIMITS", "OPTIMIZERS", "Contest", "check_optimizers", "measure_optimizers"]

OPTIMIZERS: tuple[OptimizerName, ...] = (
    "adadelta",
    "adam",
    "adamax",
    "asgd",
    "sgd",
    "rprop",
    "rmsprop",
    "adamw",
    "lbfgs",
    "newton",
)
"""In the order of the published table, then those that it does not have."""

LIMITS: Mapping[str, float] = {"energy": 100.0, "force": 1.0, "stress": 4.0}
"""Prefactors of the loss that is compared: 1/eV², Å²/eV² and 1/eV²."""

_STARTS: Mapping[str, float] = {"energy": 1.0, "force": 1000.0, "stress": 1.0}
"""Those that optimizers with a learning rate begin with (Zhang et al., Phys. Rev. Lett. 120,
143001, 2018)."""

Progress = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of an optimizer and its newest look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What is compared.

    ``recipe`` with passes, batches and penalty of all; ``held`` the share of
    the frames that are not trained on; ``optimizers`` by name.
    """

    recipe: Recipe
    held: float = 0.2
    optimizers: tuple[OptimizerName, ...] = OPTIMIZERS

    def training(self, name: OptimizerName) -> Recipe:
        """Give the recipe of one: the same but for the optimizer and its schedule."""
        starts = _STARTS if name in FIRST_ORDER else LIMITS
        passes = self.recipe.training.passes
        own = {
            "optimizer": name,
            **{f"{key}_prefactor": (starts[key], limit) for key, limit in LIMITS.items()},
            # Nothing may choose frames or stop a training, for that would choose differently.
            "focal_gamma": 0.0,
            "energy_scale": None,
            "quarantine": False,
            "validation_fraction": self.held,
            "test_fraction": 0.0,
            "patience": passes,
        }
        kept = {
            key: getattr(self.recipe.training, key)
            for key in ("passes", "batch_size", "smoothness", "jacobian_memory", "decay_rate")
        }
        return Recipe(
            elements=self.recipe.elements,
            potential=self.recipe.potential,
            training=TrainingSettings.model_validate(kept | own),
            seed=self.recipe.seed,
        )


def check_optimizers(names: Sequence[str]) -> tuple[OptimizerName, ...]:
    """Give optimizers by name, each once; all where none is named.

    Raises
    ------
    aga.errors.InputError
        There is none of this name.
    """
    known = {str(name): name for name in OPTIMIZERS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            f"no optimizer is called {unknown[0]!r}",
            remedy=f"use some of {', '.join(get_args(OptimizerName))}",
        )
    return tuple(known[name] for name in dict.fromkeys(names)) or OPTIMIZERS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    frames: Sequence[Frame]
    recipe: Recipe


def measure_optimizers(
    frames: Sequence[Frame],
    contest: Contest,
    *,
    processes: int,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train one network by each optimizer, always from the same weights and on the same frames.

    Parameters
    ----------
    frames
        Labelled structures.
    contest
        What is compared.
    processes
        Trainings at a time, each on one thread; seconds mean something with one alone.
    progress
        Told of each look.

    Returns
    -------
    dict
        ``prefactors``, ``passes``, ``best`` (name of the optimizer with the lowest loss, None
        where all diverged) and ``rows``; docs/reference/json.md describes it.

    Raises
    ------
    aga.errors.AgaError
        As of :func:`aga.training.fit.fit_member`; a training that diverges is a result.
    """
    jobs = [_Job(frames=frames, recipe=contest.training(name)) for name in contest.optimizers]

    def tell(number: int, entry: Any) -> None:  # noqa: ANN401 - what a job says
        if progress is not None:
            progress(contest.optimizers[number], entry)

    rows = run_each(_train, jobs, processes=processes, progress=tell)
    losses = {row["optimizer"]: row["loss"] for row in rows if row["diverged"] is None}
    return {
        "frames": len(frames),
        "passes": contest.recipe.training.passes,
        "prefactors": dict(LIMITS),
        "rows": rows,
        "best": min(losses, key=lambda name: losses[name], default=None),
    }


def _train(job: _Job, say: Say) -> dict[str, Any]:
    begun = time.perf_counter()
    diverged = None
    try:
        result = fit_member(job.frames, job.recipe, member=0, workshop=Workshop(progress=say))
        history: Sequence[dict[str, Any]] = result.history
    except SearchFailedError as error:
        history, diverged = error.facts["history"], error.message
    return {
        **_row(history),
        "optimizer": job.recipe.optimizer,
        "seconds": time.perf_counter() - begun,
        "diverged": diverged,
    }


def _row(history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give the look with the lowest training loss; what is held out has no say in the choice."""
    best = min(history, key=lambda entry: float(entry["loss"]))
    return {
        "loss": best["loss"],
        "held_out_loss": best["validation"],
        "energy_rmse": best["energy_rmse"],
        "force_rmse": best["force_rmse"],
        "passes": best["passes"],
        "start_loss": history[0]["loss"],
    }
