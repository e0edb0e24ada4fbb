"""Pictures of a search, drawn without a display and without global state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aga.report.rows import unicode_minus
from aga.structure.candidate import FloatArray

__all__ = [
    "BLUE",
    "GREEN",
    "INK",
    "ORANGE",
    "SKY",
    "Generation",
    "History",
    "ReferencePoint",
    "energy_figure",
    "save_figure",
]

# Okabe & Ito's palette, told apart with every kind of colour vision.
BLUE, SKY, ORANGE, GREEN = "#0072B2", "#56B4E9", "#D55E00", "#009E73"
PURPLE = "#CC79A7"
_BAND = "#F2F2F2"
INK = "#333333"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """The population after a generation: enthalpies (n,) on the committee in eV/atom."""

    number: int
    iteration: int
    enthalpies: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePoint:
    """A label of the reference method: enthalpy in eV/atom, generation of the structure."""

    generation: int
    enthalpy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a search went through, as its plot wants it.

    ``final`` is the lowest enthalpy after the final relaxations (eV/atom), None before them;
    ``engine`` the name of the reference method; ``pressed`` whether enthalpies differ from
    energies (pressure ≠ 0).
    """

    title: str
    engine: str
    generations: Sequence[Generation]
    references: Sequence[ReferencePoint]
    final: float | None = None
    pressed: bool = False


def energy_figure(history: History) -> Figure:
    """Draw energy per generation.

    Population best, median and the middle four fifths on the committee, reference labels as
    points, the best final energy as a line; iterations as background bands. Values far above
    the populations are marked at the upper edge.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see :func:`save_figure`.
    """
    figure = Figure(figsize=(8.0, 4.8), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _bands(axes, history)
    _population(axes, history.generations)
    top = _limits(axes, history)
    _references(axes, history, top)
    if history.final is not None:
        axes.axhline(
            history.final,
            color=GREEN,
            linewidth=1.6,
            linestyle=(0, (6, 2)),
            zorder=2,
            label=f"best result, {unicode_minus(f'{history.final:.4f}')} eV/atom",
        )
    _dress(axes, history)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure; the ending names the format (PNG, SVG, PDF)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _span(history: History) -> tuple[float, float]:
    numbers = [g.number for g in history.generations] + [p.generation for p in history.references]
    return min(numbers, default=0) - 0.5, max(numbers, default=1) + 0.5


def _bands(axes: Any, history: History) -> None:  # noqa: ANN401 - matplotlib has no types
    """Shade every other iteration and write the iterations' numbers at the top."""
    first, last = _span(history)
    starts: dict[int, float] = {}
    for generation in history.generations:
        starts[generation.iteration] = min(
            starts.get(generation.iteration, np.inf), generation.number - 0.5
        )
    ordered = sorted(starts.items(), key=lambda item: item[1])
    edges = [start for _, start in ordered] + [last]
    every = max(1, len(ordered) // 12 + (len(ordered) > 12))
    for index, (iteration, start) in enumerate(ordered):
        if index % 2 == 0:
            axes.axvspan(start, edges[index + 1], color=_BAND, zorder=0, linewidth=0)
        if index % every == 0:
            name = "iteration " if index == 0 and len(ordered) < 8 else ""
            _name_band(axes, (start + edges[index + 1]) / 2, f"{name}{iteration}")
    initial = [p for p in history.references if p.generation == 0]
    if initial and (not ordered or ordered[0][1] > 0):
        _name_band(axes, 0.0, "initial")
    axes.set_xlim(first, last)


def _name_band(axes: Any, x: float, text: str) -> None:  # noqa: ANN401 - matplotlib has no types
    axes.text(
        x, 1.012, text, transform=axes.get_xaxis_transform(), ha="center", va="bottom",
        fontsize=8.5, color="#666666",
    )  # fmt: skip


def _population(axes: Any, generations: Sequence[Generation]) -> None:  # noqa: ANN401 - matplotlib has no types
    filled = [g for g in generations if g.enthalpies]
    if not filled:
        return
    numbers = [g.number for g in filled]
    low, middle, high = (_quantiles(filled, q) for q in (0.1, 0.5, 0.9))
    best = [min(g.enthalpies) for g in filled]
    axes.fill_between(
        numbers, low, high, color=SKY, alpha=0.28, linewidth=0, zorder=1,
        label="population, middle 80 %",
    )  # fmt: skip
    axes.plot(
        numbers, middle, color=BLUE, linewidth=1.3, linestyle=(0, (2, 1.2)), zorder=3,
        label="population median",
    )  # fmt: skip
    axes.plot(
        numbers, best, color=BLUE, linewidth=2.2, marker="o", markersize=3.6, zorder=4,
        label="population best",
    )  # fmt: skip


def _quantiles(generations: Sequence[Generation], quantile: float) -> FloatArray:
    return np.array([np.quantile(g.enthalpies, quantile) for g in generations])


def _limits(axes: Any, history: History) -> float:  # noqa: ANN401 - matplotlib has no types
    """Set the energy range so that the populations fill it; give its upper end."""
    labels = [p.enthalpy for p in history.references]
    filled = [g for g in history.generations if g.enthalpies]
    lows = [min(g.enthalpies) for g in filled] + labels
    lows += [] if history.final is None else [history.final]
    highs = [float(np.quantile(g.enthalpies, 0.9)) for g in filled]
    highs += [float(np.quantile(labels, 0.75))] if labels else []
    if not lows:
        return 1.0
    bottom, top = min(lows), max(highs, default=max(lows))
    span = max(top - bottom, 0.01)
    axes.set_ylim(bottom - 0.07 * span, top + 0.07 * span)
    return float(top + 0.07 * span)


def _references(axes: Any, history: History, top: float) -> None:  # noqa: ANN401 - matplotlib has no types
    placed = _side_by_side(history.references)
    inside = [(x, y) for x, y in placed if y <= top]
    above = [(x, y) for x, y in placed if y > top]
    if inside:
        axes.scatter(
            [x for x, _ in inside],
            [y for _, y in inside],
            s=26,
            facecolor="white",
            edgecolor=ORANGE,
            linewidth=1.2,
            zorder=5,
            label=f"reference method ({history.engine})",
        )
    if above:
        axes.scatter(
            [x for x, _ in above],
            [0.985] * len(above),
            s=24,
            marker="^",
            color=ORANGE,
            alpha=0.8,
            linewidth=0,
            transform=axes.get_xaxis_transform(),
            zorder=5,
            label=f"{len(above)} above the range",
        )


def _side_by_side(points: Sequence[ReferencePoint]) -> list[tuple[float, float]]:
    """Spread the points of a generation sideways, so that equal ones can be told apart."""
    placed = []
    for number in sorted({p.generation for p in points}):
        values = sorted(p.enthalpy for p in points if p.generation == number)
        width = min(0.3, 0.06 * (len(values) - 1))
        offsets = np.linspace(-width, width, len(values)) if len(values) > 1 else [0.0]
        placed += [(number + float(x), y) for x, y in zip(offsets, values, strict=True)]
    return placed


def _dress(axes: Any, history: History) -> None:  # noqa: ANN401 - matplotlib has no types
    axes.set_title(history.title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=20)
    axes.set_xlabel("generation", fontsize=10.5, color=INK)
    quantity = "enthalpy" if history.pressed else "energy"
    axes.set_ylabel(f"{quantity} (eV/atom)", fontsize=10.5, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))
    axes.tick_params(colors=INK, labelsize=9.5)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")
    if axes.get_legend_handles_labels()[0]:  # below the picture: points may be anywhere in it
        axes.figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=3)
