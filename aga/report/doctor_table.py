"""What `aga doctor` found, for people: a line each, and the remedy behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

__all__ = ["doctor_table", "doctor_verdict"]

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "absent": "dim"}


def doctor_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    """Give the table of findings: state, what was looked at, how it is and what to do."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column("state", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("finding", overflow="fold")
    for one in findings:
        told = Text(one["message"])
        if one["remedy"]:
            told.append(f" → {one['remedy']}", style="cyan" if one["state"] != "ok" else "dim")
        table.add_row(Text(one["state"], style=_STYLES[one["state"]]), one["name"], told)
    return table


def doctor_verdict(findings: Sequence[Mapping[str, Any]]) -> str:
    """Say in one line how many of each kind there are."""
    states = [one["state"] for one in findings]
    words = {"fail": "failed", "warn": "to look at", "absent": "absent", "ok": "fine"}
    return ", ".join(f"{states.count(s)} {word}" for s, word in words.items() if s in states)
