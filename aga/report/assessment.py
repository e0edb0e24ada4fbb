"""Tables of a potential's errors on labelled frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["UNITS", "errors_table", "worst_table"]

UNITS = {"energy": "meV/atom", "forces": "eV/Å", "stress": "GPa"}
"""In which the errors of each quantity are told."""


def errors_table(parts: Mapping[str, Mapping[str, Any]], *, title: str) -> Table:
    """Give a table of errors.

    Parameters
    ----------
    parts
        For each set of frames its ``frames`` (how many), ``energy``, ``forces`` and ``stress``
        (each with ``mae``, ``rmse``, ``r2`` and ``count``, or None) and the
        ``rank_correlation`` of its energies, or None; in the units of :data:`UNITS`.
    title
        What was compared.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    table.add_column("quantity", no_wrap=True)
    for name in ("MAE", "RMSE", "R²", "rank", "number"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, errors in parts.items():
        begun = False
        for quantity, unit in UNITS.items():
            scored = errors[quantity]
            if scored is None:
                continue
            rank = errors["rank_correlation"] if quantity == "energy" else None
            table.add_row(
                "" if begun else name,
                f"{quantity} ({unit})",
                f"{scored['mae']:.4g}",
                f"{scored['rmse']:.4g}",
                _share(scored["r2"], 4),
                _share(rank, 3) if quantity == "energy" else "",
                str(scored["count"]),
            )
            begun = True
        table.add_section()
    return table


def _share(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def worst_table(worst: Sequence[Mapping[str, Any]]) -> Table:
    """Give the frames that are predicted worst: ``quantity``, ``name``, ``source``, ``error``."""
    table = Table(title="worst frames", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for name in ("quantity", "frame", "file"):
        table.add_column(name, overflow="fold")
    table.add_column("error", justify="right", no_wrap=True)
    before = None
    for row in worst:
        quantity = row["quantity"]
        if before not in {None, quantity}:
            table.add_section()
        told = f"{quantity} ({UNITS[quantity]}{'' if quantity == 'energy' else ', RMSE'})"
        error = f"{row['error']:+.4g}" if quantity == "energy" else f"{row['error']:.4g}"
        table.add_row("" if quantity == before else told, row["name"], row["source"], error)
        before = quantity
    return table
