"""A scan of γ as a table, as sentences and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from rich.box import SIMPLE_HEAD
from rich.table import Table

from aga.report.plots import BLUE, GREEN, INK, ORANGE, SKY

__all__ = ["advice", "gamma_figure", "gamma_table"]

Curve = Sequence[tuple[int, float]]
"""Passes and loss, look by look."""

_FINAL = {
    "new_loss": "new structures",
    "old_loss": "old ones, held out",
    "base_loss": "old ones, trained on",
}

_COLOURS = (INK, BLUE, SKY, GREEN, "#E69F00", ORANGE, "#CC79A7")
"""Of γ in rising order: black is the smallest, ordinary training where 0 is tried."""

_DASHES = ("solid", (0, (5, 1.5)), (0, (1.2, 1.2)))
"""Tell γ apart where there are more than colours."""


def gamma_table(said: Mapping[str, Any]) -> Table:
    """Give passes to each target, and the final losses, of each γ.

    Parameters
    ----------
    said
        The document of the scan (``targets``, ``rows``, ``start``, ``seeds``, …).
    """
    rows = said["rows"]
    table = Table(title_justify="left", box=SIMPLE_HEAD, title_style="bold", title=_title(said))
    table.add_column("passes to a mean loss of")
    for row in rows:
        best = row["gamma"] == said["recommended"]
        table.add_column(f"γ = {row['gamma']:g}", justify="right", style="bold" if best else "")
    for target in said["targets"]:
        cells = [_passes(row["passes"][f"{target:g}"], said["seeds"]) for row in rows]
        table.add_row(f"{target:g}", *cells)
    table.add_section()
    for name, what in _FINAL.items():
        if rows and rows[0][name] is not None:
            begun = f" (from {said['start'][name]:.3g})"
            table.add_row(f"final loss, {what}{begun}", *(_loss(row, name) for row in rows))
    return table


def _title(said: Mapping[str, Any]) -> str:
    frames = said["frames"]
    seeds = f"{said['seeds']} seed{'s' * (said['seeds'] != 1)}"
    return (
        f"{frames['new']} new structures join {frames['base']}, {said['optimizer']}, "
        f"{said['passes']} passes, {seeds}: median (range)"
    )


def _passes(cell: Mapping[str, Any], seeds: int) -> str:
    """Write a median with its range; a dash where fewer than half of the seeds arrive."""
    median, low, high, reached = (cell[key] for key in ("median", "min", "max", "reached"))
    if not reached:
        return "–"
    text = "–" if median is None else f"{median:g}"
    if reached < seeds:
        return f"{text} ({low:g}–…), {reached} of {seeds}"
    return text if low == high else f"{text} ({low:g}–{high:g})"


def _loss(row: Mapping[str, Any], name: str) -> str:
    value, ends = row[name], row["ranges"][name]
    if value is None:
        return "–"
    low, high = (f"{end:.3g}" for end in ends)
    return f"{value:.3g}" if low == high else f"{value:.3g} ({low}–{high})"


def advice(said: Mapping[str, Any]) -> list[str]:
    """Write what the scan recommends, and how counted."""
    share = f"{100 * said['new_share']:.0f} %"
    lines = [f"when the new structures join, {share} of the loss is theirs"]
    if said["recommended"] is not None:
        sure = said["confidence"]
        told = (
            f" (the quickest in {100 * sure:.0f} % of the resamples of the seeds)"
            if sure is not None
            else ""
        )
        lines.append(f"recommended: focal_gamma: {said['recommended']:g}{told}")
    step = said["resolution"]
    if step > 1:
        lines.append(
            f"{said['optimizer']} is looked at every {step} passes: that is as fine as passes can "
            "be counted"
        )
    return lines


def gamma_figure(
    said: Mapping[str, Any], curves: Mapping[float, Sequence[Curve]], *, title: str
) -> Figure:
    """Draw the loss against passes for each γ, and the final losses of new and old structures.

    Parameters
    ----------
    said
        The document of the scan.
    curves
        For each γ one curve per seed, all at the same passes as far as they go.
    title
        What was scanned.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see :func:`aga.report.plots.save_figure`.
    """
    figure = Figure(figsize=(11.0, 4.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    for target in said["targets"]:
        left.axhline(target, color="#BBBBBB", linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    for place, gamma in enumerate(sorted(curves)):
        _draw_curves(left, curves[gamma], gamma, place)
    left.set_xlabel("passes after the new structures joined", fontsize=10, color=INK)
    left.set_ylabel("mean loss of a frame", fontsize=10, color=INK)
    left.set_title("all structures; dotted: targets", loc="left", fontsize=10.5, color=INK)
    left.set_yscale("log")
    _draw_finals(right, said)
    for axes in (left, right):
        _dress(axes)
    return figure


def _draw_curves(axes: Any, curves: Sequence[Curve], gamma: float, place: int) -> None:  # noqa: ANN401 - matplotlib has no types
    """Draw the median over the seeds, and their range, as far as all of them went."""
    shortest = min(len(curve) for curve in curves)
    passes = [point[0] for point in curves[0][:shortest]]
    losses = np.array([[loss for _, loss in curve[:shortest]] for curve in curves])
    colour, dashes = _look(place)
    axes.fill_between(
        passes, losses.min(axis=0), losses.max(axis=0), color=colour, alpha=0.12, linewidth=0
    )
    axes.plot(
        passes, np.median(losses, axis=0), color=colour, linestyle=dashes, linewidth=1.7, zorder=3,
        label=f"γ = {gamma:g}",
    )  # fmt: skip


def _look(place: int) -> tuple[str, Any]:
    lap = place // len(_COLOURS) % len(_DASHES)
    return _COLOURS[place % len(_COLOURS)], _DASHES[lap]


def _draw_finals(axes: Any, said: Mapping[str, Any]) -> None:  # noqa: ANN401 - matplotlib has no types
    """Draw medians and ranges of the final losses, γ by γ."""
    rows = said["rows"]
    for offset, (name, colour, marker) in enumerate(
        (("new_loss", ORANGE, "o"), ("old_loss", BLUE, "s"), ("base_loss", SKY, "^"))
    ):
        known = [(x, row) for x, row in enumerate(rows) if row[name] is not None]
        if not known:
            continue
        at = np.array([x for x, _ in known]) + 0.16 * (offset - 1)
        middle = np.array([row[name] for _, row in known])
        ends = np.array([row["ranges"][name] for _, row in known]).T
        axes.errorbar(
            at, middle, yerr=np.abs(ends - middle), fmt=marker, color=colour, markersize=5,
            elinewidth=1.2, label=_FINAL[name],
        )  # fmt: skip
    axes.set_xticks(range(len(rows)), [f"{row['gamma']:g}" for row in rows])
    axes.set_xlabel("γ", fontsize=10, color=INK)
    axes.set_yscale("log")
    axes.set_title("mean loss at the end, with the range", loc="left", fontsize=10.5, color=INK)


def _dress(axes: Any) -> None:  # noqa: ANN401 - matplotlib has no types
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(colors=INK, labelsize=9, which="both")
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    count = len(axes.get_legend_handles_labels()[0])
    if count:  # below the picture: curves and points may be anywhere in it
        axes.legend(
            frameon=False, fontsize=9, labelcolor=INK, ncols=min(count, 7), loc="upper center",
            bbox_to_anchor=(0.5, -0.13), columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip
