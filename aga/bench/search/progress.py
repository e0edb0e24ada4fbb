"""How far a comparison is: a bar on a terminal, elsewhere a line for each run that ends."""

from __future__ import annotations

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from aga.bench.search.jobs import Record
from aga.bench.search.summary import answer_of, found_at
from aga.report.bars import Bars

__all__ = ["SearchProgress"]


class SearchProgress(Bars):
    """Shows which runs are under way, how many have ended, and how long the rest will take.

    Parameters
    ----------
    runs
        To do.
    console
        Where to.
    """

    def __init__(self, runs: int, console: Console) -> None:
        self._runs, self._console = runs, console
        self._ended = 0
        if console.is_terminal and runs:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("runs, {task.description}"))
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._bars = Progress(*columns, *times, console=console, transient=True)
            self._task = self._bars.add_task("", total=runs)

    def tell(self, name: str, record: Record | None) -> None:
        """Show a run that begins, or one that has ended with its record."""
        if record is None:
            if self._bars is not None:
                self._bars.update(self._task, description=name)
            return
        self._ended += 1
        if self._bars is not None:
            self._bars.advance(self._task)
        else:
            line = f"{self._ended} of {self._runs}  {name}: {_outcome(record)}"
            self._console.print(line, style="dim", markup=False)


def _outcome(record: Record) -> str:
    hit = found_at(record, answer_of([record])) if record["answer"] is not None else None
    calls = f"{record['calls']} calls"
    if record["failed"] is not None:
        return f"failed after {calls}: {record['failed']}"
    lowest = "nothing" if record["lowest"] is None else f"{record['lowest']:.4f} eV/atom"
    return f"found after {hit[0]} calls" if hit is not None else f"{lowest} after {calls}"
