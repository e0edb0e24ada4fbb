"""How far the members of a training are: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from aga.report.bars import Bars

__all__ = ["TrainingProgress"]


class TrainingProgress(Bars):
    """Shows each member's passes and errors while it trains.

    Parameters
    ----------
    members
        Their numbers.
    passes
        That each makes at most.
    console
        Where; nothing is shown where None.
    """

    def __init__(self, members: Sequence[int], passes: int, console: Console | None) -> None:
        self._passes, self._console = passes, console
        self._tasks: dict[int, TaskID] = {}
        if console is not None and console.is_terminal:
            self._bars = Progress(
                TextColumn("member {task.fields[member]}"),
                BarColumn(),
                TextColumn("{task.completed:.0f}/{task.total:.0f} passes"),
                TextColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                console=console,
            )
            for member in members:
                self._tasks[member] = self._bars.add_task("", total=passes, member=member, said="")

    def tell(self, member: int, entry: Mapping[str, Any]) -> None:
        """Show the newest look of a member."""
        said = describe_look(entry)
        if self._bars is not None:
            self._bars.update(self._tasks[member], completed=entry["passes"], said=said)
        elif self._console is not None:
            passes = f"{entry['passes']}/{self._passes} passes"
            self._console.print(f"member {member}: {passes}, {said}", style="dim")


def describe_look(entry: Mapping[str, Any]) -> str:
    """Give loss and errors of a look in words."""
    parts = [f"loss {entry['loss']:.4g}"]
    if entry["validation"] is not None:
        parts.append(f"validation {entry['validation']:.4g}")
    parts.append(f"{entry['energy_rmse']:.1f} meV/atom")
    if entry["force_rmse"] is not None:
        parts.append(f"{entry['force_rmse']:.3f} eV/Å")
    return ", ".join(parts)
