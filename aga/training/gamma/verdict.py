"""What a scan of γ says: passes to each target, final losses, and which γ is best, if any is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from aga.rng import stream
from aga.structure.candidate import FloatArray
from aga.training.gamma.scan import Run, Scan

__all__ = ["Verdict", "choose_targets", "judge", "new_share", "passes_to", "scan_document"]

TARGETS = 6
"""Targets chosen from the data."""

RESAMPLES = 4000

SURE = 0.95
"""Share of the resamples in which one γ must be quicker than another to be told apart from it."""

PARTS = {"new_loss": "new", "old_loss": "held", "base_loss": "base"}
"""Names of the final losses in documents, and in runs."""


def passes_to(run: Run, target: float) -> float:
    """Give the passes after which a run's loss was first at a target or below, else infinity."""
    return next((float(passes) for passes, loss in run.curve if loss <= target), inf)


def choose_targets(runs: Sequence[Run]) -> tuple[float, ...]:
    """Choose targets from the runs of the smallest γ, which is ordinary training where 0 is tried.

    Geometrically spaced, from below the loss with which the retraining begins down to the lowest
    that it reaches; of both the median over the seeds. Two digits, rounded up so that the last one
    is reached. Empty where the loss never falls below that of the beginning.
    """
    least = min(run.gamma or 0.0 for run in runs)
    ordinary = [run for run in runs if run.gamma == least]
    start = float(np.median([run.curve[0][1] for run in ordinary]))
    lowest = float(np.median([min(loss for _, loss in run.curve) for run in ordinary]))
    if not 0 < lowest < start:
        return ()
    spaced = np.geomspace(start, lowest, TARGETS + 1)[1:]
    return tuple(sorted({_rounded_up(float(value)) for value in spaced}, reverse=True))


def _rounded_up(value: float) -> float:
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return float(f"{np.ceil(value / unit - 1e-9) * unit:.2g}")


def new_share(base: Sequence[Run], frames: tuple[int, int]) -> float:
    """Give the share of the loss that new frames have when they join, the median over the seeds.

    Where it is large already, the new frames do not drown, and γ = 0 looks at them first too.

    Parameters
    ----------
    base
        The trainings on the base set.
    frames
        How many base frames and new ones there are.
    """
    old, new = (
        np.array([count * run.losses[part] for run in base])
        for part, count in zip(("base", "new"), frames, strict=True)
    )
    return float(np.median(new / (old + new)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which γ needs the fewest passes.

    ``best`` γ and ``confidence``, the share of resamples of the seeds in which it is the best,
    None with one seed or without targets; ``alike`` those γ that it can't be told apart from;
    ``recommended`` the best, or None where no γ can be told apart from it.
    """

    best: float | None
    confidence: float | None
    alike: tuple[float, ...]
    recommended: float | None


def judge(runs: Sequence[Run], targets: Sequence[float], budget: int) -> Verdict:
    """Compare γ by the geometric mean of the passes to the targets.

    Seeds are resampled with replacement, the same ones for all γ, since all γ of a seed begin
    with one model: what a seed alone does cancels.

    Parameters
    ----------
    runs
        One of each seed and γ.
    targets
        Losses.
    budget
        Passes of a retraining; a target that is not reached counts as twice as many.

    References
    ----------
    B. Efron, Ann. Statist. 7, 1 (1979).
    """
    gammas = sorted({run.gamma for run in runs if run.gamma is not None})
    if not targets:
        return Verdict(best=None, confidence=None, alike=tuple(gammas), recommended=None)
    scores = np.array([_scores(runs, gamma, targets, budget) for gamma in gammas])
    best = int(scores.mean(axis=1).argmin())
    count = scores.shape[1]
    if count == 1 or len(gammas) == 1:
        others = tuple(gamma for gamma in gammas if gamma != gammas[best])
        chosen = gammas[best] if len(gammas) > 1 else None
        return Verdict(best=gammas[best], confidence=None, alike=others, recommended=chosen)
    drawn = stream(0, "gamma", "resamples").integers(0, count, (RESAMPLES, count))
    means = scores[:, drawn].mean(axis=2)
    ahead = (means[best] < means * (1.0 - 1e-9)).mean(axis=1)
    alike = tuple(
        gamma for place, gamma in enumerate(gammas) if place != best and ahead[place] < SURE
    )
    # γ that take equally many passes share a resample among them
    lowest = np.isclose(means, means.min(axis=0), rtol=1e-9)
    return Verdict(
        best=gammas[best],
        confidence=float((lowest[best] / lowest.sum(axis=0)).mean()),
        alike=alike,
        recommended=None if len(alike) == len(gammas) - 1 else gammas[best],
    )


def _scores(runs: Sequence[Run], gamma: float, targets: Sequence[float], budget: int) -> FloatArray:
    """Give (seeds,) the mean logarithm of the passes to the targets."""
    mine = sorted((run for run in runs if run.gamma == gamma), key=lambda run: run.seed)
    passes = np.array([[passes_to(run, target) for target in targets] for run in mine])
    scores: FloatArray = np.log(np.clip(passes, 1.0, 2.0 * budget)).mean(axis=1)
    return scores


def scan_document(scan: Scan, targets: Sequence[float], budget: int) -> dict[str, Any]:
    """Give targets, rows and verdict of a scan as plain values.

    Returns
    -------
    dict
        ``targets``, ``start`` (losses of the base models), ``rows``, ``recommended``, ``best``,
        ``confidence`` and ``notes``; docs/reference/json.md describes it.
    """
    verdict = judge(scan.runs, targets, budget)
    gammas = sorted({run.gamma for run in scan.runs if run.gamma is not None})
    rows = [_row([run for run in scan.runs if run.gamma == g], g, targets) for g in gammas]
    return {
        "targets": list(targets),
        "start": _finals(scan.base),
        "rows": rows,
        "best": verdict.best,
        "recommended": verdict.recommended,
        "confidence": verdict.confidence,
        "notes": _notes(verdict, rows, seeds=len(scan.base)),
    }


def _row(runs: Sequence[Run], gamma: float, targets: Sequence[float]) -> dict[str, Any]:
    reached = {f"{target:g}": [passes_to(run, target) for run in runs] for target in targets}
    return {
        "gamma": gamma,
        "passes": {name: _spread(values) for name, values in reached.items()},
        "diverged": sum(run.diverged is not None for run in runs),
        **_finals(runs),
    }


def _spread(passes: Sequence[float]) -> dict[str, float | int | None]:
    """Give median and range; None where runs that did not reach the target would decide it."""
    values = {"median": float(np.median(passes)), "min": min(passes), "max": max(passes)}
    told: dict[str, float | int | None] = {
        name: value if isfinite(value) else None for name, value in values.items()
    }
    return told | {"reached": sum(isfinite(value) for value in passes)}


def _finals(runs: Sequence[Run]) -> dict[str, Any]:
    """Give the medians of the final losses, and their ranges."""
    medians: dict[str, float | None] = {}
    ranges: dict[str, list[float] | None] = {}
    for name, part in PARTS.items():
        values = [run.losses[part] for run in runs if part in run.losses]
        medians[name] = float(np.median(values)) if values else None
        ranges[name] = [min(values), max(values)] if values else None
    return {**medians, "ranges": ranges}


def _notes(verdict: Verdict, rows: Sequence[Mapping[str, Any]], *, seeds: int) -> list[str]:
    """Say in plain sentences what stands behind the numbers."""
    said = []
    if verdict.best is None:
        said.append(
            "the loss never fell below that with which the retraining began: there is no target "
            "to count passes to; give --target, or more --passes"
        )
    elif seeds == 1:
        said.append("one seed: nothing is known of the scatter, so no confidence can be given")
    elif verdict.recommended is None and len(rows) > 1:
        said.append(
            f"γ makes no difference here that {seeds} seeds could show: which is best changes "
            "with the seeds"
        )
    elif 0.0 in verdict.alike:
        said.append(f"γ = {verdict.best:g} is not shown to be better than γ = 0")
    if verdict.recommended is not None and seeds > 1 and verdict.alike:
        names = ", ".join(f"{gamma:g}" for gamma in verdict.alike)
        said.append(f"{seeds} seeds do not tell γ = {verdict.best:g} apart from {names}")
    said += [
        f"γ = {row['gamma']:g}: {row['diverged']} of {seeds} trainings diverged"
        for row in rows
        if row["diverged"]
    ]
    return said + _forgetting(verdict, rows)


def _forgetting(verdict: Verdict, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Warn where the quickest γ ends with old structures worse than ordinary training."""
    found = {row["gamma"]: row["ranges"] for row in rows}
    if verdict.recommended in {None, 0.0} or 0.0 not in found:
        return []
    said = []
    for name, what in (("old_loss", "old structures held out"), ("base_loss", "old structures")):
        ours, ordinary = found[verdict.recommended][name], found[0.0][name]
        if ours and ordinary and ours[0] > ordinary[1]:
            said.append(
                f"γ = {verdict.recommended:g} ends with the {what} fitted worse than γ = 0 does, "
                f"with every seed (at least {100 * (ours[0] / ordinary[1] - 1):.0f} %)"
            )
    return said
