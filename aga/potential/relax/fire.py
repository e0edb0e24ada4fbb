"""Fast inertial relaxation (FIRE) for one of many structures.

Bitzek, Koskinen, Gähler, Moseler, Gumbsch, PRL 97, 170201 (2006), as improved by Guénolé et al.,
Comput. Mater. Sci. 175, 109584 (2020): semi-implicit Euler steps, half a step back where the
power turns negative; the parameters are those of ASE's ``FIRE2``. Atoms and cell move together
in the coordinates of :mod:`aga.potential.relax.steps`, all with a mass of one. The enthalpy may
rise on the way; the point taken last counts.
"""

from __future__ import annotations

import numpy as np

from aga.potential.jit import compiled
from aga.potential.relax.steps import State, Vectors, accept_trial, dot, make_trial, shortened

__all__ = ["TIME_STEP", "fire_receive"]

TIME_STEP = 0.1
"""Of the first step, in Å √(1/eV)."""

LONGEST, SHORTEST = 1.0, 2e-3
"""Bounds of the time step."""

DELAY = 20
"""Steps downhill before the time step grows."""

GROWTH, DECAY = 1.1, 0.5
"""Factors of the time step: downhill, after a step uphill."""

MIXING, MIXING_DECAY = 0.25, 0.99
"""Share of the velocity that is turned into the force, and how it falls downhill."""


@compiled
def fire_receive(state: State, vectors: Vectors, enthalpy: float) -> None:
    """Take the trial as it is, with its enthalpy (eV) and fresh gradient; make the next."""
    accept_trial(vectors)
    velocity, g, step = vectors.direction, vectors.gradient, vectors.fresh  # fresh is spent
    first = not np.isfinite(state.enthalpy)
    state.enthalpy = enthalpy
    back = 0.0
    if first:
        state.time_step, state.mixing, state.downhill = TIME_STEP, MIXING, 0
    elif dot(velocity, g) < 0.0:
        state.downhill += 1
        if state.downhill > DELAY:
            state.time_step = min(state.time_step * GROWTH, LONGEST)
            state.mixing *= MIXING_DECAY
    else:
        state.downhill = 0
        state.time_step = max(state.time_step * DECAY, SHORTEST)
        state.mixing = MIXING
        back = 0.5 * state.time_step
    t = state.time_step
    for k in range(len(g)):
        step[k] = -back * velocity[k]
        velocity[k] = (velocity[k] if back == 0.0 else 0.0) - t * g[k]
    slope = np.sqrt(dot(g, g))
    turned = 0.0 if slope == 0.0 else state.mixing * np.sqrt(dot(velocity, velocity)) / slope
    for k in range(len(g)):
        velocity[k] = (1.0 - state.mixing) * velocity[k] - turned * g[k]
        step[k] += t * velocity[k]
    factor = shortened(step, state.scale)
    if factor < 1.0:
        for k in range(len(g)):
            velocity[k] *= factor
    make_trial(state, vectors, step, factor)
