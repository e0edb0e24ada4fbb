"""How a search is doing, live on a terminal or as plain lines.

Everything here works on the document that :meth:`aga.store.handle.SearchHandle.status` gives.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from aga.report.rows import duration, group_name

__all__ = ["Progress", "Silence", "eta", "open_progress", "plain_line", "queue", "render"]

Status = Mapping[str, Any]

_STATE_STYLES = {
    "running": "bold cyan",
    "finished": "bold green",
    "failed": "bold red",
    "stopped": "bold yellow",
}


_CATEGORIES = {
    "label": "reference",
    "refine": "reference",
    "train": "training",
}
"""Kinds of steps under the name of what serves them; the others belong to the search."""


def eta(status: Status) -> float | None:
    """Estimate the seconds until the budget of reference calls or iterations is spent.

    An upper bound: the search ends sooner where it converges. None before anything is known.
    """
    elapsed, budget = float(status["elapsed"]), status["budget"]
    guesses = []
    for used, limit in (
        (status["reference_calls"], budget.get("reference_calls")),
        (status["iteration"], budget.get("iterations")),
    ):
        if limit and used:
            guesses.append(elapsed * max(limit - used, 0) / used)
    if budget.get("wall_time"):
        guesses.append(max(3600.0 * budget["wall_time"] - elapsed, 0.0))
    return min(guesses, default=None)


def queue(status: Status) -> dict[str, dict[str, int]]:
    """Give running and waiting steps: of the search, the reference method, the training."""
    counts = {name: {"running": 0, "waiting": 0} for name in ("search", "reference", "training")}
    for kind, states in status["steps"].items():
        target = counts[_CATEGORIES.get(kind, "search")]
        target["running"] += states.get("running", 0)
        target["waiting"] += states.get("planned", 0)
    return counts


def plain_line(status: Status) -> str:
    """Say where a search stands, in one line."""
    running = status["state"] == "running"
    parts = [
        f"{status['search']}: {status['state']}" + (f" ({status['phase']})" if running else ""),
        f"iteration {status['iteration']}",
        f"generation {status['generation']}",
        f"best {_best(status)}",
        f"spread {_spread(status)}",
        f"reference calls {status['reference_calls']}/{status['budget']['reference_calls']}",
    ]
    if running:
        parts.append(f"queue {_queue(status)}")
    if status["reason"]:
        parts.append(str(status["reason"]))
    parts.append(f"elapsed {duration(status['elapsed'])}")
    left = eta(status)
    if running and left is not None:
        parts.append(f"at most {duration(left)} left")
    return "; ".join(parts)


def render(status: Status) -> RenderableType:
    """Draw where a search stands."""
    running = status["state"] == "running"
    budget = status["budget"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column()
    state = Text(str(status["state"]), style=_STATE_STYLES.get(status["state"], ""))
    detail = status["phase"] if running else status["reason"]
    state.append(f"  {detail}" if detail else "", style="not bold default")
    grid.add_row("state", state)
    if running and status["reason"]:
        grid.add_row("", Text(str(status["reason"]), style="bold yellow"))
    if status.get("remedy"):
        grid.add_row("what to do", str(status["remedy"]))
    grid.add_row("iteration", f"{status['iteration']} of at most {budget['iterations']}")
    grid.add_row("generation", str(status["generation"]))
    grid.add_row("best energy", _best(status))
    grid.add_row("committee spread", _spread(status))
    grid.add_row("reference calls", _bar(status["reference_calls"], budget["reference_calls"]))
    if status["refine_calls"]:
        grid.add_row("final relaxations", f"{status['refine_calls']} evaluations")
    grid.add_row("structures", _structures(status))
    grid.add_row("queue", _queue(status))
    left = eta(status) if running else None
    rest = "" if left is None else f", at most {duration(left)} left"
    grid.add_row("elapsed", duration(status["elapsed"]) + rest)
    title = Text.assemble((str(status["search"]), "bold"), f"  {status['formula']}")
    return Panel(grid, title=title, title_align="left", border_style="blue", width=80)


@contextmanager
def open_progress(
    *, quiet: bool = False, console: Console | None = None
) -> Iterator[Progress | Silence]:
    """Open a display for as long as a search is watched.

    Parameters
    ----------
    quiet
        Show nothing.
    console
        Where to; standard output where None.
    """
    if quiet:
        yield Silence()
        return
    with Progress(console) as progress:
        yield progress


class Silence:
    """A display that shows nothing."""

    def update(self, status: Status) -> None:
        """Take a new status."""
        del status


class Progress:
    """Shows a search while it runs: a live panel on a terminal, else a line at each change.

    Parameters
    ----------
    console
        Where to; standard output where None.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self._live: Live | None = None
        self._last: tuple[object, ...] = ()

    def __enter__(self) -> Self:
        """Begin; the cursor is hidden on a terminal."""
        if self.console.is_terminal:
            self._live = Live(console=self.console, auto_refresh=False, transient=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; the last picture stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def update(self, status: Status) -> None:
        """Show a new status."""
        if self._live is not None:
            self._live.update(render(status), refresh=True)
            return
        key = _what_counts(status)
        if key != self._last:
            self._last = key
            self.console.print(plain_line(status), markup=False, soft_wrap=True)


def _what_counts(status: Status) -> tuple[object, ...]:
    where = ("state", "reason", "phase", "iteration", "generation")
    return tuple(status[key] for key in (*where, "reference_calls", "best_energy_per_atom"))


def _best(status: Status) -> str:
    best = status["best"]
    if not best or best["enthalpy_per_atom"] is None:
        return "none yet"
    group = f", {group_name(best['space_group'])}" if best["space_group"] else ""
    group += f", {best['prototype']['name']}" if best.get("prototype") else ""
    name = "" if best["enthalpy_per_atom"] == best["energy_per_atom"] else " (enthalpy)"
    return f"{best['enthalpy_per_atom']:.4f} eV/atom{name}{group}"


def _spread(status: Status) -> str:
    spread = status["spread"]
    return "–" if spread is None else f"{1000 * spread:.1f} meV/atom"


def _queue(status: Status) -> str:
    words = [
        f"{name} {counts['running']} running {counts['waiting']} waiting"
        for name, counts in queue(status).items()
        if counts["running"] or counts["waiting"]
    ]
    return ", ".join(words) or "empty"


def _structures(status: Status) -> str:
    stages = status["structures_by_stage"]
    rest = ", ".join(f"{count} {stage}" for stage, count in stages.items() if count)
    return str(status["structures"]) + (f" ({rest})" if rest else "")


def _bar(used: int, budget: int) -> RenderableType:
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=budget, completed=min(used, budget), width=24), f"{used} of {budget}"
    )
    return bar
