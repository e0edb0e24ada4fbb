"""Relaxation of many structures at once: atoms and cell, on one energy model.

Every structure takes its own steps (:mod:`aga.potential.minimise`); only the evaluations are
shared. So what becomes of a structure does not depend on the others in the batch, beyond the
rounding of the model itself. Structures that are done leave, and waiting ones enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from aga.config import SearchSettings
from aga.errors import InputError, StructureError
from aga.potential.batch import Batch, BatchEvaluator
from aga.potential.minimise import Minimisation
from aga.structure.candidate import Candidate
from aga.structure.protocols import Prediction, Relaxed, RelaxReason
from aga.structure.volume import target_volume_per_atom

__all__ = ["BatchedRelaxer", "Limits"]

GRACE = 10
"""Evaluations for which a structure may be untrusted: random ones start where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a relaxation ends.

    Parameters
    ----------
    max_steps
        Evaluations after the first.
    max_force
        eV/Å; converged when no force on an atom is larger and no component of ∂H/∂ε per atom
        is larger than this times 1 Å (0.16 GPa for 0.02 at 20 Å³/atom).
    spread_limit
        eV/atom; untrusted when the committee's spread is above, after a grace of ten
        evaluations; None: never.
    volume_per_atom
        Å³ that ``volume_range`` counts in; the structure's own at the start where None.
    volume_range
        A volume outside means exploded. A start outside only widens the range to itself.
    batch_size
        Structures evaluated together.
    """

    max_steps: int = 200
    max_force: float = 0.02
    spread_limit: float | None = None
    volume_per_atom: float | None = None
    volume_range: tuple[float, float] = (0.3, 3.0)
    batch_size: int = 64

    @classmethod
    def from_settings(cls, search: SearchSettings) -> Self:
        """Take the limits from the settings of a search."""
        return cls(
            max_steps=search.relax_steps,
            max_force=search.relax_force,
            spread_limit=search.acquisition.relax_spread_max,
            volume_per_atom=target_volume_per_atom(search),
            volume_range=search.volume_range,
        )

    def __post_init__(self) -> None:
        low, high = self.volume_range
        if not (self.max_steps >= 0 and self.max_force > 0 and self.batch_size > 0):
            raise InputError("relaxation: steps, force and batch size must be positive")
        if not 0 < low < high:
            raise InputError(f"relaxation: no volume is between {low} and {high} times another")


class BatchedRelaxer:
    """Relaxes atoms and cell together by quasi-Newton steps; implements ``Relaxer``.

    Parameters
    ----------
    evaluator
        The committee.
    limits
        When to stop.
    pressure
        eV/Å³; the enthalpy E + pV is minimised.
    """

    def __init__(
        self, evaluator: BatchEvaluator, limits: Limits | None = None, *, pressure: float = 0.0
    ) -> None:
        self.evaluator = evaluator
        self.limits = limits or Limits()
        self.pressure = pressure

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        """Relax the structures as one batch, in their order; never raises for one of them.

        A structure that can't be evaluated at all comes back as it was, ``exploded``, its
        energies and spreads infinite. An exploded one otherwise keeps its last sound geometry,
        an untrusted one the geometry at which the members disagreed.

        Raises
        ------
        aga.errors.InputError
            The model can't be used for these elements.
        """
        waiting = [_Run(candidate, self.limits, self.pressure) for candidate in candidates]
        runs, active = list(waiting), list[_Run]()
        while waiting or active:
            room = self.limits.batch_size - len(active)
            active, waiting = active + waiting[:room], waiting[room:]
            self._advance(active)
            active = [run for run in active if run.reason is None]
        return self._finish(runs)

    def _advance(self, active: list[_Run]) -> None:
        """Evaluate the trials of all active structures once; drop those that can't be."""
        batch = _pack(active)
        try:
            evaluation = self.evaluator.evaluate(batch)
        except StructureError as error:
            active[_culprit(error, len(active))].reason = "exploded"
            rest = [run for run in active if run.reason is None]
            if rest:
                self._advance(rest)
            return
        for b, run in enumerate(active):
            atoms = slice(batch.offsets[b], batch.offsets[b + 1])
            run.receive(
                float(evaluation.energies[b]),
                evaluation.gradient[atoms],
                evaluation.strain[b],
                float(evaluation.energy_spread[b]),
            )

    def _finish(self, runs: list[_Run]) -> list[Relaxed]:
        finals = [run.final() for run in runs]
        sound = [b for b, run in enumerate(runs) if np.isfinite(run.minimisation.enthalpy)]
        said = self.evaluator.predict([finals[b] for b in sound]) if sound else []
        predictions = dict(zip(sound, said, strict=True))
        return [
            _relaxed(run, final, predictions.get(b), self.pressure)
            for b, (run, final) in enumerate(zip(runs, finals, strict=True))
        ]


class _Run:
    """One structure in the batch."""

    def __init__(self, candidate: Candidate, limits: Limits, pressure: float) -> None:
        self.candidate = candidate
        self.limits = limits
        self.minimisation = Minimisation(candidate.positions, candidate.cell, pressure)
        self.evaluations = 0
        self.reason: RelaxReason | None = None
        unit = (limits.volume_per_atom or 0.0) * len(candidate) or candidate.volume
        low, high = limits.volume_range
        self._volumes = (
            min(low * unit, 0.999 * candidate.volume),
            max(high * unit, 1.001 * candidate.volume),
        )

    def receive(
        self, energy: float, gradient: np.ndarray, strain: np.ndarray, spread: float
    ) -> None:
        """Take the evaluation of the trial; decide whether to go on."""
        self.evaluations += 1
        finite = np.isfinite(gradient).all() and np.isfinite(strain).all()
        if not (finite and np.isfinite(energy) and np.isfinite(spread)):
            self.reason = "exploded"
            return
        accepted = self.minimisation.receive(energy, gradient, strain)
        self.reason = self._verdict(spread, accepted=accepted)
        if self.reason is None and not self._inside():
            self.reason = "exploded"

    def _verdict(self, spread: float, *, accepted: bool) -> RelaxReason | None:
        state, limits = self.minimisation, self.limits
        untrusted = limits.spread_limit is not None and spread > limits.spread_limit
        if accepted and untrusted and self.evaluations > GRACE:
            return "untrusted"
        if max(state.max_force, state.max_strain_force) <= limits.max_force:
            return "untrusted" if untrusted else "converged"
        if state.stuck or self.evaluations > limits.max_steps:
            return "step_limit"
        return None

    def _inside(self) -> bool:
        """Whether the next trial has an acceptable volume."""
        volume = abs(float(np.linalg.det(self.minimisation.trial_cell)))
        return self._volumes[0] <= volume <= self._volumes[1]

    def final(self) -> Candidate:
        """Give the candidate at the best point."""
        if self.evaluations == 0:
            return self.candidate
        return self.candidate.moved(self.minimisation.positions, self.minimisation.cell)


def _pack(active: Sequence[_Run]) -> Batch:
    return Batch(
        names=tuple(run.candidate.name for run in active),
        numbers=np.concatenate([run.candidate.numbers for run in active]),
        positions=np.concatenate([run.minimisation.trial_positions for run in active]),
        cells=np.array([run.minimisation.trial_cell for run in active]),
        offsets=np.cumsum([0, *(len(run.candidate) for run in active)], dtype=np.int64),
    )


def _culprit(error: StructureError, size: int) -> int:
    """Give the place of the structure that the model refuses, or raise on for all of them."""
    index = error.facts.get("index")
    if not isinstance(index, int) or not 0 <= index < size or "element" in error.facts:
        raise error
    return index


def _relaxed(
    run: _Run, final: Candidate, prediction: Prediction | None, pressure: float
) -> Relaxed:
    if prediction is None:
        energy = spread = force_spread = np.inf
    else:
        energy, spread = prediction.energy, prediction.energy_spread
        force_spread = prediction.force_spread
    return Relaxed(
        candidate=final,
        energy=float(energy),
        enthalpy=float(energy + pressure * final.volume),
        energy_spread=float(spread),
        force_spread=float(force_spread),
        max_force=run.minimisation.max_force,
        steps=max(run.evaluations - 1, 0),
        reason=run.reason or "step_limit",
    )
