"""How far several trainings are: a bar on a terminal, elsewhere a line for each that ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from aga.report.bars import Bars

__all__ = ["JobProgress"]


class JobProgress(Bars):
    """Shows how many passes of all trainings are done.

    Parameters
    ----------
    passes
        That each training makes, by its name; those that are done already are left away.
    console
        Where to.
    """

    def __init__(self, passes: Mapping[str, int], console: Console) -> None:
        self._passes, self._console = dict(passes), console
        self._done = dict.fromkeys(passes, 0)
        if console.is_terminal and passes:
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("passes, {task.description}"))
            times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
            self._bars = Progress(*columns, *times, console=console, transient=True)
            self._task = self._bars.add_task("", total=sum(passes.values()))

    def tell(self, name: str, entry: Mapping[str, Any]) -> None:
        """Show the newest look (``passes``, ``loss``) of a training."""
        self._done[name] = entry["passes"]
        said = f"{name}: loss {entry['loss']:.4g}"
        if self._bars is not None:
            self._bars.update(self._task, completed=sum(self._done.values()), description=said)
        elif entry["passes"] >= self._passes[name]:
            ended = sum(self._done[one] >= most for one, most in self._passes.items())
            self._console.print(f"{ended} of {len(self._done)}  {said}", style="dim", markup=False)
