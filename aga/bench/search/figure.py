"""The picture of a comparison: how many runs have found the answer after how many calls."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from aga.bench.search.arms import ARMS
from aga.bench.search.jobs import Record
from aga.bench.search.summary import answer_of, found_at
from aga.report.plots import BLUE, GREEN, INK, ORANGE, PURPLE, SKY

__all__ = ["success_figure"]

LOOKS = {
    "random": (INK, ":"),
    "ga": (GREEN, "-"),
    "ase-ga": (ORANGE, "--"),
    "aga": (SKY, "-."),
    "aga-focal": (BLUE, "--"),
    "aga-focal-uncertainty": (BLUE, "-"),
    "aga-one-by-one": (PURPLE, "-"),
}
"""Colour and line of each arm."""


def success_figure(records: Sequence[Record]) -> Figure:
    """Draw the share of successful runs against reference calls, a step curve for each arm.

    Parameters
    ----------
    records
        Of one problem. A curve with failures ends where the last run of the arm did.
    """
    figure = Figure(figsize=(7.6, 3.8), layout="constrained")
    ax = figure.add_subplot()
    answer = answer_of(records)
    last = 1.3 * max(record["calls"] for record in records)
    for arm in ARMS:
        runs = [record for record in records if record["arm"] == arm]
        if not runs:
            continue
        hits = sorted(hit[0] for run in runs if (hit := found_at(run, answer)) is not None)
        end = last if len(hits) == len(runs) else max(run["calls"] for run in runs)
        shares = [k / len(runs) for k in range(len(hits) + 1)]
        colour, line = LOOKS[arm]
        ax.step(
            [1, *hits, end],
            [*shares, shares[-1]],
            line,
            where="post",
            color=colour,
            label=f"{arm} ({len(hits)}/{len(runs)})",
        )
    ax.set_xscale("log")
    ax.set_xlim(5, max(last, 10))
    ax.set_ylim(-0.02, 1.04)
    ax.set_xlabel("energy+force calls of the reference method")
    ax.set_ylabel("share of runs that have found the answer")
    ax.set_title(str(records[0]["problem"]), loc="left", fontsize="medium", fontweight="bold")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small")
    return figure
