"""The parity plot: what a potential says against what it should say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from aga.report.plots import BLUE, GREEN, INK, ORANGE, SKY
from aga.report.rows import unicode_minus
from aga.structure.candidate import FloatArray

__all__ = ["Panel", "parity_figure"]

COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", SKY, INK)
"""Of the series: Okabe and Ito's, without the yellow that vanishes on white."""

OTHERS = "#AAAAAA"
"""Colour of the series that are drawn as one, where there are more than colours."""

DENSE = 3000
"""Points above which one series is drawn as a map of their density."""

_SHADES = LinearSegmentedColormap.from_list("density", ["#D3E4F1", SKY, BLUE, "#00304D"])

_NEAR = 0.25
"""Distance from the references, in parts of their range, up to which all predictions are shown."""

_TAIL = 0.01
"""Share of the predictions at either end that are left away beyond it."""

Series = tuple[FloatArray, FloatArray]
"""Reference and predicted values (n,) of one split or group."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Panel:
    """One quantity.

    ``series``, by name, in ``unit``; ``said`` the errors of all of them together (``mae``,
    ``rmse``, ``r2``) in ``error_unit``.
    """

    quantity: str
    unit: str
    series: Mapping[str, Series]
    said: Mapping[str, Any]
    error_unit: str


def parity_figure(panels: Sequence[Panel], *, title: str) -> Figure:
    """Draw predicted against reference values, one panel for each quantity.

    A perfect potential has all points on the diagonal. Many points of a single series are drawn
    as their density on a logarithmic scale, several series in colours, few points on top of many.
    Predictions far off the range of all others are counted, not shown.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see :func:`aga.report.plots.save_figure`.
    """
    several = any(len(panel.series) > 1 for panel in panels)
    size = (4.6 * len(panels), 5.6 if several else 5.2)  # a row more for the legend
    figure = Figure(figsize=size, dpi=160, layout=ConstrainedLayoutEngine(h_pad=0.1, w_pad=0.1))
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    colours = _colours(panels)
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number)
        drawn = replace(panel, series=_gathered(panel.series, colours))
        low, high = _limits(drawn)
        axes.plot(
            [low, high], [low, high], color="#888888", linewidth=0.9, linestyle=(0, (5, 3)),
            zorder=1,
        )  # fmt: skip
        _points(axes, drawn, (low, high), colours)
        _dress(axes, drawn, (low, high))
    _legend(figure)
    return figure


def _colours(panels: Sequence[Panel]) -> dict[str, str]:
    """Give each series its colour in all panels; the smallest get none where there are too many."""
    sizes: Counter[str] = Counter()
    for panel in panels:
        sizes.update({name: len(true) for name, (true, _) in panel.series.items()})
    coloured = len(COLOURS) - (len(sizes) > len(COLOURS))
    kept = {name for name, _ in sizes.most_common(coloured)}
    return dict(zip((name for name in sizes if name in kept), COLOURS, strict=False))


def _gathered(series: Mapping[str, Series], colours: Mapping[str, str]) -> dict[str, Series]:
    """Put the series without a colour together."""
    filled = {name: one for name, one in series.items() if len(one[0])}
    kept = {name: one for name, one in filled.items() if name in colours}
    rest = [one for name, one in filled.items() if name not in colours]
    if not rest:
        return kept
    reference, predicted = (np.concatenate(parts) for parts in zip(*rest, strict=True))
    return kept | {"others": (reference, predicted)}


def _limits(panel: Panel) -> tuple[float, float]:
    """Give the ends of both axes.

    All references fit, and the predictions as far as they are near them or are many.
    """
    reference = np.concatenate([true for true, _ in panel.series.values()])
    predicted = np.concatenate([said for _, said in panel.series.values()])
    low, high = float(reference.min()), float(reference.max())
    predicted = predicted[np.isfinite(predicted)]
    if len(predicted):
        near = _NEAR * (high - low)
        least, most = float(predicted.min()), float(predicted.max())
        low = min(low, _quantile(predicted, _TAIL), max(least, low - near))
        high = max(high, -_quantile(-predicted, _TAIL), min(most, high + near))
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _quantile(values: FloatArray, share: float) -> float:
    return float(np.quantile(values, share, method="higher"))


def _points(
    axes: Any,  # noqa: ANN401 - matplotlib has no types
    panel: Panel,
    ends: tuple[float, float],
    colours: Mapping[str, str],
) -> None:
    count = sum(len(true) for true, _ in panel.series.values())
    if len(panel.series) == 1 and count > DENSE:
        ((true, said),) = panel.series.values()
        axes.hexbin(
            true, said, gridsize=120, extent=(*ends, *ends), bins="log", mincnt=1, cmap=_SHADES,
            linewidths=0.1, zorder=2, rasterized=True,
        )  # fmt: skip
        return
    size, alpha = _mark(count)
    order = sorted(panel.series, key=lambda name: -len(panel.series[name][0]))
    for name in panel.series:  # the smallest above: they would be lost below
        true, said = panel.series[name]
        axes.scatter(
            true, said, s=size, color=colours.get(name, OTHERS), alpha=alpha, linewidth=0,
            zorder=2 + order.index(name) / 100, rasterized=count > DENSE, label=name,
        )  # fmt: skip


def _mark(count: int) -> tuple[float, float]:
    """Give area and opacity of the points: the more, the smaller and fainter."""
    if count <= 300:
        return 22.0, 0.65
    return (11.0, 0.45) if count <= DENSE else (5.0, 0.28)


def _dress(axes: Any, panel: Panel, ends: tuple[float, float]) -> None:  # noqa: ANN401 - matplotlib has no types
    count = sum(len(true) for true, _ in panel.series.values())
    numbers = f"{count:,} values".replace(",", "\u2009")
    axes.set_title(f"{panel.quantity}, {numbers}", loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel(f"reference ({panel.unit})", fontsize=10, color=INK)
    axes.set_ylabel(f"predicted ({panel.unit})", fontsize=10, color=INK)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):  # equal ticks, and no offset to be added in mind
        axis.set_major_locator(MaxNLocator(nbins=5))
        axis.set_major_formatter(ScalarFormatter(useOffset=False))
    _tell(axes, panel, ends)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(color="#E9E9E9", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def _tell(axes: Any, panel: Panel, ends: tuple[float, float]) -> None:  # noqa: ANN401 - matplotlib has no types
    """Write the errors into the corner that a sensible potential leaves empty."""
    said, r2 = panel.said, panel.said["r2"]
    lines = [
        f"MAE {said['mae']:.3g} {panel.error_unit}",
        f"RMSE {said['rmse']:.3g} {panel.error_unit}",
        *([] if r2 is None else [f"R² {unicode_minus(f'{r2:.4f}')}"]),
    ]
    axes.text(
        0.04, 0.965, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=9.5,
        color=INK, linespacing=1.45, zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2.5},
    )  # fmt: skip
    outside = sum(
        int((~((predicted >= ends[0]) & (predicted <= ends[1]))).sum())
        for _, predicted in panel.series.values()
    )
    if outside:
        axes.text(
            0.97, 0.03, f"{outside} outside", transform=axes.transAxes, ha="right", va="bottom",
            fontsize=8.5, color="#777777", zorder=5,
        )  # fmt: skip


def _legend(figure: Figure) -> None:
    """Name the series once for all panels, where there is more than one."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    if len(named) < 2:
        return
    legend: Any = figure.legend(
        named.values(), named.keys(), frameon=False, fontsize=9.5, loc="outside lower center",
        ncols=min(len(named), 7), labelcolor=INK, handletextpad=0.2,
    )  # fmt: skip
    for handle in legend.legend_handles:
        handle.set_alpha(1.0)
        handle.set_sizes([30.0])
