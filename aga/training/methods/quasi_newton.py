"""Full-batch L-BFGS: plain, and in coordinates in which the loss is round."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import torch
from scipy.optimize import minimize
from torch import Tensor

from aga.rng import derive_seed
from aga.structure.candidate import FloatArray
from aga.training.curvature import Sketch, curvature
from aga.training.methods.base import Course, Options, Stretch, number, refuse_unknown
from aga.training.methods.whitening import Whitening
from aga.training.objective import ElementLayout

__all__ = ["LBFGS", "Newton", "minimise"]

Slope = Callable[[Tensor], tuple[float, Tensor]]
"""Gives value and gradient at a point."""


def minimise(start: Tensor, slope: Slope, passes: int, memory: int) -> Tensor:
    """Go downhill by L-BFGS with a line search; give the lowest point, or NaN without a slope.

    Parameters
    ----------
    start
        (P,).
    slope
        Value and gradient.
    passes
        Steps; each costs one evaluation, rarely two.
    memory
        Pairs of steps remembered.

    References
    ----------
    R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, SIAM J. Sci. Comput. 16, 1190 (1995), without bounds.
    """
    best = [(inf, torch.full_like(start, torch.nan))]

    def told(point: FloatArray) -> tuple[float, FloatArray]:
        here = torch.from_numpy(point.copy())
        value, gradient = slope(here)
        # the last point need not be it: passes may end in the middle of a line search
        if value < best[0][0] and bool(torch.isfinite(gradient).all()):
            best[0] = value, here
        return value, gradient.numpy()

    # compiled, whereas torch's own is Python, and a process that makes one waits some seconds
    minimize(
        told,
        start.detach().numpy(),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxcor": memory,
            "maxiter": passes,
            "maxfun": 2 * passes,
            "ftol": 0.0,
            "gtol": 1e-10,
        },
    )
    return best[0][1]


class _Forgetful:
    """A method that begins each stretch afresh: nothing to keep but the parameters."""

    settles = True

    def memory(self) -> Any:  # noqa: ANN401 - see the protocol
        return None

    def remember(self, memory: Any) -> None:  # noqa: ANN401 - see the protocol
        del memory


class LBFGS(_Forgetful):
    """L-BFGS on all frames; it starts afresh where the focal weights change the loss."""

    def __init__(self, options: Options) -> None:
        refuse_unknown("lbfgs", options, {"memory": 0, "refresh": 0})
        self._memory = int(number(options, "memory", 50))
        self.passes = self.look = int(number(options, "refresh", 50))

    def advance(self, vector: Tensor, course: Course, passes: int) -> Stretch:
        """Make some passes."""
        rates = course.schedule.at(course.passes)

        def slope(point: Tensor) -> tuple[float, Tensor]:
            return course.objective.gradient(point, rates.prefactors, course.weights)[:2]

        found = minimise(vector, slope, passes, self._memory)
        return Stretch(vector=found, steps=course.steps + passes)


class Newton(_Forgetful):
    """L-BFGS preconditioned by a sketch of the curvature.

    With G ≈ W⁻ᵀ W⁻¹ the Gauss–Newton matrix (regularised), θ = θ₀ + W φ makes the loss about as
    steep in every direction of φ; there L-BFGS needs few steps, and it corrects what the sketch
    misses. The matrix is made anew every ``refresh`` passes. Fits of networks have condition
    numbers of 10¹⁰: without this, first-order methods and L-BFGS alike crawl.
    """

    def __init__(self, options: Options) -> None:
        refuse_unknown("newton", options, {"memory": 0, "refresh": 0, "damping": 0, "rows": 0})
        self._memory = int(number(options, "memory", 50))
        self._damping = number(options, "damping", 1e-3)
        self._rows = number(options, "rows", Sketch(seed=0).rows)
        self.passes = self.look = int(number(options, "refresh", 20))

    def advance(self, vector: Tensor, course: Course, passes: int) -> Stretch:
        """Make some passes."""
        objective = course.objective
        prefactors = course.schedule.at(course.passes).prefactors
        if not isinstance(objective.layout, ElementLayout):
            raise TypeError("newton needs a descriptor without trained parameters")
        blocks = curvature(
            vector,
            objective.layout,
            objective.part,
            prefactors,
            course.weights,
            Sketch(seed=derive_seed(course.seed, "sketch", course.passes), rows=self._rows),
            objective.ranks,
        )
        ridge = 2.0 * objective.smoothness / objective.part.count
        white = Whitening.of(blocks, ridge, self._damping)

        def slope(phi: Tensor) -> tuple[float, Tensor]:
            point = vector + white.back(phi)
            value, gradient, _ = objective.gradient(point, prefactors, course.weights)
            return value, white.pull(gradient)

        found = minimise(torch.zeros_like(vector), slope, passes, self._memory)
        return Stretch(vector=vector + white.back(found), steps=course.steps + passes)
