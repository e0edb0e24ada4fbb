"""The table, the advice and the picture of a scan of γ; its progress."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aga.report.gamma import advice, gamma_figure, gamma_table
from aga.report.job_progress import JobProgress
from aga.report.plots import save_figure


def row(gamma: float, cells: list[tuple[float | None, float | None, float | None, int]]) -> Any:
    names = ("median", "min", "max", "reached")
    passes = {
        t: dict(zip(names, c, strict=True)) for t, c in zip(("0.5", "0.1"), cells, strict=True)
    }
    ranges = {"new_loss": [0.01, 0.04], "old_loss": None, "base_loss": [0.2, 0.2]}
    losses = {"new_loss": 0.02, "old_loss": None, "base_loss": 0.2}
    return {"gamma": gamma, "passes": passes, "ranges": ranges, **losses, "diverged": 0}


@pytest.fixture
def said() -> dict[str, Any]:
    return {
        "frames": {"base": 90, "held": 0, "new": 12},
        "optimizer": "newton",
        "passes": 40,
        "resolution": 5,
        "seeds": 3,
        "new_share": 0.6666,
        "targets": [0.5, 0.1],
        "start": {"new_loss": 1.5, "old_loss": None, "base_loss": 0.1},
        "rows": [
            row(0.0, [(5, 5, 5, 3), (20, 15, 25, 3)]),
            row(0.5, [(5, 5, 10, 3), (None, 35, None, 1)]),
            row(3.0, [(10, 5, None, 2), (None, None, None, 0)]),
        ],
        "recommended": 0.0,
        "confidence": 0.876,
        "notes": [],
    }


def lines(said: dict[str, Any]) -> list[list[str]]:
    stream = io.StringIO()
    Console(file=stream, width=150).print(gamma_table(said))
    return [line.split() for line in stream.getvalue().split("\n") if line.strip()]


def test_the_table(said: dict[str, Any]) -> None:
    title, heading, _, first, second, *finals = lines(said)
    assert " ".join(title) == (
        "12 new structures join 90, newton, 40 passes, 3 seeds: median (range)"
    )
    assert " ".join(heading) == "passes to a mean loss of γ = 0 γ = 0.5 γ = 3"
    assert " ".join(first) == "0.5 5 5 (5–10) 10 (5–…), 2 of 3"
    assert " ".join(second) == "0.1 20 (15–25) – (35–…), 1 of 3 –"
    assert [" ".join(final) for final in finals] == [
        "final loss, new structures (from 1.5)" + 3 * " 0.02 (0.01–0.04)",
        "final loss, old ones, trained on (from 0.1)" + 3 * " 0.2",
    ]


def test_the_advice(said: dict[str, Any]) -> None:
    share, best, step = advice(said)
    assert share == "when the new structures join, 67 % of the loss is theirs"
    assert best.startswith("recommended: focal_gamma: 0 (the quickest in 88 % of the resamples")
    assert step.startswith("newton is looked at every 5 passes")
    assert advice(said | {"recommended": None, "resolution": 1}) == [share]
    _, best = advice(said | {"confidence": None, "resolution": 1})
    assert best == "recommended: focal_gamma: 0"


def test_the_picture(said: dict[str, Any], tmp_path: Path) -> None:
    passes = range(0, 45, 5)
    curves = {
        gamma: [[(p, 1.0 / (1 + seed + p * (1 + gamma))) for p in passes] for seed in range(3)]
        for gamma in (0.0, 0.5, 3.0)
    }
    curves[3.0][1] = curves[3.0][1][:4]  # one that was given up
    figure = gamma_figure(said, curves, title="some")
    left, right = figure.axes
    names = left.get_legend_handles_labels()[1]
    assert names == ["γ = 0", "γ = 0.5", "γ = 3"]
    drawn = {line.get_label(): line.get_xdata() for line in left.get_lines()}
    assert list(drawn["γ = 0"]) == list(passes)
    assert list(drawn["γ = 3"]) == [0, 5, 10, 15]
    assert len(left.get_lines()) == 3 + len(said["targets"])
    assert right.get_legend_handles_labels()[1] == ["new structures", "old ones, trained on"]
    assert [tick.get_text() for tick in right.get_xticklabels()] == ["0", "0.5", "3"]
    path = save_figure(figure, tmp_path / "gamma.png")
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_progress_is_a_line_for_each_training_that_ends() -> None:
    stream = io.StringIO()
    with JobProgress({"a": 10, "b": 20}, Console(file=stream, width=99)) as progress:
        progress.tell("a", {"passes": 5, "loss": 0.5})
        progress.tell("b", {"passes": 20, "loss": 0.25})
        progress.tell("a", {"passes": 10, "loss": 0.125})
    assert stream.getvalue() == "1 of 2  b: loss 0.25\n2 of 2  a: loss 0.125\n"


def test_progress_is_a_bar_on_a_terminal() -> None:
    stream = io.StringIO()
    screen = Console(file=stream, width=120, force_terminal=True, color_system=None)
    with JobProgress({"a": 10, "b": 20}, screen) as progress:
        progress.tell("b", {"passes": 20, "loss": 0.25})
    assert "20/30 passes, b: loss 0.25" in stream.getvalue()
