"""Relaxation of many structures at once: atoms and cell, on one energy model.

Every structure takes its own steps (:mod:`aga.potential.relax.minimise`); only the evaluations are
shared. So what becomes of a structure does not depend on the others in the batch, beyond the
rounding of the model itself. Structures that are done leave, and waiting ones enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Self, get_args

import numpy as np

from aga.config import SearchSettings
from aga.errors import InputError, StructureError
from aga.potential.batch import BatchEvaluator
from aga.potential.relax.active import ActiveSet
from aga.potential.relax.limits import Limits, RelaxTimings
from aga.potential.relax.minimise import REASONS, Optimizer, Rules
from aga.structure.candidate import Candidate
from aga.structure.protocols import Prediction, Relaxed
from aga.units import ev_per_a3_from_gpa

__all__ = ["BatchedRelaxer", "Limits", "RelaxTimings"]


class BatchedRelaxer:
    """Relaxes atoms and cell together; implements ``Relaxer``.

    Parameters
    ----------
    evaluator
        The committee.
    limits
        When to stop.
    pressure
        eV/Å³; the enthalpy E + pV is minimised.
    optimizer
        ``lbfgs`` (the enthalpy never rises) or ``fire``.
    symmetry_tolerance
        Å; the space group found at the start within it is kept: the start is moved onto it and
        all steps stay on it. None: nothing is kept.

    Attributes
    ----------
    timings
        Where the time of the last relaxation went.

    Raises
    ------
    aga.errors.InputError
        No such optimizer, or a tolerance that is not positive.
    """

    def __init__(
        self,
        evaluator: BatchEvaluator,
        limits: Limits | None = None,
        *,
        pressure: float = 0.0,
        optimizer: Optimizer = "lbfgs",
        symmetry_tolerance: float | None = None,
    ) -> None:
        if optimizer not in get_args(Optimizer):
            known = ", ".join(get_args(Optimizer))
            raise InputError(f"relaxation: no optimizer {optimizer!r}; there are {known}")
        if symmetry_tolerance is not None and not symmetry_tolerance > 0:
            raise InputError("relaxation: the tolerance of the symmetry must be positive")
        self.evaluator = evaluator
        self.limits = limits or Limits()
        self.pressure = pressure
        self.optimizer = optimizer
        self.symmetry_tolerance = symmetry_tolerance
        self.timings = RelaxTimings()

    @classmethod
    def from_settings(cls, evaluator: BatchEvaluator, search: SearchSettings) -> Self:
        """Relax as the settings of a search say, at its pressure."""
        return cls(
            evaluator,
            Limits.from_settings(search),
            pressure=ev_per_a3_from_gpa(search.pressure),
            optimizer=search.relax_optimizer,
            symmetry_tolerance=search.symmetry_tolerance if search.relax_symmetry else None,
        )

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
        began = perf_counter()
        limits, spread = self.limits, self.limits.spread_limit
        rules = Rules(
            float(self.pressure),
            float(limits.max_force),
            int(limits.max_steps),
            np.inf if spread is None else float(spread),
            self.optimizer == "fire",
        )
        structures = ActiveSet(candidates, limits, rules, self.symmetry_tolerance)
        inside, batches = 0.0, 0
        while len(structures):
            inside += self._step(structures)
            batches += 1
        finals = [structures.final(c) for c in range(len(candidates))]
        entered = perf_counter()
        predictions = self._predict(structures, finals)
        inside += perf_counter() - entered
        results = [
            _relaxed(final, predictions.get(c), state, self.pressure)
            for c, (final, state) in enumerate(zip(finals, structures.states, strict=True))
        ]
        self.timings = RelaxTimings(
            seconds=perf_counter() - began,
            evaluator_seconds=inside,
            steps=int(structures.states["evaluations"].sum()),
            batches=batches,
        )
        return results

    def _step(self, structures: ActiveSet) -> float:
        """Evaluate the trials of all active structures once; give the seconds that took."""
        batch = structures.trials()
        began = perf_counter()
        try:
            said = self.evaluator.evaluate(batch)
        except StructureError as error:
            structures.refuse(_culprit(error, len(batch)))
            return perf_counter() - began
        seconds = perf_counter() - began
        structures.receive(said)
        return seconds

    def _predict(self, structures: ActiveSet, finals: Sequence[Candidate]) -> dict[int, Prediction]:
        """Predict the structures that could be evaluated, by their place."""
        sound = np.flatnonzero(np.isfinite(structures.states["enthalpy"])).tolist()
        said = self.evaluator.predict([finals[c] for c in sound]) if sound else []
        return dict(zip(sound, said, strict=True))


def _culprit(error: StructureError, size: int) -> int:
    """Give the place of the structure that the model refuses, or raise on for all of them."""
    index = error.facts.get("index")
    if not isinstance(index, int) or not 0 <= index < size or "element" in error.facts:
        raise error
    return index


def _relaxed(
    final: Candidate, prediction: Prediction | None, state: np.void, pressure: float
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
        max_force=float(state["max_force"]),
        steps=max(int(state["evaluations"]) - 1, 0),
        reason=REASONS[state["reason"]],
    )
