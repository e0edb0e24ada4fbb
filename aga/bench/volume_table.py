"""The tables of the benchmark of a large search, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

__all__ = ["volume_tables"]


def volume_tables(document: Mapping[str, Any]) -> Group:
    """Give the tables of what :func:`aga.bench.volume.measure_volume` measured."""
    return Group(_queries(document), _commands(document), _documents(document))


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if 0 < number < 3 else "left")
    return table


def _queries(document: Mapping[str, Any]) -> Table:
    title = f"queries of a search with {document['structures']:,} structures"
    table = _table(title, "query", "s", "found", "by the index")
    for row in document["queries"]:
        used = row["indexes"]
        told = "" if used is None else ", ".join(used) or "none that it tells"
        style = "red" if row["seconds"] > document["target_s"] else ""
        table.add_row(row["query"], f"{row['seconds']:.3f}", str(row["found"]), told, style=style)
    return table


def _commands(document: Mapping[str, Any]) -> Table:
    table = _table("whole commands, imports included", "command", "s")
    for row in document["commands"]:
        style = "red" if row["seconds"] > document["target_s"] else ""
        table.add_row(row["command"], f"{row['seconds']:.3f}", style=style)
    return table


def _documents(document: Mapping[str, Any]) -> Table:
    table = _table("largest documents", "collection", "documents", "KiB", "of 16 MiB", "which")
    for row in document["documents"]:
        table.add_row(
            row["collection"],
            f"{row['count']:,}",
            f"{row['bytes'] / 1024:.1f}",
            f"{100 * row['share']:.2f} %",
            row["largest"],
        )
    return table
