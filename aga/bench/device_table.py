"""The table of a measurement of devices, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["device_table"]


def device_table(document: Mapping[str, Any]) -> Table:
    """Give the table of what :func:`aga.bench.devices.measure_devices` measured."""
    table = Table(
        title=f"{document['device']} beside the processor's kernels on "
        f"{document['host_threads']} cores: µs per atom, energy, forces and stress of 4 members",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    headings = ("cells", "precision", "device", "of it\nneighbours", "processor", "ratio")
    for heading in (*headings, "largest difference\nof a force, eV/Å"):
        table.add_column(heading, justify="right")
    for row in document["rows"]:
        table.add_row(
            str(row["cells"]),
            row["precision"],
            f"{row['us_per_atom']:.2f}",
            f"{row['neighbours_us_per_atom']:.2f}",
            f"{row['host_us_per_atom']:.2f}",
            f"{row['ratio']:.2f}×",
            f"{row['force_difference']:.0e}",
        )
    return table
