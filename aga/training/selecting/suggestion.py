"""Bounds that a dry run suggests, and how much stands behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, floor, sqrt

import numpy as np

from aga.errors import InputError
from aga.structure.candidate import FloatArray
from aga.training.scoring.metrics import rank_correlation
from aga.training.selecting.replay import Iteration, Replay, ReplayReport, Row
from aga.training.selecting.round_numbers import round_down
from aga.training.selecting.selection import adapt
from aga.training.selecting.thresholds import AdaptiveBounds, Thresholds, lower_bound

__all__ = [
    "Suggestion",
    "Target",
    "notes",
    "spread_and_error",
    "suggest_adaptive",
    "suggest_fixed",
    "wilson",
]

FEW = 30
"""Labels, or wrong predictions, below which shares of them are little more than a guess."""

Z95 = 1.96
"""Standard deviations of a normal distribution that hold 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What bounds are to reach.

    Parameters
    ----------
    fraction
        Share of all candidates that is selected.
    recall
        Share of the wrong predictions that is selected; counts instead where it is given.

    Raises
    ------
    aga.errors.InputError
        A share that is not above 0 and at most 1.
    """

    fraction: float = 0.1
    recall: float | None = None

    def __post_init__(self) -> None:
        for name, share in (("fraction", self.fraction), ("recall", self.recall)):
            if share is not None and not 0 < share <= 1:
                raise InputError(
                    f"a {name} of {share:g} is no share", remedy="give one above 0 and at most 1"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """A lower bound: what it selects (``row``), and the ``bounds`` of the iterations.

    ``row.threshold`` is the bound, or the quantile of one that adapts.
    """

    row: Row
    bounds: tuple[float, ...]


def suggest_fixed(again: Replay, target: Target) -> Suggestion | None:
    """Give the largest round lower bound that reaches the target; None where none does.

    Two digits, rounded down, since the candidates are a sample.
    """
    values = np.sort(again.values[again.open])[::-1]
    if target.recall is None:
        wanted = max(1, round(target.fraction * len(again.values)))
        bound = values[wanted - 1] if wanted < len(values) else 0.0
    else:
        caught = np.sort(again.values[again.open & again.wrong])[::-1]
        place = _needed(again, target.recall, caught)
        if place is None:
            return None
        bound = caught[place]
    row = again.fixed(round_down(float(bound)))
    return Suggestion(row=row, bounds=(row.threshold,) * len(again.iterations))


def suggest_adaptive(again: Replay, target: Target) -> Suggestion | None:
    """Give the largest quantile that reaches the target in all iterations together, or None."""
    if target.recall is None:
        share = target.fraction * len(again.values) / max(1, int(again.open.sum()))
        quantile = max(0.0, 1.0 - share)
    else:
        caught = np.sort(_quantiles(again)[again.open & again.wrong])[::-1]
        place = _needed(again, target.recall, caught)
        if place is None:
            return None
        quantile = float(caught[place])
    quantile = floor(1000 * quantile + 1e-6) / 1000
    thresholds = _adapted(again, quantile)
    row = again.row(quantile, thresholds)
    bounds = [lower_bound(thresholds(i), again.request.quantity) for i in again.iterations]
    return Suggestion(row=row, bounds=tuple(bounds))


def _adapted(again: Replay, quantile: float) -> Callable[[Iteration], Thresholds]:
    request = again.request
    bounds = AdaptiveBounds(quantity=request.quantity, lower=quantile)
    return lambda i: adapt(i.candidates, request.thresholds, bounds, i.known, lowest=i.lowest)


def _needed(again: Replay, recall: float, caught: FloatArray) -> int | None:
    """Give the place, best first, of the last wrong one that has to be selected."""
    wanted = ceil(recall * int(again.wrong.sum()) - 1e-9)
    return wanted - 1 if 0 < wanted <= len(caught) else None


def _quantiles(again: Replay) -> FloatArray:
    """Give (N,) the quantile that each value is among the open ones of its iteration."""
    quantiles, start = np.full(len(again.values), np.nan), 0
    for iteration in again.iterations:
        part = slice(start, start := start + len(iteration.candidates))
        open_ = np.sort(again.values[part][again.open[part]])
        places = np.searchsorted(open_, again.values[part])
        quantiles[part] = places / (len(open_) - 1) if len(open_) > 1 else 1.0
    return quantiles


def spread_and_error(again: Replay) -> float | None:
    """Give Spearman's correlation of the quantity with the absolute error of labelled ones.

    Around 0 the quantity does not tell who is wrong; None with fewer than two labels.
    """
    known = again.labelled
    if known.sum() < 2:
        return None
    return rank_correlation(again.values[known], np.abs(again.errors[known]))


def notes(report: ReplayReport, fixed: Suggestion | None, *, by_search: bool) -> list[str]:
    """Say in plain sentences what stands behind the numbers.

    Parameters
    ----------
    report
        The dry run.
    fixed
        The suggested bound.
    by_search
        Whether a search chose who has a label.
    """
    again = report.replay
    said = _on_labels(report, by_search=by_search)
    refused = report.candidates - int(again.open.sum())
    if refused:
        said.append(
            f"{refused} of {report.candidates} candidates are outside the other bounds: no lower "
            "bound selects them"
        )
    if report.labelled and fixed is None:
        said.append("no lower bound reaches the target within the other bounds")
    if fixed is not None and fixed.row.recall is not None:
        caught = report.wrong - fixed.row.missed
        low, high = wilson(caught, report.wrong)
        said.append(
            f"the suggested fixed bound catches {caught} of {report.wrong} wrong ones: were these "
            f"a random sample, {100 * low:.0f} to {100 * high:.0f} % of all (95 % confidence)"
        )
    rank = spread_and_error(again)
    if rank is not None and rank < 0.3 and report.labelled >= FEW:
        said.append(
            f"the rank correlation with the error is only {rank:.2f}: this quantity hardly tells "
            "who is wrong"
        )
    return said


def _on_labels(report: ReplayReport, *, by_search: bool) -> list[str]:
    milli = f"{1000 * report.replay.request.wrong:g} meV/atom"
    if not report.labelled:
        return ["no candidate has a label: shares are all that can be said, and nothing of errors"]
    said = []
    if report.labelled < FEW:
        said.append(
            f"only {report.labelled} candidates have a label: take errors, recall and precision "
            "as a hint"
        )
    elif report.wrong < FEW:
        said.append(
            f"only {report.wrong} predictions were wrong by more than {milli}: take recall and "
            "precision as a hint"
        )
    if by_search:
        said.append(
            "the search chose who has a label, low energies and large spreads first: the labelled "
            "ones are no random sample of the candidates"
        )
    return said


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Give the 95 % interval of a share of which a sample is known.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927).
    """
    share, z2 = hits / count, Z95**2 / count
    middle = (share + z2 / 2) / (1 + z2)
    half = Z95 * sqrt(share * (1 - share) / count + z2 / (4 * count)) / (1 + z2)
    return max(0.0, middle - half), min(1.0, middle + half)
