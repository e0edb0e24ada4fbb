"""The table of a comparison, for people: on a terminal and in a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

__all__ = ["COLUMNS", "markdown_table", "search_table"]

Row = Mapping[str, Any]


def _number(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _times(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g} ×" if value < 10 else f"{value:.0f} ×"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _interval(row: Row) -> str:
    low, high = row["interval"]
    return f"{100 * low:.0f}–{100 * high:.0f} %"


COLUMNS: dict[str, Callable[[Row], str]] = {
    "found": lambda row: f"{row['successes']}/{row['seeds']}",
    "95 %": _interval,
    "reference calls": lambda row: _number(row["median_reference_calls"]),
    "whole search": lambda row: _number(row["median_total_calls"]),
    "relaxations": lambda row: _number(row["median_relaxations"]),
    "fewer calls than ase-ga": lambda row: _times(row["ratio_ase_ga"]),
    "than ga": lambda row: _times(row["ratio_ga"]),
    "duplicates": lambda row: _percent(row["duplicate_rate"]),
    "rank correlation": lambda row: _number(row["correlation"], 2),
    "overhead/ms": lambda row: _number(row["overhead_ms_per_candidate"], 1),
    "s": lambda row: _number(row["median_seconds"]),
}
"""Columns after the arm; docs/explanation/search-benchmarks.md says what each means."""


def search_table(document: Mapping[str, Any]) -> Table:
    """Give the table of what :func:`aga.bench.search.measure.measure_searches` measured."""
    table = Table(
        title="to within 1 meV/atom of the answer; medians over the seeds",
        title_justify="left",
        title_style="bold",
        box=SIMPLE_HEAD,
    )
    table.add_column("problem")
    table.add_column("arm")
    for heading in COLUMNS:
        table.add_column(heading, justify="right")
    before = None
    for row in document["rows"]:
        problem = row["problem"] if row["problem"] != before else ""
        before = row["problem"]
        table.add_row(problem, row["arm"], *(tell(row) for tell in COLUMNS.values()))
    return table


def markdown_table(rows: Sequence[Row]) -> str:
    """Give the same table for a page."""
    lines = [
        f"| problem | arm | {' | '.join(COLUMNS)} |",
        f"|---|---|{'--:|' * len(COLUMNS)}",
    ]
    lines += [
        f"| {row['problem']} | {row['arm']} | "
        + " | ".join(tell(row) for tell in COLUMNS.values())
        + " |"
        for row in rows
    ]
    return "\n".join(lines)
