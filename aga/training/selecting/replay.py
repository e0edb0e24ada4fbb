"""What a threshold would have selected: a dry run over the candidates of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from aga.errors import DataError, InputError
from aga.structure.candidate import FloatArray
from aga.training.selecting.round_numbers import round_grid
from aga.training.selecting.selection import (
    CandidateTable,
    Mask,
    select,
    values_of,
    within_bounds,
)
from aga.training.selecting.structure_descriptors import novelties
from aga.training.selecting.thresholds import Quantity, Thresholds, with_lower

__all__ = ["Iteration", "Replay", "ReplayReport", "Request", "Row", "replay"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Iteration:
    """Candidates that one committee, of its own time, had to judge.

    Parameters
    ----------
    number
        The iteration.
    candidates
        With the predictions of that committee.
    known
        (K, D) descriptors of what that committee was trained on, or None.
    lowest
        Enthalpy in eV/atom at which the energy window begins, as in
        :func:`aga.training.selecting.selection.select`.
    """

    number: int
    candidates: CandidateTable
    known: FloatArray | None = None
    lowest: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a dry run is asked.

    Parameters
    ----------
    quantity
        Whose lower bound is tried.
    grid
        Lower bounds in eV/atom, eV/Å or standard deviations; round numbers where empty.
    thresholds
        All other bounds.
    wrong
        Error in eV/atom above which a prediction counts as wrong.

    Raises
    ------
    aga.errors.InputError
        An error that is not above zero.
    """

    quantity: Quantity = "energy"
    grid: tuple[float, ...] = ()
    thresholds: Thresholds = field(default_factory=Thresholds)
    wrong: float = 0.02

    def __post_init__(self) -> None:
        if not 0 < self.wrong < inf:
            raise InputError(f"an error of {self.wrong} eV/atom is no bound", remedy="above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What one lower bound would have selected.

    Parameters
    ----------
    threshold
        The bound; of an adaptive one its quantile.
    selected, share
        How many candidates, and of all.
    per_iteration
        How many of each iteration.
    labelled
        How many of the selected ones have a label.
    error_mae, error_rmse
        eV/atom, mean absolute and root mean square error that the energies of these had; None
        without labels.
    others_mae, others_rmse
        The same of the labelled ones that would not have been selected.
    missed
        Labelled ones that were wrong and would not have been selected.
    recall
        Share of the wrong ones that would have been selected; None where none was wrong.
    precision
        Share of the selected labelled ones that were wrong; None without such.
    """

    threshold: float
    selected: int
    share: float
    per_iteration: tuple[int, ...]
    labelled: int
    error_mae: float | None
    error_rmse: float | None
    others_mae: float | None
    others_rmse: float | None
    missed: int
    recall: float | None
    precision: float | None


class Replay:
    """The stored candidates of a search, ready to be selected from again and again.

    ``values`` (N,) are those of the quantity of all candidates, iteration by iteration;
    ``errors`` (N,) eV/atom, prediction at that time minus label, NaN without label; ``open``
    (N,) whom all bounds let through but the lower one and the number.

    Parameters
    ----------
    iterations
        In their order.
    labels
        Energy in eV/atom by the reference method of each labelled candidate, by name.
    request
        What is asked.

    Raises
    ------
    aga.errors.DataError
        There is no candidate, or novelty is asked for and there are no descriptors or nothing
        is known.
    """

    def __init__(
        self, iterations: Sequence[Iteration], labels: Mapping[str, float], request: Request
    ) -> None:
        filled = [_measured(i, request) for i in iterations if len(i.candidates)]
        if not filled:
            raise DataError("there is no candidate to select from")
        self.iterations, self.request = filled, request
        tables = [i.candidates for i in filled]
        self.values = np.concatenate(
            [values_of(i.candidates, request.quantity, i.known) for i in filled]
        )
        self.errors = np.concatenate([_errors(table, labels) for table in tables])
        self.open = np.concatenate(
            [
                within_bounds(
                    i.candidates, request.thresholds, request.quantity, i.known, lowest=i.lowest
                )
                for i in filled
            ]
        )

    @property
    def labelled(self) -> Mask:
        """(N,) who has a label."""
        labelled: Mask = np.isfinite(self.errors)
        return labelled

    @property
    def wrong(self) -> Mask:
        """(N,) whose label shows that the prediction was wrong."""
        wrong: Mask = self.labelled & (np.abs(self.errors) > self.request.wrong)
        return wrong

    def row(self, threshold: float, thresholds: Callable[[Iteration], Thresholds]) -> Row:
        """Tell what the thresholds of each iteration would have selected."""
        masks = [
            select(i.candidates, thresholds(i), i.known, lowest=i.lowest).mask
            for i in self.iterations
        ]
        mask = np.concatenate(masks)
        selected, others = self.labelled & mask, self.labelled & ~mask
        wrong, caught = int(self.wrong.sum()), int((self.wrong & mask).sum())
        labelled = int(selected.sum())
        return Row(
            threshold=threshold,
            selected=int(mask.sum()),
            share=float(mask.mean()),
            per_iteration=tuple(int(one.sum()) for one in masks),
            labelled=labelled,
            error_mae=_mae(self.errors[selected]),
            error_rmse=_rmse(self.errors[selected]),
            others_mae=_mae(self.errors[others]),
            others_rmse=_rmse(self.errors[others]),
            missed=wrong - caught,
            recall=caught / wrong if wrong else None,
            precision=caught / labelled if labelled else None,
        )

    def fixed(self, bound: float) -> Row:
        """Tell what one lower bound for all iterations would have selected."""
        thresholds = with_lower(self.request.thresholds, self.request.quantity, bound)
        return self.row(bound, lambda _: thresholds)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayReport:
    """The dry run of a grid of lower bounds.

    ``candidates``, ``labelled`` and ``wrong`` count; ``rows`` in the order of their bounds.
    """

    replay: Replay
    candidates: int
    labelled: int
    wrong: int
    rows: tuple[Row, ...]


def replay(
    iterations: Sequence[Iteration], labels: Mapping[str, float], request: Request
) -> ReplayReport:
    """Go through the candidates of a search again, with other lower bounds.

    Each candidate is judged by the predictions of the committee of its own time, iteration by
    iteration, as the search would have done. No later knowledge enters but the labels that tell
    how wrong those predictions were.

    Parameters
    ----------
    iterations
        In their order.
    labels
        Energy in eV/atom by the reference method of each labelled candidate, by name; of the
        very geometry that was predicted.
    request
        What is asked.

    Raises
    ------
    aga.errors.DataError
        There is no candidate, or novelty is asked for and there are no descriptors or nothing
        is known.
    aga.errors.InputError
        A lower bound of the grid is above the upper one.
    """
    again = Replay(iterations, labels, request)
    grid = request.grid or round_grid(again.values[again.open])
    return ReplayReport(
        replay=again,
        candidates=len(again.values),
        labelled=int(again.labelled.sum()),
        wrong=int(again.wrong.sum()),
        rows=tuple(again.fixed(bound) for bound in sorted(set(grid))),
    )


def _measured(iteration: Iteration, request: Request) -> Iteration:
    """Compute once how new the candidates are, where that is asked for."""
    table, rules, known = iteration.candidates, request.thresholds, iteration.known
    needed = request.quantity == "novelty" or rules.novelty_min is not None
    if not needed and not rules.diversity:
        return iteration
    if needed and (known is None or not len(known)):
        raise DataError(
            f"iteration {iteration.number} knows no structure that another could be new to",
            remedy="name those that the potential was trained on with --known",
        )
    points = table.described()
    novelty = novelties(points, np.zeros((0, points.shape[1])) if known is None else known)
    return replace(iteration, candidates=replace(table, novelty=novelty))


def _errors(table: CandidateTable, labels: Mapping[str, float]) -> FloatArray:
    true = np.array([labels.get(name, np.nan) for name in table.names], dtype=np.float64)
    return table.energy - true


def _mae(errors: FloatArray) -> float | None:
    return float(np.abs(errors).mean()) if len(errors) else None


def _rmse(errors: FloatArray) -> float | None:
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else None
