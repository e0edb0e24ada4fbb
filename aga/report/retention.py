"""A table of what a retraining has kept of what the potential knew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from aga.report.assessment import UNITS

__all__ = ["retention_table"]


def retention_table(retained: Mapping[str, Any]) -> Table:
    """Give errors on old frames before and after a retraining, side by side."""
    table = Table(
        title=f"{retained['frames']} old {retained['split']} frames, before and after",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    table.add_column("quantity")
    for name in ("MAE before", "after", "RMSE before", "after"):
        table.add_column(name, justify="right")
    before, after = retained["before"], retained["after"]
    for quantity, unit in UNITS.items():
        if before[quantity] is None or after[quantity] is None:
            continue
        cells = [
            f"{side[quantity][error]:.4g}" for error in ("mae", "rmse") for side in (before, after)
        ]
        table.add_row(f"{quantity} ({unit})", *cells)
    return table
