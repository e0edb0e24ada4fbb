"""The optimizers of torch, on batches of frames, with a learning rate that falls exponentially."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aga.errors import InputError
from aga.rng import stream
from aga.training.methods.base import Course, Options, Stretch, number, refuse_unknown

__all__ = ["OPTIMIZERS", "FirstOrder"]

OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], float]] = {
    "adadelta": (torch.optim.Adadelta, 10.0),
    "adam": (torch.optim.Adam, 3e-2),
    "adamw": (torch.optim.AdamW, 3e-2),
    "adamax": (torch.optim.Adamax, 3e-2),
    "asgd": (torch.optim.ASGD, 3e-4),
    "sgd": (torch.optim.SGD, 3e-4),
    "rprop": (torch.optim.Rprop, 3e-2),
    "rmsprop": (torch.optim.RMSprop, 3e-3),
}
"""Class and learning rate at the start, by name.

The rates are round numbers near those that served best, of a few for each method, in 60 passes
over a hundred frames of TiO₂ and over fifty of silicon, with the published prefactors to begin
with, batches of eight and the rate falling to a hundredth. SGD and ASGD can diverge with 1e-3.
"""

FULL = frozenset({"rprop"})
"""Methods that compare signs of gradients, which needs all frames in every step."""

LOOK = 5
"""Passes between two looks at the validation frames, where the option ``look`` says no other."""

LOUDEST = 10.0
"""Longest gradient, in typical ones of the last steps: a batch with a wild frame is cut to it."""

_NOT_OURS = frozenset(
    {"self", "params", "lr", "maximize", "foreach", "fused", "capturable", "differentiable"}
)


class FirstOrder:
    """One of torch's optimizers.

    Frames are shuffled anew for every pass. Gradients longer than some of the typical ones are
    shortened. With ASGD, the average of the parameters is what is kept.

    Parameters
    ----------
    name
        Of the optimizer.
    options
        Its parameters, as torch names them, and ``look``, the passes between two looks.
    learning_rate
        At the start; the method's own where None.
    batch_size
        Frames per step.

    Raises
    ------
    aga.errors.InputError
        A parameter that it doesn't have, or a value that it refuses.
    """

    passes = 1
    settles = False

    def __init__(
        self, name: str, options: Options, learning_rate: float | None, batch_size: int
    ) -> None:
        self._kind, usual = OPTIMIZERS[name]
        known = inspect.signature(self._kind).parameters
        ours = {k: v for k, v in known.items() if k not in _NOT_OURS} | {"look": LOOK}
        refuse_unknown(name, options, ours)
        self.look = max(1, int(number(options, "look", LOOK)))
        self._rate = usual if learning_rate is None else learning_rate
        self._batch = None if name in FULL else batch_size
        self._options = {key: value for key, value in options.items() if key != "look"}
        self._leaf = torch.zeros(1, dtype=torch.float64)
        try:
            self._optimizer = self._make(self._leaf)
        except (ValueError, TypeError) as error:
            raise InputError(f"training.optimizer_options: {name}: {error}") from error
        self._typical = 0.0
        self._memory: dict[str, Any] | None = None
        self._begun = False

    def _make(self, leaf: Tensor) -> torch.optim.Optimizer:
        return self._kind([leaf], lr=self._rate, **self._options)

    def advance(self, vector: Tensor, course: Course, passes: int) -> Stretch:
        """Make one pass."""
        if passes != 1:
            raise ValueError("one pass at a time")
        self._begin(vector)
        count = course.objective.part.count
        losses, steps = np.zeros(count), course.steps
        for batch in self._batches(course, count):
            rates = course.schedule.at(steps)
            for group in self._optimizer.param_groups:
                group["lr"] = self._rate * rates.ratio
            _, gradient, seen = course.objective.gradient(
                self._leaf, rates.prefactors, course.weights, batch
            )
            self._leaf.grad = self._tamed(gradient)
            self._optimizer.step()
            mine = np.flatnonzero(np.isfinite(seen))
            losses[course.objective.part.places[mine]] = seen[mine]
            steps += 1
        everyone = course.objective.ranks.sum(losses)
        return Stretch(vector=self._kept(), steps=steps, losses=everyone)

    def _batches(self, course: Course, count: int) -> list[Any]:
        if self._batch is None or self._batch >= count:
            return [None] if self._batch is None else [np.arange(count)]
        order = stream(course.seed, "shuffle", course.passes).permutation(count)
        return [np.sort(order[at : at + self._batch]) for at in range(0, count, self._batch)]

    def _tamed(self, gradient: Tensor) -> Tensor:
        length = float(gradient.norm())
        if not np.isfinite(length):
            return gradient
        limit = LOUDEST * self._typical
        if self._typical and length > limit:
            gradient, length = gradient * (limit / length), limit
        self._typical = 0.95 * self._typical + 0.05 * length if self._typical else length
        return gradient

    def _begin(self, vector: Tensor) -> None:
        """Take up the parameters, and at the first pass the memory of an earlier run."""
        if self._begun:
            return
        self._leaf = vector.detach().clone()
        self._optimizer = self._make(self._leaf)
        if self._memory is not None:
            self._leaf.copy_(self._memory["leaf"])
            self._optimizer.load_state_dict(
                {
                    "state": {0: self._memory["state"]},
                    "param_groups": self._optimizer.state_dict()["param_groups"],
                }
            )
            self._typical = self._memory["typical"]
        self._begun = True

    def _kept(self) -> Tensor:
        state = self._optimizer.state.get(self._leaf, {})
        averaged = state.get("ax")  # ASGD's
        return (self._leaf if averaged is None else averaged).detach().clone()

    def memory(self) -> Any:  # noqa: ANN401 - see the protocol
        """Give the state of the optimizer, and where it stands."""
        if not self._begun:
            return self._memory
        state = self._optimizer.state_dict()["state"].get(0, {})
        return {"state": dict(state), "typical": self._typical, "leaf": self._leaf.clone()}

    def remember(self, memory: Any) -> None:  # noqa: ANN401 - see the protocol
        """Go on from :meth:`memory`."""
        self._memory, self._begun = memory, False
