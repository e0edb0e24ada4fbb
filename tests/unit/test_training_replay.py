"""The dry run of thresholds, on two iterations worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from aga.errors import DataError, InputError
from aga.training.selecting.replay import Iteration, ReplayReport, Request, replay
from aga.training.selecting.round_numbers import round_down, round_grid
from aga.training.selecting.selection import CandidateTable, select
from aga.training.selecting.suggestion import (
    Target,
    notes,
    spread_and_error,
    suggest_adaptive,
    suggest_fixed,
    wilson,
)
from aga.training.selecting.thresholds import Thresholds

# name → spread (eV/atom), predicted energy and label (eV/atom; None: no label)
FIRST = {
    "g001-000": (0.010, -4.00, None),
    "g001-001": (0.040, -4.10, -4.11),
    "g001-002": (0.080, -4.05, -4.15),
    "g001-003": (0.200, -4.20, -4.50),
    "g001-004": (3.000, -9.00, -4.00),
}
SECOND = {
    "g002-000": (0.002, -4.30, -4.302),
    "g002-001": (0.004, -4.40, None),
    "g002-002": (0.006, -4.20, -4.25),
    "g001-003.v001": (0.020, -4.50, -4.515),
    "g002-004": (0.030, -3.00, None),
}
LABELS = {
    name: label
    for name, (_, _, label) in (FIRST | SECOND).items()
    if label is not None
}  # fmt: skip


def iteration(number: int, content: dict[str, tuple[float, float, float | None]]) -> Iteration:
    spread, energy = np.array([[row[0], row[1]] for row in content.values()]).T
    table = CandidateTable(
        names=tuple(content),
        energy=energy,
        enthalpy=energy,
        energy_spread=spread,
        force_spread=2 * spread,
        descriptors=np.arange(float(len(content)))[:, None],
    )
    return Iteration(number=number, candidates=table, known=np.array([[-1.0], [1.0]]))


BOTH = [iteration(1, FIRST), iteration(2, SECOND)]


def run(labels: dict[str, float] | None = None, **request: Any) -> ReplayReport:
    return replay(BOTH, LABELS if labels is None else labels, Request(**request))


def test_a_row_by_hand() -> None:
    (row,) = run(grid=(0.03,)).rows
    assert (row.selected, row.share, row.per_iteration) == (5, 0.5, (4, 1))
    # labelled errors: 0.01, 0.10, 0.30 and −5 selected; 0.002, 0.05 and 0.015 not
    assert row.labelled == 4
    assert row.error_mae == pytest.approx((0.01 + 0.10 + 0.30 + 5.0) / 4)
    assert row.error_rmse == pytest.approx(np.sqrt((0.01**2 + 0.1**2 + 0.3**2 + 25) / 4))
    assert row.others_mae == pytest.approx((0.002 + 0.05 + 0.015) / 3)
    assert row.others_rmse == pytest.approx(np.sqrt((0.002**2 + 0.05**2 + 0.015**2) / 3))
    # wrong by more than 20 meV/atom: 0.10, 0.30, −5 and, missed, 0.05
    assert (row.missed, row.recall, row.precision) == (1, 0.75, 0.75)


def test_the_other_bounds_hold_for_every_row() -> None:
    rules = Thresholds(energy_spread_max=1.0, energy_window=0.5)
    report = run(grid=(0.003, 0.0), thresholds=rules)
    assert [row.threshold for row in report.rows] == [0.0, 0.003]
    assert [row.per_iteration for row in report.rows] == [(4, 4), (4, 3)]
    assert (report.candidates, report.labelled, report.wrong) == (10, 7, 4)
    assert report.rows[0].recall == 0.75  # the one above the upper bound counts as missed
    fewer = run(grid=(0.0,), thresholds=Thresholds(number=2))
    assert fewer.rows[0].per_iteration == (2, 2)
    told = run(grid=(0.0,), wrong=0.2)
    assert (told.wrong, told.rows[0].precision) == (2, 2 / 7)


@pytest.mark.parametrize("quantity", ["energy", "force", "novelty"])
def test_a_row_is_what_select_says(quantity: Any) -> None:
    report = run(grid=(0.05, 3.0), quantity=quantity)
    key = f"{quantity}_min" if quantity == "novelty" else f"{quantity}_spread_min"
    for row in report.rows:
        bound: dict[str, Any] = {key: row.threshold}
        rules = Thresholds(**bound)
        counts = [select(i.candidates, rules, i.known).count("selected") for i in BOTH]
        assert row.per_iteration == tuple(counts)
    assert report.rows[0].selected > report.rows[1].selected > 0


def test_without_labels_shares_are_left() -> None:
    report = run({}, grid=(0.03,))
    (row,) = report.rows
    assert (row.selected, row.labelled) == (5, 0)
    assert [row.error_mae, row.others_mae, row.recall, row.precision] == [None] * 4
    assert spread_and_error(report.replay) is None
    fixed = suggest_fixed(report.replay, Target(fraction=0.3))
    assert fixed is not None
    assert fixed.row.selected == 3
    assert suggest_fixed(report.replay, Target(recall=0.5)) is None
    assert suggest_adaptive(report.replay, Target(recall=0.5)) is None
    assert notes(report, fixed, by_search=True) == [
        "no candidate has a label: shares are all that can be said, and nothing of errors"
    ]


def test_suggestions_for_a_share() -> None:
    rules = Thresholds(energy_spread_max=1.0)
    again = run(thresholds=rules).replay
    fixed = suggest_fixed(again, Target(fraction=0.3))
    assert fixed is not None
    assert (fixed.row.threshold, fixed.row.selected) == (0.04, 3)  # 0.2, 0.08, 0.04
    assert fixed.bounds == (0.04, 0.04)
    adaptive = suggest_adaptive(again, Target(fraction=0.3))
    assert adaptive is not None
    assert adaptive.row.threshold == pytest.approx(1 - 3 / 9, abs=1e-3)
    assert adaptive.row.per_iteration == (2, 2)
    # quantile 0.666 of 10, 40, 80, 200 and of 2, 4, 6, 20, 30 meV/atom
    assert adaptive.bounds == pytest.approx([0.07992, 0.015296])
    every = suggest_fixed(again, Target(fraction=1.0))
    assert every is not None
    assert (every.row.threshold, every.row.selected) == (0.0, 9)


def test_suggestions_for_the_wrong_ones() -> None:
    again = run(thresholds=Thresholds(energy_spread_max=1.0)).replay
    half = suggest_fixed(again, Target(recall=0.5))  # of four: at 0.2 and 0.08
    most = suggest_fixed(again, Target(recall=0.75))  # at 0.006 too
    assert half is not None
    assert most is not None
    assert (half.row.threshold, half.row.recall) == (0.08, 0.5)
    assert (most.row.threshold, most.row.recall) == (0.006, 0.75)
    assert suggest_fixed(again, Target(recall=0.8)) is None  # the fourth is unphysical
    adaptive = suggest_adaptive(again, Target(recall=0.75))
    assert adaptive is not None
    assert (adaptive.row.threshold, adaptive.row.recall) == (0.5, 0.75)  # third of five
    assert adaptive.bounds == pytest.approx([0.06, 0.006])
    assert adaptive.row.selected == 5


def test_notes_say_what_stands_behind_the_numbers() -> None:
    report = run(thresholds=Thresholds(energy_spread_max=1.0))
    fixed = suggest_fixed(report.replay, Target(recall=0.5))
    text = "\n".join(notes(report, fixed, by_search=True))
    assert "only 7 candidates have a label" in text
    assert "no random sample" in text
    assert "1 of 10 candidates are outside the other bounds" in text
    assert "catches 2 of 4 wrong ones: were these a random sample, 15 to 85 %" in text
    own = notes(report, None, by_search=False)
    assert not any("random sample" in line for line in own)
    assert any("no lower bound reaches" in line for line in own)


def test_a_spread_that_tells_nothing_is_said_to() -> None:
    count = 40
    names = tuple(f"c{k}" for k in range(count))
    spread = np.linspace(0.01, 0.1, count)
    table = CandidateTable(
        names=names,
        energy=np.zeros(count),
        enthalpy=np.zeros(count),
        energy_spread=spread,
        force_spread=spread,
    )
    labels = {name: (1 if k % 2 else -1) * (0.2 - spread[k]) for k, name in enumerate(names)}
    report = replay([Iteration(number=0, candidates=table)], labels, Request())
    assert spread_and_error(report.replay) == pytest.approx(-1.0)
    (line,) = notes(report, None, by_search=False)[:1]
    assert "no lower bound" in line
    assert "hardly tells" in notes(report, None, by_search=False)[-1]


def test_wilson() -> None:
    low, high = wilson(8, 10)  # Wilson score interval without continuity correction
    assert (low, high) == (pytest.approx(0.490, abs=5e-4), pytest.approx(0.943, abs=5e-4))
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0


def test_round_numbers() -> None:
    values = np.array([0.004, 0.011, 0.02, 0.25])  # a twentieth: below 0.00505
    assert round_grid(values) == (0.0, 0.005, 0.007, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.2)
    wide = round_grid(np.geomspace(1e-9, 3.0, 500))
    assert wide == (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    assert round_grid(np.array([0.004])) == (0.0, 0.003)
    assert round_grid(np.zeros(2)) == (0.0,)
    assert [round_down(x) for x in (0.0679, 0.002, 1.0, 123.0, 0.0)] == [0.067, 0.002, 1, 120, 0]


def test_nonsense_is_refused() -> None:
    with pytest.raises(DataError, match="no candidate"):
        replay([], {}, Request())
    with pytest.raises(InputError, match="fraction of 0"):
        Target(fraction=0.0)
    with pytest.raises(InputError, match=r"recall of 1\.5"):
        Target(recall=1.5)
    with pytest.raises(InputError, match="is no bound"):
        Request(wrong=0.0)
    table = iteration(3, SECOND).candidates
    with pytest.raises(DataError, match="iteration 3 knows no structure"):
        replay([Iteration(number=3, candidates=table)], {}, Request(quantity="novelty"))
    with pytest.raises(InputError, match="is above"):
        run(grid=(2.0,), thresholds=Thresholds(energy_spread_max=1.0))
