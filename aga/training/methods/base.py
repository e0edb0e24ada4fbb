"""What a method is asked for, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from aga.errors import InputError
from aga.structure.candidate import FloatArray
from aga.training.objective import Objective
from aga.training.schedule import Schedule

__all__ = ["Course", "Method", "Options", "Stretch", "number", "refuse_unknown"]

Options = Mapping[str, bool | float | tuple[float, ...]]
"""Parameters of a method, by name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """Where a training stands: ``passes`` and ``steps`` done, focal ``weights`` (F,) of all frames.

    ``schedule`` says what holds at a step, ``seed`` makes every random number of this member.
    """

    objective: Objective
    schedule: Schedule
    weights: FloatArray
    passes: int
    steps: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stretch:
    """What some passes gave: parameters, steps done in all, and the losses seen on the way.

    ``losses`` (F,) of all frames in the last pass, None where the method does not see them.
    """

    vector: Tensor
    steps: int
    losses: FloatArray | None = None


class Method(Protocol):
    """Minimises the loss, some passes at a time.

    ``passes`` it makes at a time; ``look`` passes between two looks at the validation frames, a
    multiple of them; ``settles`` whether so many passes all but solve the weighted problem, so
    that weights have to change by less than their formula says. Equal vectors, courses and
    memories give equal results.
    """

    passes: int
    look: int
    settles: bool

    def advance(self, vector: Tensor, course: Course, passes: int) -> Stretch:
        """Make some passes, at most :attr:`passes`."""
        ...

    def memory(self) -> Any:  # noqa: ANN401 - plain values and tensors
        """Give what has to be kept for the next passes: plain values and tensors, nested."""
        ...

    def remember(self, memory: Any) -> None:  # noqa: ANN401 - as memory() gave it
        """Go on from :meth:`memory`."""
        ...


def refuse_unknown(name: str, options: Options, known: Mapping[str, object]) -> None:
    """Refuse parameters that a method does not have.

    Raises
    ------
    aga.errors.InputError
        Names them and those that there are.
    """
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(
            f"training.optimizer_options: {name} has no {', '.join(unknown)}",
            remedy=f"it has {', '.join(sorted(known)) or 'none'}",
            options=unknown,
        )


def number(options: Options, name: str, default: float) -> float:
    """Give the number that an option has, or its default."""
    value = options.get(name, default)
    return default if isinstance(value, tuple) else float(value)


def steps_per_pass(frames: int, batch: int) -> int:
    """Give the steps of a pass over the data in batches."""
    return int(np.ceil(frames / batch))
