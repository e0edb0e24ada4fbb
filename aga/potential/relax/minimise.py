"""Many structures on their way to minima of the enthalpy, stepped by one kernel call.

All numbers of all structures lie in flat arrays (:mod:`aga.potential.relax.steps`); a step of the
active ones reads the evaluation of their trials and writes their next trials, without Python for
each. No number of one structure enters another's.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from aga.potential.jit import compiled
from aga.potential.relax.fire import fire_receive
from aga.potential.relax.fixed_symmetry import Symmetries, symmetrise
from aga.potential.relax.lbfgs import History, lbfgs_receive
from aga.potential.relax.steps import State, Vectors, volume_of
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.protocols import RelaxReason

__all__ = [
    "EXPLODED",
    "GRACE",
    "REASONS",
    "Optimizer",
    "Pool",
    "Rules",
    "Said",
    "advance",
    "pack_trials",
]

Optimizer = Literal["lbfgs", "fire"]

GRACE = 10
"""Evaluations for which a structure may be untrusted: random ones start where nothing is known."""

REASONS: tuple[RelaxReason, ...] = (
    "step_limit",
    "converged",
    "step_limit",
    "exploded",
    "untrusted",
)
"""Names of the numbers in ``STATE["reason"]``; 0 goes on."""

CONVERGED, STEP_LIMIT, EXPLODED, UNTRUSTED = 1, 2, 3, 4


class Rules(NamedTuple):
    """What holds for all: eV/Å³, eV/Å, evaluations after the first, eV/atom, the optimizer."""

    pressure: float
    max_force: float
    max_steps: int
    spread_limit: float
    fire: bool


class Said(NamedTuple):
    """The evaluation of the active structures, as in :class:`aga.potential.batch.Evaluation`."""

    energies: FloatArray
    energy_spread: FloatArray
    gradient: FloatArray
    strain: FloatArray


class Pool(NamedTuple):
    """All structures of a relaxation, done, active and waiting."""

    states: Any
    """(C,) records of :data:`aga.potential.relax.steps.STATE`."""
    vectors: Vectors
    history: History
    symmetries: Symmetries


@compiled
def advance(pool: Pool, active: IntArray, said: Said, rules: Rules) -> int:
    """Take the evaluations of the active structures' trials; give the number that are done.

    Sets ``reason`` where one is done, and makes the next trial of the others.
    """
    done, first = 0, 0
    for b in range(len(active)):
        state = pool.states[active[b]]
        own = _own(pool.vectors, state.start, state.start + state.size)
        last = first + state.atoms
        enthalpy = said.energies[b] + rules.pressure * volume_of(own.trial)
        state.evaluations += 1
        sound = _gather(state, own.fresh, said.gradient[first:last], said.strain[b])
        if sound and np.isfinite(enthalpy) and np.isfinite(said.energy_spread[b]):
            _press(own.fresh, rules.pressure * volume_of(own.trial) / state.scale)
            symmetrise(pool.symmetries, active[b], own.fresh)
            accepted = True
            if rules.fire:
                fire_receive(state, own, enthalpy)
            else:
                accepted = lbfgs_receive(state, own, pool.history, enthalpy)
            if accepted:
                _measure(state, own.gradient)
            untrusted = said.energy_spread[b] > rules.spread_limit
            state.reason = _verdict(state, rules, (accepted, untrusted))
            volume = volume_of(own.trial)
            if state.reason == 0 and not state.smallest <= volume <= state.largest:
                state.reason = EXPLODED
        else:
            state.reason = EXPLODED
        done += state.reason != 0
        first = last
    return done


@compiled
def _own(vectors: Vectors, start: int, end: int) -> Vectors:
    return Vectors(
        vectors.best[start:end],
        vectors.trial[start:end],
        vectors.gradient[start:end],
        vectors.fresh[start:end],
        vectors.direction[start:end],
    )


@compiled
def _gather(state: State, fresh: FloatArray, gradient: FloatArray, strain: FloatArray) -> bool:
    """Bring ∂E/∂R and ∂E/∂ε into the coordinates of the steps; tell whether all is finite."""
    for i in range(len(gradient)):
        for x in range(3):
            fresh[3 * i + x] = gradient[i, x]
    last = len(fresh) - 9
    for x in range(3):
        for y in range(3):
            fresh[last + 3 * x + y] = 0.5 * (strain[x, y] + strain[y, x]) / state.scale
    total = 0.0
    for k in range(len(fresh)):
        total += 0.0 * fresh[k]  # NaN where any is not finite
    return total == 0.0


@compiled
def _press(fresh: FloatArray, force: float) -> None:
    for x in range(3):
        fresh[len(fresh) - 9 + 4 * x] += force


@compiled
def _measure(state: State, gradient: FloatArray) -> None:
    """Note the largest forces at the best point."""
    last, largest, strain = len(gradient) - 9, 0.0, 0.0
    for k in range(0, last, 3):
        largest = max(largest, gradient[k] ** 2 + gradient[k + 1] ** 2 + gradient[k + 2] ** 2)
    for k in range(last, last + 9):
        strain = max(strain, abs(gradient[k]))
    state.max_force = np.sqrt(largest)
    state.max_strain_force = strain * state.scale / state.atoms


@compiled
def _verdict(state: State, rules: Rules, known: tuple[bool, bool]) -> int:
    accepted, untrusted = known
    if accepted and untrusted and state.evaluations > GRACE:
        return UNTRUSTED
    if max(state.max_force, state.max_strain_force) <= rules.max_force:
        return UNTRUSTED if untrusted else CONVERGED
    if state.stuck or state.evaluations > rules.max_steps:
        return STEP_LIMIT
    return 0


@compiled
def pack_trials(pool: Pool, active: IntArray, positions: FloatArray, cells: FloatArray) -> None:
    """Write the active structures' trials one after the other, (N, 3) and (B, 3, 3) in Å."""
    first = 0
    for b in range(len(active)):
        state = pool.states[active[b]]
        trial = pool.vectors.trial[state.start : state.start + state.size]
        for i in range(state.atoms):
            for x in range(3):
                positions[first + i, x] = trial[3 * i + x]
        for x in range(3):
            for y in range(3):
                cells[b, x, y] = trial[3 * state.atoms + 3 * x + y]
        first += state.atoms
