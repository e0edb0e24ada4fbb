"""A dry run of thresholds as a table, and the settings that it suggests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from aga.config.schema import AcquisitionSettings

__all__ = ["SHOWN", "advice_lines", "thresholds_table"]

SHOWN: Mapping[str, tuple[str, str, float]] = {
    "energy": ("spread of the energy", "meV/atom", 1000.0),
    "force": ("spread of the forces", "eV/Å", 1.0),
    "novelty": ("novelty", "standard deviations", 1.0),
}
"""Quantity → its name, the unit it is shown in, and the factor to this unit."""


def thresholds_table(said: Mapping[str, Any]) -> Table:
    """Give what each lower bound would have selected, and the suggested ones below.

    Parameters
    ----------
    said
        The document of the dry run (``rows``, ``suggested``, ``quantity``, …).
    """
    _, unit, factor = SHOWN[said["quantity"]]
    known = said["labelled"] > 0
    table = Table(title_justify="left", box=SIMPLE_HEAD, title_style="bold", title=_title(said))
    for name in _headings(said, unit, known=known):
        table.add_column(name, justify="right", overflow="fold")
    for row in said["rows"]:
        table.add_row(f"{factor * row['threshold']:.3g}", *_cells(row, known=known))
    table.add_section()
    fixed, adaptive = said["suggested"]["fixed"], said["suggested"]["adaptive"]
    if fixed is not None:
        told = f"fixed {factor * fixed['lower']:.3g}"
        table.add_row(told, *_cells(fixed, known=known), style="bold")
    if adaptive is not None:
        told = f"adaptive {100 * adaptive['quantile']:.1f} %"
        table.add_row(told, *_cells(adaptive, known=known), style="bold")
    return table


def _title(said: Mapping[str, Any]) -> str:
    rounds = len(said["iterations"])
    parts = [
        f"{said['search'] or said['source']}: {said['candidates']} candidates",
        f"{rounds} iteration{'s' * (rounds != 1)}",
        f"{said['labelled']} labelled",
    ]
    if said["labelled"]:
        parts.append(
            f"{said['wrong']} of them wrong by more than {1000 * said['error']:g} meV/atom"
        )
    return ", ".join(parts)


def _headings(said: Mapping[str, Any], unit: str, *, known: bool) -> list[str]:
    bound = "novelty from" if said["quantity"] == "novelty" else f"spread from\n{unit}"
    headings = [bound, "selected", "share", "per\niteration"]
    if known:
        milli = "meV/atom"
        headings += ["labelled", f"mean error\n{milli}", f"RMS error\n{milli}"]
        headings += [
            f"mean error of\nthe others, {milli}",
            "wrong ones\ncaught",
            "wrong of\nselected",
        ]
    return headings


def _cells(row: Mapping[str, Any], *, known: bool) -> list[str]:
    least, most = min(row["per_iteration"]), max(row["per_iteration"])
    cells = [
        str(row["selected"]),
        _percent(row["share"]),
        str(most) if least == most else f"{least}–{most}",
    ]
    if known:
        cells.append(str(row["labelled"]))
        cells += [_milli(row[key]) for key in ("error_mae", "error_rmse", "others_mae")]
        cells += [_percent(row["recall"]), _percent(row["precision"])]
    return cells


def _milli(value: float | None) -> str:
    return (
        "–" if value is None else f"{1000 * value:.3g}" if value < 0.9995 else f"{1000 * value:.0f}"
    )


def _percent(share: float | None) -> str:
    return (
        "–" if share is None else f"{100 * share:.{0 if share >= 0.0995 or share == 0 else 1}f} %"
    )


def advice_lines(said: Mapping[str, Any]) -> list[str]:
    """Write what a dry run suggests: settings to paste as YAML, each with what it means.

    For a quantity that no setting bounds, and for adaptive bounds, a sentence.
    """
    name, unit, factor = SHOWN[said["quantity"]]
    fixed, adaptive = said["suggested"]["fixed"], said["suggested"]["adaptive"]
    lines = []
    if fixed is not None and fixed["settings"]:
        lines += ["suggested settings:", "", "search:", "  acquisition:"]
        for key, value in fixed["settings"].items():
            meaning = AcquisitionSettings.model_fields[key].description
            lines.append(f"    {key}: {value:g}  # {meaning}")
        lines.append("")
    elif fixed is not None:
        lines.append(
            f"suggested: {name} from {factor * fixed['lower']:.3g} {unit}; a search has no setting "
            "for it yet"
        )
    if adaptive is not None:
        bounds = [factor * one["lower"] for one in adaptive["bounds"]]
        lines.append(
            f"adaptive: the upper {100 * (1 - adaptive['quantile']):.3g} % of those in each "
            f"iteration that the other bounds let through, {name} from {bounds[0]:.3g} (first "
            f"iteration) to {bounds[-1]:.3g} {unit} (last); a search has no setting for it yet"
        )
    return lines
