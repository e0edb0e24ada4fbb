"""A table of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aga.report.rows import duration
from aga.store.jobs import Job

__all__ = ["jobs_table"]

_STYLES = {
    "running": "green",
    "completed": "dim",
    "pending": "cyan",
    "unknown": "yellow",
    "preempted": "yellow",
}

_COLUMNS = ("id", "state", "kind", "wait", "start", "end", "queue", "cores", "steps", "name")
_RIGHT = {"cores", "wait", "steps"}


def jobs_table(jobs: Sequence[Job]) -> Table:
    """Give a table of jobs: times in the local time zone, the wait from submission to start.

    Nothing is cut off: where room is short, words go to the next line.
    """
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    rows = [_row(job) for job in jobs]
    for k, name in enumerate(_COLUMNS):
        words = [word for cell in (name, *(row[k] for row in rows)) for word in str(cell).split()]
        words = [part for word in words for part in word.split("-")] if name == "name" else words
        table.add_column(
            name,
            justify="right" if name in _RIGHT else "left",
            overflow="fold",
            min_width=max(map(len, words)),
        )
    for row in rows:
        table.add_row(*row)
    return table


def _row(job: Job) -> tuple[str | Text, ...]:
    again = f" ×{job.starts}" if job.starts > 1 else ""
    why = f" ({job.reason})" if job.state == "pending" and job.reason else ""
    return (
        job.id,
        Text(f"{job.state}{again}{why}", style=_STYLES.get(job.state, "red")),
        job.kind.replace("+", " "),
        duration(job.wait),
        _time(job.started),
        _time(job.ended),
        job.partition or "–",
        "–" if job.cores is None else str(job.cores),
        str(job.steps),
        job.name,
    )


def _time(moment: datetime | None) -> str:
    return "–" if moment is None else f"{moment.astimezone():%m-%d %H:%M}"
