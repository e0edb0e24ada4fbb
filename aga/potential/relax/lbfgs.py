"""Limited-memory quasi-Newton steps (L-BFGS) for one of many structures.

Every step is bounded and backtracks until the enthalpy has fallen enough (Armijo), so the
enthalpy never rises. Source: Nocedal & Wright, Numerical Optimization (2006), algorithm 7.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aga.potential.jit import compiled, vectorised
from aga.potential.relax.steps import (
    STIFFNESS,
    State,
    Vectors,
    accept_trial,
    dot,
    make_trial,
    shortened,
)
from aga.structure.candidate import FloatArray

__all__ = ["MEMORY", "History", "lbfgs_receive", "make_history"]

MEMORY = 24
"""Steps that the approximate Hessian remembers."""

MAX_BACKTRACKS = 10


class History(NamedTuple):
    """Steps and changes of the gradient of every structure that is being relaxed.

    ``steps`` and ``changes`` (slots, MEMORY, largest 3n + 9) in Å and eV/Å, as rings;
    ``inverse`` (slots, MEMORY) one over their scalar products.
    """

    steps: FloatArray
    changes: FloatArray
    inverse: FloatArray


def make_history(slots: int, size: int) -> History:
    """Reserve room for so many structures of at most so many coordinates."""
    shape = (slots, MEMORY, size)
    return History(np.zeros(shape), np.zeros(shape), np.zeros(shape[:2]))


@compiled
def lbfgs_receive(state: State, vectors: Vectors, history: History, enthalpy: float) -> bool:
    """Take the trial's enthalpy (eV) and fresh gradient and make the next trial.

    Returns
    -------
    bool
        Whether the trial became the best point.
    """
    slope = dot(vectors.gradient, vectors.direction)
    noise = 1e-12 * abs(enthalpy)
    accepted: bool = enthalpy <= state.enthalpy + 1e-4 * state.length * slope + noise
    length = 1.0
    if accepted:
        if np.isfinite(state.enthalpy):
            _remember(state, vectors, history)
        accept_trial(vectors)
        state.enthalpy = enthalpy
        state.backtracks = 0
    else:
        length = _backtrack(state, enthalpy - state.enthalpy, slope)
    if state.backtracks == 0:
        _choose_direction(state, vectors, history)
    state.length = length
    make_trial(state, vectors, vectors.direction, length)
    return accepted


@compiled
def _backtrack(state: State, rise: float, slope: float) -> float:
    """Give the length that leads to the minimum of the parabola through what is known.

    After too many, the memory is forgotten and a short step along the gradient tried.
    """
    state.backtracks += 1
    if state.backtracks > MAX_BACKTRACKS:
        state.stuck = state.stored == 0
        state.stored = 0
        state.backtracks = 0
        return 0.1
    length: float = state.length
    best = -0.5 * slope * length * length / (rise - slope * length)
    return min(max(best, 0.1 * length), 0.5 * length)


@compiled
def _remember(state: State, vectors: Vectors, history: History) -> None:
    """Keep the step and the change of the gradient along it, if the curvature is positive."""
    d, length, size = vectors.direction, state.length, state.size
    curvature = length * (dot(d, vectors.fresh) - dot(d, vectors.gradient))
    if curvature <= 1e-6 * length * length * dot(d, d):
        return
    slot, place = state.slot, (state.newest + 1) % MEMORY
    step, change = history.steps[slot, place], history.changes[slot, place]
    for k in range(size):
        step[k] = length * d[k]
        change[k] = vectors.fresh[k] - vectors.gradient[k]
    history.inverse[slot, place] = 1.0 / curvature
    state.newest = place
    state.stored = min(state.stored + 1, MEMORY)


@compiled
def _choose_direction(state: State, vectors: Vectors, history: History) -> None:
    d, slot = vectors.direction, state.slot
    _descent(state, history.steps[slot], history.changes[slot], history.inverse[slot], vectors)
    if dot(d, vectors.gradient) >= 0.0:
        state.stored = 0
        for k in range(len(d)):
            d[k] = -vectors.gradient[k] / STIFFNESS
    factor = shortened(d, state.scale)
    for k in range(len(d)):
        d[k] *= factor


@vectorised
def _add(d: FloatArray, factor: float, row: FloatArray) -> None:
    for k in range(len(d)):
        d[k] += factor * row[k]


@compiled
def _descent(
    state: State, steps: FloatArray, changes: FloatArray, inverse: FloatArray, vectors: Vectors
) -> None:
    """Set the direction to −H⁻¹ g by the two-loop recursion."""
    d, size, stored, newest = vectors.direction, state.size, state.stored, state.newest
    for k in range(size):
        d[k] = -vectors.gradient[k]
    factor = 1.0 / STIFFNESS
    if stored > 0:
        last = changes[newest, :size]
        factor = 1.0 / (inverse[newest] * dot(last, last))
    along = np.empty(MEMORY)
    for age in range(stored):
        place = (newest - age) % MEMORY
        along[place] = inverse[place] * dot(steps[place, :size], d)
        _add(d, -along[place], changes[place, :size])
    for k in range(size):
        d[k] *= factor
    for age in range(stored - 1, -1, -1):
        place = (newest - age) % MEMORY
        _add(d, along[place] - inverse[place] * dot(changes[place, :size], d), steps[place, :size])
