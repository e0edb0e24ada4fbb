"""What each worker of a search did, from the steps it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from aga.report.rows import duration
from aga.report.timeline import Panel, Span, busy_share
from aga.store.documents import Step, utcnow

__all__ = ["Shift", "shifts", "shifts_table", "worker_panel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """The time that a worker spent on a search, from its first step to its last.

    ``spans`` are its steps in seconds since the epoch; ``job`` is its job in the queue, if any.
    """

    worker: str
    job: str | None
    spans: tuple[Span, ...]

    @property
    def begin(self) -> float:
        """When its first step began."""
        return min(span.start for span in self.spans)

    @property
    def end(self) -> float:
        """When its last step ended."""
        return max(span.end for span in self.spans)

    @property
    def busy(self) -> float:
        """Share of the time in between that steps took."""
        if self.end <= self.begin:
            return 1.0
        return busy_share(self.spans, 1, (self.begin, self.end))

    @property
    def kinds(self) -> dict[str, int]:
        """How many steps of each kind."""
        return dict(Counter(span.kind for span in self.spans).most_common())

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "worker": self.worker,
            "job": self.job,
            "begin": self.begin,
            "end": self.end,
            "busy_share": self.busy,
            "steps": self.kinds,
            "spans": [{"kind": s.kind, "start": s.start, "end": s.end} for s in self.spans],
        }


def shifts(steps: Sequence[Step], now: datetime | None = None) -> list[Shift]:
    """Sort the steps of a search by who has done them, the first to begin first.

    A step that is running counts up to ``now``; of a step that was begun several times only the
    last attempt is known.
    """
    moment = (now or utcnow()).timestamp()
    own: dict[str, list[Span]] = {}
    jobs: dict[str, str | None] = {}
    for step in steps:
        if step.worker is None or step.started_at is None:
            continue
        name = f"{step.worker.host}:{step.worker.pid}"
        end = moment if step.ended_at is None else step.ended_at.timestamp()
        span = Span(worker=name, kind=step.kind, start=step.started_at.timestamp(), end=end)
        own.setdefault(name, []).append(span)
        jobs[name] = step.worker.job
    found = [
        Shift(worker=name, job=jobs[name], spans=tuple(sorted(spans, key=lambda s: s.start)))
        for name, spans in own.items()
    ]
    return sorted(found, key=lambda shift: (shift.begin, shift.worker))


def shifts_table(search: str, found: Sequence[Shift]) -> Table:
    """Give a line for each worker, and one for all."""
    table = Table(
        title=f"workers of {search}", title_justify="left", title_style="bold", box=SIMPLE_HEAD
    )
    table.add_column("worker")
    jobs = any(shift.job for shift in found)
    if jobs:
        table.add_column("job")
    for heading in ("time", "busy\n%"):
        table.add_column(heading, justify="right")
    table.add_column("steps")
    for shift in found:
        steps = ", ".join(f"{n} {kind}" for kind, n in shift.kinds.items())
        table.add_row(
            shift.worker,
            *([shift.job or "–"] if jobs else []),
            duration(shift.end - shift.begin),
            f"{100 * shift.busy:.0f}",
            steps,
        )
    spans = [span for shift in found for span in shift.spans]
    window = (min(s.begin for s in found), max(s.end for s in found))
    share = busy_share(spans, len(found), window) if window[1] > window[0] else 1.0
    table.add_section()
    table.add_row(
        "all, from the first to the last",
        *([""] if jobs else []),
        duration(window[1] - window[0]),
        f"{100 * share:.0f}",
        "",
    )
    return table


def worker_panel(search: str, found: Sequence[Shift]) -> Panel:
    """Give the chart of all workers over the whole time."""
    return Panel(
        title=search,
        spans=[span for shift in found for span in shift.spans],
        workers=[shift.worker for shift in found],
        window=(min(s.begin for s in found), max(s.end for s in found)),
    )
