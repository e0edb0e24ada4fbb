"""All candidates relaxed in one batch, against ASE's optimizer on the same energies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.filters import FrechetCellFilter, UnitCellFilter
from ase.optimize import FIRE

from aga.potential.calculator import CommitteeCalculator
from aga.potential.kinds import AnyCommittee
from aga.potential.relax.relaxer import BatchedRelaxer, Limits
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed

__all__ = ["FILTERS", "measure_relaxation"]

MAX_FORCE = 0.02
"""eV/Å on atoms, and eV per atom on the strain, for both."""

STEPS = 500
"""Of ours; hardly a relaxation comes so far."""

ASE_STEPS = 1000
"""ASE's FIRE needs more steps than quasi-Newton ones; few relaxations come so far."""

SAME = 1e-3
"""eV/atom: minima closer than this are one."""

AT_REST = 2e-3
"""``MAX_FORCE`` of a minimum that is to be found again: where forces merely fell below the bound
the way down may go on, and another path stops elsewhere on it."""

RATTLE = 0.05
"""Å by which atoms are moved out of a minimum, to find it again."""

FILTERS: dict[str, Callable[[Atoms], Any]] = {
    "frechet": FrechetCellFilter,
    "unitcell": UnitCellFilter,
}
"""ASE's ways to let the cell move."""


@dataclass(frozen=True, slots=True)
class _Loop:
    """ASE's relaxations one by one: seconds, steps and energy per atom of each."""

    seconds: list[float]
    steps: list[int]
    energies: list[float]
    converged: list[bool]


def measure_relaxation(
    committee: AnyCommittee,
    candidates: Sequence[Candidate],
    *,
    compared: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Relax all candidates in one batch, and some of them by ASE.

    Parameters
    ----------
    committee
        The energy model of both.
    candidates
        The structures.
    compared
        How many of them ASE relaxes too, evenly chosen: its loop is slow, and is compared
        relaxation by relaxation.
    progress
        Called with a line before each part.

    Returns
    -------
    dict
        ``relax``: ``ratio_frechet`` and ``ratio_unitcell``, ASE's time for a relaxation with
        that filter over ours in the batch, and ``optimizer_share`` of our time outside the
        energy model. ``relaxation``: the numbers behind them. There ``same`` counts minima of
        equal energy (1 meV/atom), ``lower`` and ``higher`` those where ours is so: the minimum
        a random cell falls into is a matter of the path. ``basins`` counts them where both
        start close to a minimum, and so should find it.
    """
    relaxer = BatchedRelaxer(committee, Limits(max_force=MAX_FORCE, max_steps=STEPS))
    relaxer.relax(candidates[:2])  # compiles
    progress(f"relaxing {len(candidates)} cells in one batch")
    ours = relaxer.relax(candidates)
    timings = relaxer.timings
    each = timings.seconds / len(candidates)
    chosen = np.linspace(0, len(candidates) - 1, min(compared, len(candidates))).astype(int)
    loops: dict[str, Any] = {}
    for name, cell_filter in FILTERS.items():
        progress(f"relaxing {len(chosen)} of them by ASE, {cell_filter.__name__}")
        loop = _loop(committee, [candidates[k] for k in chosen], cell_filter)
        loops[name] = _compared(loop, [ours[k] for k in chosen])
    ratios = {
        f"ratio_{name}": loop["ms_per_relaxation"] / each / 1e3 for name, loop in loops.items()
    }
    progress("relaxing from close to minima by both")
    return {
        "relax": ratios | {"optimizer_share": timings.optimizer_share},
        "relaxation": {
            "cells": len(candidates),
            "ms_per_relaxation": each * 1e3,
            "steps_per_relaxation": timings.steps / len(candidates),
            "converged": sum(r.reason == "converged" for r in ours),
            "ase": loops,
            "basins": _basins(relaxer, committee, [ours[k] for k in chosen]),
        },
    }


def _basins(
    relaxer: BatchedRelaxer, committee: AnyCommittee, ends: Sequence[Relaxed]
) -> dict[str, Any] | None:
    """Relax rattled minima by both; None where no relaxation found a minimum."""
    to_rest = BatchedRelaxer(committee, Limits(max_force=AT_REST, max_steps=STEPS))
    minima = to_rest.relax([r.candidate for r in ends])
    starts = [
        r.candidate.moved(
            r.candidate.positions + stream(k, "basins").normal(0.0, RATTLE, (len(r.candidate), 3))
        )
        for k, r in enumerate(minima)
        if r.reason == "converged"
    ]
    if not starts:
        return None
    loop = _loop(committee, starts, UnitCellFilter)
    return _compared(loop, relaxer.relax(starts))


def _loop(
    committee: AnyCommittee, candidates: Sequence[Candidate], cell_filter: Callable[..., Any]
) -> _Loop:
    loop = _Loop([], [], [], [])
    for candidate in candidates:
        atoms = candidate.to_ase()
        atoms.calc = CommitteeCalculator(committee)
        start = time.perf_counter()
        optimizer = FIRE(cell_filter(atoms), logfile=None)
        converged = optimizer.run(fmax=MAX_FORCE, steps=ASE_STEPS)
        loop.seconds.append(time.perf_counter() - start)
        loop.steps.append(optimizer.nsteps)
        loop.energies.append(atoms.get_potential_energy() / len(atoms))
        loop.converged.append(bool(converged))
    return loop


def _compared(loop: _Loop, ours: Sequence[Relaxed]) -> dict[str, Any]:
    difference = np.array([r.energy_per_atom for r in ours]) - loop.energies
    return {
        "cells": len(ours),
        "ms_per_relaxation": float(np.mean(loop.seconds)) * 1e3,
        "ms_per_step": float(np.sum(loop.seconds) / np.sum(loop.steps)) * 1e3,
        "steps_per_relaxation": float(np.mean(loop.steps)),
        "converged": sum(loop.converged),
        "same": int((np.abs(difference) <= SAME).sum()),
        "lower": int((difference < -SAME).sum()),
        "higher": int((difference > SAME).sum()),
        "median_difference": float(np.median(difference)),
    }
