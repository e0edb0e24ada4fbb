"""Who did what when: the steps of a search on a line for each worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from aga.report.plots import BLUE, GREEN, INK, ORANGE, SKY

__all__ = ["COLOURS", "Span", "busy_share", "timeline_figure"]

COLOURS: Final[Mapping[str, str]] = {
    "breed": BLUE,
    "acquire": SKY,
    "label": ORANGE,
    "train": GREEN,
    "other": "#CC79A7",
}
"""Colour of each kind of step; the others share one."""

IDLE = "#E3E3E3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One step in the hands of one worker; times in seconds of one clock."""

    worker: str
    kind: str
    start: float
    end: float


def busy_share(spans: Sequence[Span], workers: int, window: tuple[float, float]) -> float:
    """Give the share of the time of some workers within a window that steps took.

    Parameters
    ----------
    spans
        What they did.
    workers
        How many they are; one that did nothing counts too.
    window
        Begin and end in seconds.
    """
    begin, end = window
    spent = sum(max(0.0, min(s.end, end) - max(s.start, begin)) for s in spans)
    return spent / (workers * (end - begin))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One chart: a title, its spans, the workers from top to bottom, the window in seconds."""

    title: str
    spans: Sequence[Span]
    workers: Sequence[str]
    window: tuple[float, float]


def timeline_figure(panels: Sequence[Panel]) -> Figure:
    """Draw a chart for each panel, below each other, on one scale of time.

    Every worker has a line, grey where it was idle.
    """
    lines = sum(len(panel.workers) for panel in panels)
    height = 0.9 * len(panels) + min(0.17 * lines, 14.0) + 0.4
    figure = Figure(figsize=(9.0, height), layout="constrained")
    ratios = [max(4, len(panel.workers)) for panel in panels]
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=ratios)
    for ax, panel in zip(axes[:, 0], panels, strict=True):
        _draw(ax, panel)
    axes[-1, 0].set_xlabel("time / s")
    shown = {s.kind for panel in panels for s in panel.spans}
    names = [n for n in COLOURS if n in shown or (n == "other" and shown - set(COLOURS))]
    handles = [Patch(color=COLOURS[name], label=name) for name in names]
    handles.append(Patch(color=IDLE, label="idle"))
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False)
    return figure


def _draw(ax: Axes, panel: Panel) -> None:
    begin, end = panel.window
    place = {worker: row for row, worker in enumerate(panel.workers)}
    ax.broken_barh([(0.0, end - begin)], (-0.5, len(place)), color=IDLE)
    for kind in dict.fromkeys(span.kind for span in panel.spans):
        colour = COLOURS.get(kind, COLOURS["other"])
        for worker, row in place.items():
            bars = [
                (max(s.start, begin) - begin, min(s.end, end) - max(s.start, begin))
                for s in panel.spans
                if s.worker == worker and s.kind == kind and s.end > begin and s.start < end
            ]
            ax.broken_barh(bars, (row - 0.42, 0.84), color=colour, linewidth=0)
    ax.set_xlim(0.0, end - begin)
    ax.set_ylim(len(place) - 0.5, -0.5)
    ax.set_yticks(list(place.values()), list(place), fontsize=7)
    ax.set_title(panel.title, loc="left", fontsize=10, color=INK)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0)
