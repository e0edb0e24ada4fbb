"""The committee's spread against its actual errors: picture and table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from rich.box import SIMPLE_HEAD
from rich.table import Table

from aga.report.plots import BLUE, INK, ORANGE, SKY
from aga.structure.candidate import FloatArray

__all__ = ["Panel", "calibration_figure", "calibration_table"]

_SHOWN = 4000
"""Points drawn of one quantity; more would only be a blot."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One quantity: spreads and absolute errors (n,), and its calibration.

    ``said`` is the document of the calibration (``scale``, ``rank_correlation``, ``groups``, …);
    ``factor`` turns its unit into ``unit``, in which it is shown.
    """

    quantity: str
    unit: str
    factor: float
    spread: FloatArray
    error: FloatArray
    said: Mapping[str, Any]


def calibration_figure(panels: Sequence[Panel], *, title: str) -> Figure:
    """Draw actual error against predicted spread, one panel for each quantity.

    Single errors as points, root mean squares of groups of equal size as larger marks; the
    dashed diagonal is a spread that can be taken at its word, the line in colour the spread
    times its most likely factor.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see :func:`aga.report.plots.save_figure`.
    """
    figure = Figure(figsize=(5.2 * len(panels), 5.0), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number)
        _points(axes, panel)
        _lines(axes, panel)
        _dress(axes, panel)
    return figure


def _points(axes: Any, panel: Panel) -> None:  # noqa: ANN401 - matplotlib has no types
    spread, error = panel.factor * panel.spread, panel.factor * np.abs(panel.error)
    drawn = np.flatnonzero((spread > panel.factor * panel.said["floor"]) & (error > 0))
    drawn = drawn[:: 1 + len(drawn) // _SHOWN]
    few = len(drawn) < 600
    axes.scatter(
        spread[drawn], error[drawn], s=14 if few else 5, color=SKY, alpha=0.6 if few else 0.3,
        linewidth=0, zorder=1, rasterized=True, label="single errors",
    )  # fmt: skip
    groups = panel.factor * _groups(panel)
    axes.plot(
        groups[:, 0], groups[:, 1], color=BLUE, linewidth=1.4, marker="o", markersize=6,
        markeredgecolor="white", zorder=4, label="root mean square of a group",
    )  # fmt: skip
    seen = error[drawn] if len(drawn) else groups[:, 1]
    low = min(spread[drawn].min(initial=np.inf), groups.min(), float(np.quantile(seen, 0.05)))
    high = max(spread[drawn].max(initial=0.0), groups.max(), float(np.quantile(seen, 0.998)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low / 1.5, high * 1.5)
    axes.set_ylim(low / 1.5, high * 1.5)


def _groups(panel: Panel) -> FloatArray:
    """Give (K, 2) spreads and errors of the groups in which both are above zero."""
    rows = np.array([[group["spread"], group["rms_error"]] for group in panel.said["groups"]])
    return rows[(rows > 0).all(axis=1)]


def _lines(axes: Any, panel: Panel) -> None:  # noqa: ANN401 - matplotlib has no types
    ends, scale = np.array(axes.get_xlim()), float(panel.said["scale"])
    axes.plot(
        ends, ends, color=INK, linewidth=1.0, linestyle=(0, (5, 3)), zorder=2,
        label="error = spread",
    )  # fmt: skip
    if scale > 0:
        axes.plot(
            ends, scale * ends, color=ORANGE, linewidth=1.6, zorder=3,
            label=f"error = {scale:.2g} × spread (most likely)",
        )  # fmt: skip


def _dress(axes: Any, panel: Panel) -> None:  # noqa: ANN401 - matplotlib has no types
    rank = panel.said["rank_correlation"]
    told = "" if rank is None else f", rank correlation {rank:.2f}"
    axes.set_title(
        f"{panel.quantity}: {panel.said['count']} errors{told}", loc="left", fontsize=10, color=INK
    )
    axes.set_xlabel(f"predicted spread ({panel.unit})", fontsize=10, color=INK)
    axes.set_ylabel(f"actual error ({panel.unit})", fontsize=10, color=INK)
    axes.set_aspect("equal")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_formatter(plain)
    axes.yaxis.set_major_formatter(plain)
    axes.tick_params(colors=INK, labelsize=9, which="both")
    axes.grid(color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    axes.legend(frameon=False, fontsize=8.5, loc="upper left")


def calibration_table(panel: Panel) -> Table:
    """Give the groups of one quantity: spread, error, and how many errors."""
    said = panel.said
    rank = said["rank_correlation"]
    table = Table(title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    table.title = f"{panel.quantity} ({panel.unit})"
    for name in ("spread", "actual error", "error/spread", "errors"):
        table.add_column(name, justify="right", no_wrap=True)
    for group in said["groups"]:
        spread, error = group["spread"], group["rms_error"]
        table.add_row(
            f"{panel.factor * spread:.4g}",
            f"{panel.factor * error:.4g}",
            f"{error / spread:.2f}" if spread > 0 else "–",
            str(group["count"]),
        )
    silent = said["silent"]
    if silent["count"]:
        floor, error = panel.factor * said["floor"], panel.factor * silent["rms_error"]
        table.add_row(f"below {floor:.2g}", f"{error:.4g}", "–", str(silent["count"]))
    shares = "\n".join(
        f"within {row['sigma']:g} σ: {100 * row['as_predicted']:.0f} %, scaled "
        f"{100 * row['scaled']:.0f} % (normal: {100 * row['expected']:.0f} %)"
        for row in said["within"]
    )
    told = "–" if rank is None else f"{rank:.2f}"
    table.caption_justify = "left"
    table.caption = f"most likely factor {said['scale']:.3g}, rank correlation {told}\n{shares}"
    return table
