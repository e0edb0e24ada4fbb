"""Full-batch L-BFGS with focal weights and early stopping: the passes of one training.

With tens to some hundreds of frames a second-order method on all of them at once is the thing
to beat (measured on Si₈: a Levenberg–Marquardt step costs a hundred L-BFGS passes and ends no
lower on frames it has not seen).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from aga.config.schema import TrainingSettings
from aga.potential.network import Weights, parameter_count, unflatten
from aga.training.evaluators import Evaluator
from aga.training.focal import focal_weights
from aga.training.loss import Targets, frame_losses

__all__ = ["ElementLayout", "Layout", "Outcome", "Part", "Progress", "optimise"]

STRETCH = 10
"""Passes between two looks at the validation frames."""

FOCAL_EVERY = 50
"""Passes between two focal weightings; L-BFGS starts afresh at each, for the loss changes."""

MIN_VALIDATION = 20
"""Validation frames needed to stop a training. The loss of fewer is so noisy that they stop it
too early (measured on Si₈ with six of them: energy errors near the minimum 48 against 33
meV/atom); they are reported all the same."""

PATIENCE = 6
"""Stretches without a better validation loss after which training stops."""

HISTORY = 50
"""Pairs of steps that L-BFGS remembers."""

Progress = Callable[[int, float], None]
"""Called with the number of passes done and the loss."""


class Layout(Protocol):
    """What a vector of parameters means."""

    def networks(self, vector: Tensor) -> list[Weights]:
        """Give the networks (M = 1), in the order the evaluator wants, as views of the vector."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementLayout:
    """One network per element: ``elements``, ``inputs`` D and ``hidden`` layers of each."""

    elements: int
    inputs: int
    hidden: tuple[int, ...]

    def networks(self, vector: Tensor) -> list[Weights]:
        """Give one network per element as views of the parameter vector."""
        parts = vector.reshape(self.elements, parameter_count(self.inputs, self.hidden))
        return [unflatten(part, self.inputs, self.hidden) for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Frames of the training or of the validation: how to predict them and their labels."""

    evaluator: Evaluator
    targets: Targets

    def losses(self, networks: Sequence[Weights], settings: TrainingSettings) -> Tensor:
        """Give the loss (F,) of each frame."""
        return frame_losses(self.evaluator(networks), self.targets, settings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """Result of the passes.

    ``vector`` the parameters kept (of the best validation loss where there are enough
    validation frames to tell), None where no pass gave a finite loss; ``focal`` (F,) the last
    focal weights; ``history`` one entry per stretch: ``passes``, ``loss``, ``validation``.
    """

    vector: Tensor | None
    focal: Tensor
    history: tuple[dict[str, Any], ...]


class _Best:
    """Keeps the parameters of the lowest loss."""

    def __init__(self) -> None:
        self.vector: Tensor | None = None
        self.loss = float("inf")
        self.age = 0

    def offer(self, vector: Tensor, loss: float) -> None:
        self.age += 1
        if loss < self.loss:
            self.vector, self.loss, self.age = vector.detach().clone(), loss, 0


def optimise(
    start: Tensor,
    layout: Layout,
    parts: tuple[Part, Part | None],
    settings: TrainingSettings,
    *,
    warm: bool,
    progress: Progress | None = None,
) -> Outcome:
    """Minimise the mean focal-weighted loss of the training frames, plus ‖θ‖² for smoothness.

    Parameters
    ----------
    start
        (P,) parameters.
    layout
        What they mean.
    parts
        Training frames, and validation frames or None.
    settings
        Passes, weights, γ.
    warm
        The start is a trained potential, so its losses are worth a focal weighting at once.
    progress
        Called after each stretch.
    """
    training, validation = parts
    vector = start.detach().clone()
    vector.requires_grad = True
    focal = torch.ones_like(training.targets.fade)
    optimizer = _optimizer(vector)
    watched = validation is not None and _count(validation) >= MIN_VALIDATION
    best, history = _Best(), []
    for done in range(0, settings.passes, STRETCH):
        if done % FOCAL_EVERY == 0 and (done or warm):
            losses = _losses(training, layout, vector, settings)
            focal = focal_weights(losses, settings.focal_gamma, settings.focal_cap)
            optimizer = _optimizer(vector)
        stretch = min(STRETCH, settings.passes - done)
        _run(optimizer, stretch, _objective(vector, layout, training, settings, focal))
        loss = _mean(_losses(training, layout, vector, settings))
        check = loss
        if validation is not None:
            check = _mean(_losses(validation, layout, vector, settings))
        history.append(
            {
                "passes": done + stretch,
                "loss": loss,
                "validation": None if validation is None else check,
            }
        )
        if not torch.isfinite(vector).all() or not loss < float("inf"):
            break
        # where validation frames are few or none, the last parameters are the ones to keep
        best.offer(vector, check if watched else -float(done))
        if progress is not None:
            progress(done + stretch, loss)
        if best.age >= PATIENCE:
            break
    return Outcome(vector=best.vector, focal=focal, history=tuple(history))


def _optimizer(vector: Tensor) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        [vector],
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
    )


def _run(optimizer: torch.optim.LBFGS, passes: int, closure: Callable[[], Tensor]) -> None:
    group = optimizer.param_groups[0]
    group["max_iter"], group["max_eval"] = passes, 2 * passes
    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped


def _objective(
    vector: Tensor, layout: Layout, part: Part, settings: TrainingSettings, focal: Tensor
) -> Callable[[], Tensor]:
    count = _count(part)

    def closure() -> Tensor:
        vector.grad = None
        losses = part.losses(layout.networks(vector), settings)
        total = (focal * losses).sum() + settings.smoothness * (vector * vector).sum()
        mean = total / count
        mean.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return mean

    return closure


def _losses(part: Part, layout: Layout, vector: Tensor, settings: TrainingSettings) -> Tensor:
    with torch.no_grad():
        return part.losses(layout.networks(vector), settings)


def _count(part: Part) -> int:
    return len(part.targets.fade)


def _mean(losses: Tensor) -> float:
    return float(losses.mean())
