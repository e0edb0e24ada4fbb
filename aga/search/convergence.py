"""The verdict at the end of an iteration: converged, budget spent, or go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from aga.config import ConvergenceSettings, SearchSettings
from aga.search.individual import Individual, Known
from aga.structure.fingerprint import cosine_distances

__all__ = ["BestStructure", "IterationRecord", "Verdict", "assess", "record_iteration"]

State = Literal["converged", "budget", "continue"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BestStructure:
    """One of the lowest labelled structures.

    ``enthalpy_per_atom`` eV/atom by the reference method; ``energy_spread`` eV/atom of the
    newest committee on it, None where the committee has not been asked.
    """

    name: str
    enthalpy_per_atom: float
    energy_spread: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IterationRecord:
    """What an iteration leaves for the verdict.

    ``iteration`` counts adaptations (0: the initial structures); ``best`` the lowest distinct
    labelled structures, ascending; ``lowest_unlabelled`` the lowest trusted prediction in eV/atom
    for a structure unlike every labelled one, None where there is none; ``reference_calls`` spent
    so far; ``pick_error`` the median of |prediction − label| in eV/atom over the picks of the
    iteration, as they were predicted when they were chosen, None where none was labelled;
    ``trusted`` the number of relaxations within the bounds of the committee's spread, None where
    it was not counted.
    """

    iteration: int
    best: tuple[BestStructure, ...]
    lowest_unlabelled: float | None
    reference_calls: int
    pick_error: float | None = None
    trusted: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "iteration": self.iteration,
            "best": [
                {
                    "name": b.name,
                    "enthalpy_per_atom": b.enthalpy_per_atom,
                    "energy_spread": b.energy_spread,
                }
                for b in self.best
            ],
            "lowest_unlabelled": self.lowest_unlabelled,
            "reference_calls": self.reference_calls,
            "pick_error": self.pick_error,
            "trusted": self.trusted,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            iteration=int(data["iteration"]),
            best=tuple(BestStructure(**one) for one in data["best"]),
            lowest_unlabelled=data["lowest_unlabelled"],
            reference_calls=int(data["reference_calls"]),
            pick_error=data.get("pick_error"),
            trusted=data.get("trusted"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the search ends; ``reason`` in words with numbers, ``evidence`` the numbers."""

    state: State
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


def record_iteration(  # noqa: PLR0913 - what there is to sum up
    iteration: int,
    labelled: Sequence[Known],
    relaxed: Sequence[Individual],
    spreads: Mapping[str, float],
    settings: SearchSettings,
    *,
    reference_calls: int,
    errors: Sequence[float] = (),
) -> IterationRecord:
    """Sum up an iteration for :func:`assess`.

    Parameters
    ----------
    iteration
        Its number.
    labelled, relaxed
        All labelled structures; the candidates relaxed on the newest committee.
    spreads
        eV/atom, the newest committee's energy spread on labelled structures, by name.
    settings, reference_calls
        Of the search; spent so far.
    errors
        eV/atom, |prediction − label| of the picks of this iteration.
    """
    tolerance = settings.fingerprint_tolerance
    best: list[Known] = []
    for one in sorted(labelled, key=lambda k: (k.enthalpy_per_atom, k.name)):
        if len(best) == settings.convergence.best_structures:
            break
        if (cosine_distances(one.fingerprint, [b.fingerprint for b in best]) >= tolerance).all():
            best.append(one)
    prints = [k.fingerprint for k in labelled]
    trusted = [
        one
        for one in relaxed
        if one.relaxed.reason in {"converged", "step_limit"}
        and one.fingerprint.size
        and one.energy_spread <= settings.acquisition.spread_max
    ]
    unlabelled = [
        one.enthalpy_per_atom
        for one in trusted
        if (cosine_distances(one.fingerprint, prints) >= tolerance).all()
    ]
    return IterationRecord(
        iteration=iteration,
        best=tuple(
            BestStructure(
                name=b.name,
                enthalpy_per_atom=b.enthalpy_per_atom,
                energy_spread=spreads.get(b.name),
            )
            for b in best
        ),
        lowest_unlabelled=min(unlabelled, default=None),
        reference_calls=reference_calls,
        pick_error=float(np.median(errors)) if errors else None,
        trusted=len(trusted),
    )


def assess(
    history: Sequence[IterationRecord], settings: SearchSettings, *, calls: int, hours: float
) -> Verdict:
    """Decide whether the search goes on.

    It is *converged* when the reference method has found the target energy, or when all of this
    holds: the best structures have kept their enthalpies within ``energy_tolerance`` for
    ``stable_iterations`` iterations; the committee's spread on them is below
    ``spread_tolerance``; the picks of these iterations were predicted within ``error_tolerance``
    (the median; members may agree and all be wrong); some relaxation could be trusted; and no
    unlabelled candidate is predicted lower than the best by more than ``energy_tolerance``. Else
    the *budget* of reference calls, iterations or hours may be spent.

    Parameters
    ----------
    history
        Records of all iterations, oldest first.
    settings
        Of the search.
    calls
        Reference calls spent.
    hours
        Wall time spent.
    """
    evidence = _evidence(history, settings, calls, hours)
    best = evidence["best"]
    target = settings.convergence.target_energy_per_atom
    if best is not None and target is not None and best <= target:
        reason = f"the reference method found {best:.5f} eV/atom, at or below the target {target}"
        return Verdict(state="converged", reason=reason, evidence=evidence)
    missing = _missing(history, settings)
    if not missing:
        rule = settings.convergence
        reason = (
            f"the best {len(history[-1].best)} (lowest {best:.5f} eV/atom) unchanged within "
            f"{rule.energy_tolerance * 1000:g} meV/atom for {rule.stable_iterations} iterations; "
            f"committee spread {evidence['spread'] * 1000:.1f} meV/atom; nothing lower predicted"
        )
        return Verdict(state="converged", reason=reason, evidence=evidence)
    spent = _spent(history, settings, calls, hours)
    if spent:
        return Verdict(state="budget", reason="; ".join(spent), evidence=evidence)
    return Verdict(state="continue", reason="; ".join(missing), evidence=evidence)


def _evidence(
    history: Sequence[IterationRecord], settings: SearchSettings, calls: int, hours: float
) -> dict[str, Any]:
    last = history[-1] if history else None
    spreads = [b.energy_spread for b in last.best] if last else []
    known = [s for s in spreads if s is not None]
    return {
        "best": last.best[0].enthalpy_per_atom if last and last.best else None,
        "best_name": last.best[0].name if last and last.best else None,
        "drift": _drift(_window(history, settings.convergence)) if history else None,
        "spread": max(known) if known and len(known) == len(spreads) else None,
        "lowest_unlabelled": last.lowest_unlabelled if last else None,
        "pick_error": _pick_error(_window(history, settings.convergence)),
        "calls": calls,
        "iterations": last.iteration if last else 0,
        "hours": hours,
    }


def _missing(history: Sequence[IterationRecord], settings: SearchSettings) -> list[str]:
    """Say which conditions of convergence do not hold yet."""
    rule = settings.convergence
    if not history or not history[-1].best:
        return ["no structure has been labelled yet"]
    missing: list[str] = []
    last = history[-1]
    window = _window(history, rule)
    drift = _drift(window)
    if len(window) <= rule.stable_iterations:
        missing.append(
            f"{last.iteration} iterations done, {rule.stable_iterations} without change are needed"
        )
    elif drift is None:
        missing.append(f"{len(last.best)} best structures, fewer or more than before")
    elif drift > rule.energy_tolerance:
        missing.append(
            f"the best changed by {drift * 1000:.1f} meV/atom within "
            f"{rule.stable_iterations} iterations"
        )
    missing += _unsure(window, rule)
    lowest = last.best[0].enthalpy_per_atom
    other = last.lowest_unlabelled
    if other is not None and other < lowest - rule.energy_tolerance:
        missing.append(
            f"an unlabelled candidate is predicted {(lowest - other) * 1000:.1f} meV/atom lower"
        )
    return missing


def _unsure(window: Sequence[IterationRecord], rule: ConvergenceSettings) -> list[str]:
    """Say why the committee of the last iteration is not to be believed yet."""
    missing: list[str] = []
    last = window[-1]
    for one in last.best:
        if one.energy_spread is None:
            missing.append(f"the committee has not been asked about {one.name}")
        elif one.energy_spread >= rule.spread_tolerance:
            missing.append(
                f"committee spread {one.energy_spread * 1000:.1f} meV/atom on {one.name} "
                f"(wanted below {rule.spread_tolerance * 1000:g})"
            )
    if last.trusted == 0:
        missing.append("the committee could not be trusted with a single relaxation")
    error = _pick_error(window)
    if error is not None and error > rule.error_tolerance:
        missing.append(
            f"picks were mispredicted by {error * 1000:.0f} meV/atom in the median of the last "
            f"iterations (wanted below {rule.error_tolerance * 1000:g})"
        )
    return missing


def _window(
    history: Sequence[IterationRecord], rule: ConvergenceSettings
) -> Sequence[IterationRecord]:
    """Give the iterations that have to be alike, and the one before them."""
    return history[-1 - rule.stable_iterations :]


def _pick_error(window: Sequence[IterationRecord]) -> float | None:
    """Median in eV/atom of the pick errors of a window's iterations, but for its first one.

    A single iteration has three picks or fewer: too few to tell a committee that knows from one
    that was lucky. None where nothing was labelled.
    """
    errors = [one.pick_error for one in window[1:] if one.pick_error is not None]
    return float(np.median(errors)) if errors else None


def _drift(window: Sequence[IterationRecord]) -> float | None:
    """Largest change in eV/atom of any best enthalpy over a window of iterations.

    Measured against each record of the window, so a slow descent counts as a whole. None where
    the number of best structures changed.
    """
    now = [b.enthalpy_per_atom for b in window[-1].best]
    before = [[b.enthalpy_per_atom for b in record.best] for record in window[:-1]]
    if any(len(values) != len(now) for values in before):
        return None
    gaps = (abs(a - b) for values in before for a, b in zip(now, values, strict=True))
    return max(gaps, default=0.0)


def _spent(
    history: Sequence[IterationRecord], settings: SearchSettings, calls: int, hours: float
) -> list[str]:
    budget = settings.budget
    spent: list[str] = []
    if calls >= budget.reference_calls:
        spent.append(f"{calls} of {budget.reference_calls} reference calls spent")
    done = len(history) - 1  # the initial structures are iteration 0
    if done >= budget.iterations:
        spent.append(f"{done} of {budget.iterations} iterations done")
    if budget.wall_time is not None and hours >= budget.wall_time:
        spent.append(f"{hours:.2f} of {budget.wall_time:g} hours spent")
    return spent
