"""The passes of one training: focal weights, looks at the validation, the best kept, resumed.

With tens to some thousands of frames a second-order method on all of them at once is the thing
to beat; what a method does between two looks is its own affair (see ``methods/``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aga.config.training import TrainingSettings
from aga.parallel.ranks import Ranks
from aga.structure.candidate import FloatArray
from aga.training.focal import focal_weights, settled_weights
from aga.training.methods.base import Course, Method, steps_per_pass
from aga.training.objective import Errors, Layout, Objective, Part
from aga.training.quarantine import Suspicion, watch
from aga.training.schedule import Prefactors, Schedule
from aga.training.state import Checkpoint, TrainingState

__all__ = ["Plan", "Progress", "optimise"]

MIN_VALIDATION = 20
"""Validation frames needed to stop a training. The loss of fewer is so noisy that they stop it
too early (measured on Si₈ with six of them: energy errors near the minimum 48 against 33
meV/atom); they are reported all the same."""

EXPLODED = 1e3
"""A loss so many times the lowest one seen has diverged."""

Progress = Callable[[dict[str, Any]], None]
"""Called at each look with its entry in the history."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What is to be done.

    ``start`` (P,) parameters, ``warm`` if they are trained ones; ``layout`` what they mean;
    ``parts`` of the training and of the validation; ``seed`` of this member's random numbers.
    """

    start: Tensor
    warm: bool
    layout: Layout
    parts: tuple[Part, Part | None]
    settings: TrainingSettings
    method: Method
    seed: int
    ranks: Ranks


def optimise(
    plan: Plan, checkpoint: Checkpoint | None = None, progress: Progress | None = None
) -> TrainingState:
    """Minimise the mean focal-weighted loss of the training frames; give where that ended.

    Parameters
    ----------
    plan
        What to do.
    checkpoint
        Where it is kept after each look; if one is there, the training goes on from it, and ends
        with the bits that it would have ended with.
    progress
        Told of each look.
    """
    run = _Run(plan)
    state = checkpoint.load() if checkpoint is not None else None
    if state is None:
        state = TrainingState(vector=plan.start.detach().clone())
        run.begin(state)
    else:
        plan.method.remember(state.method)
        stopped = state.age >= plan.settings.patience or state.diverged is not None
        state.finished = state.finished and (stopped or state.passes >= plan.settings.passes)
    while not state.finished:
        run.go_on(state)
        if checkpoint is not None and plan.ranks.rank == 0:
            checkpoint.save(state)
        if progress is not None:
            progress(state.history[-1])
    return state


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """What the validation frames say at a look, or the training frames where there are none."""

    loss: float
    energy_rmse: float
    force_rmse: float | None

    @classmethod
    def of(cls, losses: FloatArray, errors: Errors) -> _Check:
        forces = errors.force[np.isfinite(errors.force)]
        return cls(
            loss=float(losses.mean()),
            energy_rmse=1000.0 * float(np.sqrt(np.mean(errors.energy**2))),
            force_rmse=float(np.sqrt(np.mean(forces**2))) if len(forces) else None,
        )


class _Run:
    """The passes of one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan, settings = plan, plan.settings
        training, validation = plan.parts
        steps = settings.passes
        if settings.has_rate:
            steps *= steps_per_pass(training.count, settings.batch_size)
        self.schedule = Schedule.of(settings, steps)
        self.compare: Prefactors = self.schedule.limits()
        self.objective = self._objective(training)
        self.validation = None if validation is None else self._objective(validation)
        self.watched = validation is not None and validation.count >= MIN_VALIDATION

    def _objective(self, part: Part) -> Objective:
        plan = self.plan
        smoothness = plan.settings.smoothness
        return Objective(layout=plan.layout, part=part, smoothness=smoothness, ranks=plan.ranks)

    def begin(self, state: TrainingState) -> None:
        """Look at the start: its losses are worth a focal weighting where it is a trained one."""
        count = self.plan.parts[0].count
        state.focal = torch.ones(count, dtype=torch.float64)
        state.capped = torch.zeros(count, dtype=torch.int64)
        state.before = torch.zeros(count, dtype=torch.float64)
        losses, _, check = self._look(state.vector)
        if self.plan.warm:
            state.losses = torch.from_numpy(losses)
            state.best, state.best_loss = state.vector.clone(), check.loss
        self._record(state, losses, check)

    def go_on(self, state: TrainingState) -> None:
        """Go to the next look."""
        plan, method = self.plan, self.plan.method
        until = min(state.passes + method.look, plan.settings.passes)
        while state.passes < until:
            self._weigh(state)
            course = Course(
                objective=self.objective,
                schedule=self.schedule,
                weights=state.focal.numpy(),
                passes=state.passes,
                steps=state.steps,
                seed=plan.seed,
            )
            passes = min(method.passes, until - state.passes)
            stretch = method.advance(state.vector, course, passes)
            state.vector, state.steps = stretch.vector, stretch.steps
            if stretch.losses is not None:
                state.losses = torch.from_numpy(stretch.losses)
            state.passes += passes
        state.method = method.memory()
        self._take_stock(state)

    def _weigh(self, state: TrainingState) -> None:
        """Weigh each frame by its own loss in the last pass; none for those left out."""
        settings = self.plan.settings
        before, focal = state.focal, torch.ones_like(state.focal)
        focal[[int(place) for place in state.quarantined]] = 0.0
        if len(state.losses):
            gamma, use = self.schedule.at(state.steps).gamma, focal > 0
            losses, cap = state.losses[use], settings.focal_cap
            if self.plan.method.settles and state.passes:
                focal[use] = settled_weights(before[use], losses, gamma, cap)
            else:
                focal[use] = focal_weights(losses, gamma, cap)
        state.focal = focal

    def _take_stock(self, state: TrainingState) -> None:
        settings = self.plan.settings
        losses, errors, check = self._look(state.vector)
        before = state.history[-1]["passes"]
        self._record(state, losses, check)
        trouble = self._trouble(state, losses)
        if trouble is not None:
            state.diverged, state.finished = trouble, True
            return
        if self.plan.method.settles:  # the others have seen the losses of their last pass
            state.losses = torch.from_numpy(losses)
        # where validation frames are few or none, the last parameters are the ones to keep
        if check.loss < state.best_loss or not self.watched:
            state.best, state.best_loss, state.age = state.vector.clone(), check.loss, 0
        else:
            state.age += state.passes - before
        if settings.quarantine:
            found = watch(state, losses, errors, Suspicion(cap=settings.focal_cap))
            state.quarantined.update({str(place): why for place, why in found.items()})
        state.finished = state.passes >= settings.passes or (
            self.watched and state.age >= settings.patience
        )

    def _look(self, vector: Tensor) -> tuple[FloatArray, Errors, _Check]:
        losses, errors = self.objective.look(vector, self.compare)
        if self.validation is None:
            return losses, errors, _Check.of(losses, errors)
        return losses, errors, _Check.of(*self.validation.look(vector, self.compare))

    def _record(self, state: TrainingState, losses: FloatArray, check: _Check) -> None:
        rates = self.schedule.at(state.steps)
        state.history.append(
            {
                "passes": state.passes,
                "loss": float(losses.mean()),
                "validation": None if self.validation is None else check.loss,
                "energy_rmse": check.energy_rmse,
                "force_rmse": check.force_rmse,
                "rate": rates.ratio,
                "gamma": rates.gamma,
            }
        )
        row = state.focal.float().unsqueeze(0)
        state.weights = row if not len(state.weights) else torch.cat([state.weights, row])

    def _trouble(self, state: TrainingState, losses: FloatArray) -> str | None:
        """Say in which way the training has diverged, or None."""
        loss = float(losses.mean())
        lowest = min(entry["loss"] for entry in state.history)
        if bool(torch.isfinite(state.vector).all()) and loss < float("inf"):
            if not loss > EXPLODED * max(lowest, 1e-12):
                return None
            return f"the loss rose from {lowest:.3g} to {loss:.3g} within {state.passes} passes"
        return f"no finite loss after {state.passes} passes"
