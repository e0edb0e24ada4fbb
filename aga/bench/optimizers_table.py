"""The table of a comparison of optimizers, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["optimizers_table"]


def optimizers_table(document: Mapping[str, Any]) -> Table:
    """Give the table of what :func:`aga.bench.optimizers.measure_optimizers` measured."""
    weights = document["prefactors"]
    table = Table(
        title=f"lowest loss in {document['passes']} passes over {document['frames']} frames; "
        f"prefactors {weights['energy']:g}, {weights['force']:g}, {weights['stress']:g}",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    table.add_column("optimizer")
    for heading in (
        "loss",
        "held out",
        "at pass",
        "energy RMSE\nmeV/atom",
        "force RMSE\neV/Å",
        "s",
    ):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in document["rows"]:
        best = row["optimizer"] == document["best"]
        remark = "diverged" if row["diverged"] else "lowest" if best else ""
        table.add_row(
            row["optimizer"],
            f"{row['loss']:.4f}",
            _number(row["held_out_loss"], 4),
            str(row["passes"]),
            _number(row["energy_rmse"], 1),
            _number(row["force_rmse"], 3),
            f"{row['seconds']:.0f}",
            remark,
            style="bold" if best else "",
        )
    return table


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
