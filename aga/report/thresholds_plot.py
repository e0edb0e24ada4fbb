"""A dry run of thresholds as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from aga.report.plots import BLUE, GREEN, INK, ORANGE, SKY
from aga.report.thresholds import SHOWN
from aga.structure.candidate import FloatArray

__all__ = ["Drawn", "thresholds_figure"]

_GREY = "#777777"

_DECADES = 1e4
"""Largest ratio of the ends of an axis; what is smaller is drawn at its edge."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """What the picture of a dry run shows.

    Parameters
    ----------
    quantity
        A key of :data:`SHOWN`.
    values
        (N,) of the candidates, in eV/atom, eV/Å or standard deviations.
    errors
        (N,) eV/atom; NaN without a label.
    open
        (N,) whom all bounds let through but the lower one.
    wrong
        eV/atom, the error above which a prediction counts as wrong.
    upper
        Upper bound, or None.
    fixed
        Suggested lower bound, or None.
    adaptive
        Suggested lower bound of each iteration; empty where there is none.
    """

    quantity: str
    values: FloatArray
    errors: FloatArray
    open: npt.NDArray[np.bool_]
    wrong: float
    upper: float | None
    fixed: float | None
    adaptive: Sequence[float]


def thresholds_figure(drawn: Drawn, *, title: str) -> Figure:
    """Draw actual error against the quantity, and how many a lower bound selects.

    The left panel is left out where no candidate has a label.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see :func:`aga.report.plots.save_figure`.
    """
    known = bool(np.isfinite(drawn.errors).any())
    figure = Figure(figsize=(11.0 if known else 6.0, 5.0), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    panels = figure.subplots(1, 1 + known, squeeze=False)[0]
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(_range(drawn))
    if known:
        _errors(panels[0], drawn)
    _shares(panels[-1], drawn)
    for axes in panels:
        _bounds(axes, drawn)
        _dress(axes, drawn)
    _legend(figure, panels)
    return figure


def _range(drawn: Drawn) -> tuple[float, float]:
    factor = SHOWN[drawn.quantity][2]
    finite = drawn.values[np.isfinite(drawn.values) & (drawn.values > 0)]
    if not len(finite):
        return 0.1, 10.0
    high = float(finite.max() if drawn.upper is None else min(finite.max(), 3 * drawn.upper))
    low = max(float(np.quantile(finite, 0.01)), high / _DECADES)
    return factor * low / 1.5, factor * high * 1.5


def _errors(axes: Any, drawn: Drawn) -> None:  # noqa: ANN401 - matplotlib has no types
    known = np.isfinite(drawn.errors)
    left, right = axes.get_xlim()
    x = SHOWN[drawn.quantity][2] * drawn.values[known]
    y = 1000 * np.abs(drawn.errors[known])
    limit, low = 1000 * drawn.wrong, max(float(y.min()), float(y.max()) / _DECADES, 1e-3)
    wrong, inside = y > limit, x > left
    told = f"error up to {limit:g} meV/atom: {int((~wrong).sum())}"
    for chosen, color, name in (
        (~wrong, SKY, told),
        (wrong, ORANGE, f"above: {int(wrong.sum())}"),
    ):
        for part, marker, label in ((inside, "o", name), (~inside, "<", None)):
            axes.scatter(
                np.clip(x, 1.15 * left, right)[chosen & part], np.maximum(y, low)[chosen & part],
                s=30, marker=marker, color=color, alpha=0.85, linewidth=0.5, edgecolor="white",
                zorder=4, label=label,
            )  # fmt: skip
    axes.axhline(limit, color=INK, linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)
    axes.set_yscale("log")
    axes.set_ylim(min(low, limit) / 1.5, max(float(y.max()), limit) * 1.8)
    axes.set_ylabel("actual error (meV/atom)", fontsize=10, color=INK)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title("labelled candidates", loc="left", fontsize=10, color=INK)


def _shares(axes: Any, drawn: Drawn) -> None:  # noqa: ANN401 - matplotlib has no types
    """Draw which share of the candidates, and of the wrong ones, a lower bound selects."""
    wrong = np.isfinite(drawn.errors) & (np.abs(drawn.errors) > drawn.wrong)
    groups = [
        (np.ones(len(drawn.values), np.bool_), BLUE, f"share of all {len(drawn.values)} candidates")
    ]
    if wrong.any():
        told = f"share of the {int(wrong.sum())} with an error above"
        groups.append((wrong, ORANGE, told))
    for group, color, told in groups:
        values = np.sort(SHOWN[drawn.quantity][2] * drawn.values[drawn.open & group])[::-1]
        shares = 100 * np.arange(1, len(values) + 1) / int(group.sum())
        ends = axes.get_xlim()
        x = np.concatenate([[ends[1]], np.clip(values, *ends), [ends[0]]])
        y = np.concatenate([[0.0], shares, shares[-1:] if len(shares) else [0.0]])
        axes.step(x, y, where="post", color=color, linewidth=1.8, zorder=3, label=told)
    axes.set_ylim(0, 104)
    axes.set_ylabel("selected (%)", fontsize=10, color=INK)
    axes.set_title("selected by a lower bound", loc="left", fontsize=10, color=INK)
    count = len(drawn.values) / 100
    other = axes.secondary_yaxis("right", functions=(lambda y: y * count, lambda n: n / count))
    other.set_ylabel("candidates", fontsize=10, color=INK)
    other.tick_params(colors=INK, labelsize=9)
    other.spines["right"].set_color("#999999")


def _bounds(axes: Any, drawn: Drawn) -> None:  # noqa: ANN401 - matplotlib has no types
    _, unit, factor = SHOWN[drawn.quantity]
    left, right = axes.get_xlim()
    if drawn.adaptive:
        low, high = (factor * bound for bound in (min(drawn.adaptive), max(drawn.adaptive)))
        axes.axvspan(
            max(low, left), max(high, left), color=GREEN, alpha=0.13, linewidth=0, zorder=0,
            label="adaptive bounds of the iterations",
        )  # fmt: skip
    if drawn.fixed is not None and factor * drawn.fixed > left:
        axes.axvline(
            factor * drawn.fixed, color=BLUE, linewidth=1.5, linestyle=(0, (6, 2)), zorder=2,
            label=f"fixed bound, {factor * drawn.fixed:.3g} {unit}",
        )  # fmt: skip
    if drawn.upper is not None and factor * drawn.upper < right:
        axes.axvspan(factor * drawn.upper, right, color="#EEEEEE", linewidth=0, zorder=0)
        axes.axvline(factor * drawn.upper, color=_GREY, linewidth=1.2, zorder=2)
        axes.text(
            1.06 * factor * drawn.upper, 0.98, "unphysical", transform=axes.get_xaxis_transform(),
            rotation=90, va="top", fontsize=8.5, color=_GREY,
        )  # fmt: skip


def _dress(axes: Any, drawn: Drawn) -> None:  # noqa: ANN401 - matplotlib has no types
    name, unit, _ = SHOWN[drawn.quantity]
    axes.set_xlabel(f"{name} ({unit})", fontsize=10, color=INK)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(colors=INK, labelsize=9, which="both")
    axes.grid(color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def _legend(figure: Figure, panels: Sequence[Any]) -> None:
    """Explain everything once, below both panels."""
    named = [axes.get_legend_handles_labels() for axes in panels]
    found = {label: handle for pair in named for handle, label in zip(*pair, strict=True)}
    figure.legend(
        list(found.values()), list(found), frameon=False, fontsize=9, ncols=1 + len(panels),
        loc="outside lower center",
    )  # fmt: skip
