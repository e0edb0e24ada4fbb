"""Learning curves: how training and validation errors fall, pass by pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from aga.report.plots import BLUE, INK, ORANGE
from aga.structure.candidate import FloatArray

__all__ = ["learning_figure"]

Curve = Sequence[Mapping[str, float | None]]
"""One member: for each record its ``passes`` and the values of the quantities."""

LOSS = {"loss": ("training", BLUE), "validation": ("validation", ORANGE)}
"""Curves of the first panel."""

ERRORS = {
    "energy_rmse": ("energy, validation", "RMSE (meV/atom)"),
    "force_rmse": ("forces, validation", "RMSE (eV/Å)"),
}
"""Further panels, where the records have these quantities."""


def learning_figure(curves: Sequence[Curve], *, title: str) -> Figure:
    """Draw loss against passes over the data, training and validation, both axes logarithmic.

    Each member is a pale line, the geometric mean of the members a strong one as far as all of
    them went. Errors on the validation frames get panels of their own.

    Parameters
    ----------
    curves
        For each member a list of records: ``passes``, ``loss``, ``validation`` and, where they
        are known, ``energy_rmse`` (meV/atom) and ``force_rmse`` (eV/Å). None, NaN and values that
        are not above zero are left away.
    title
        What was trained.

    Returns
    -------
    matplotlib.figure.Figure
        Not yet saved; see :func:`aga.report.plots.save_figure`.
    """
    extra = [name for name in ERRORS if any(_values(curve, name).size for curve in curves)]
    wide = 1 + len(extra)
    layout = ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08)
    figure = Figure(figsize=(1.4 + 4.6 * wide, 4.7), dpi=160, layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)
    axes = figure.add_subplot(1, wide, 1)
    for quantity, (name, colour) in LOSS.items():
        _draw(axes, [_values(curve, quantity) for curve in curves], name, colour)
    _dress(axes, "loss", "mean loss of a frame")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    for place, quantity in enumerate(extra, 2):
        axes = figure.add_subplot(1, wide, place)
        _draw(axes, [_values(curve, quantity) for curve in curves], quantity, ORANGE)
        _dress(axes, *ERRORS[quantity])
    return figure


def _values(curve: Curve, quantity: str) -> FloatArray:
    """Give (n, 2) passes and values, of those that a logarithmic axis can show."""
    pairs = [(record.get("passes"), record.get(quantity)) for record in curve]
    known = [(x, y) for x, y in pairs if x is not None and y is not None and x > 0 and y > 0]
    array = np.array(known, dtype=np.float64).reshape(-1, 2)
    return array[np.isfinite(array).all(axis=1)]


def _draw(axes: Any, members: Sequence[FloatArray], name: str, colour: str) -> None:  # noqa: ANN401 - matplotlib has no types
    filled = [member for member in members if len(member)]
    if len(filled) > 1:
        for member in filled:
            axes.plot(*member.T, color=colour, alpha=0.32, linewidth=0.9, zorder=2)
    if filled:
        several = f", mean of {len(filled)} members" if len(filled) > 1 else ""
        axes.plot(
            *_mean(filled).T, color=colour, linewidth=2.1, zorder=3, label=f"{name}{several}",
            solid_capstyle="round",
        )  # fmt: skip


def _mean(members: Sequence[FloatArray]) -> FloatArray:
    """Give (n, 2) the geometric mean where all members have values, between them as drawn."""
    first, last = max(m[0, 0] for m in members), min(m[-1, 0] for m in members)
    passes = np.unique(np.concatenate([m[:, 0] for m in members]))
    passes = passes[(passes >= first) & (passes <= last)]
    drawn = [np.interp(np.log(passes), np.log(m[:, 0]), np.log(m[:, 1])) for m in members]
    return np.column_stack([passes, np.exp(np.mean(drawn, axis=0))])


def _dress(axes: Any, title: str, label: str) -> None:  # noqa: ANN401 - matplotlib has no types
    axes.set_title(title, loc="left", fontsize=10.5, color=INK)
    axes.set_xlabel("passes over the data", fontsize=10, color=INK)
    axes.set_ylabel(label, fontsize=10, color=INK)
    axes.set_xscale("log")
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(_ticks(axis.get_view_interval()))
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(NullFormatter())
    axes.tick_params(colors=INK, labelsize=9, which="both")
    axes.grid(color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#999999")


def _ticks(interval: FloatArray) -> LogLocator:
    """Mark powers of ten; below two decades 1, 2 and 5 times them."""
    low, high = np.log10(np.maximum(interval, 1e-300))
    return LogLocator(subs=(1.0,) if high - low > 2 else (1.0, 2.0, 5.0))
