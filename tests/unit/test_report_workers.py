"""What each worker did, from the steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from aga.report.workers import shifts, shifts_table, worker_panel
from aga.store.documents import Step, StepKind, Worker

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def step(kind: StepKind, key: str, pid: int, start: float, end: float | None) -> Step:
    return Step(
        search_id="s",
        kind=kind,
        iteration=0,
        key=key,
        worker=Worker(host="node", pid=pid, started=0.0, job="17" if pid == 2 else None),
        started_at=BEGIN + timedelta(seconds=start),
        ended_at=None if end is None else BEGIN + timedelta(seconds=end),
        state="running" if end is None else "done",
    )


STEPS = [
    step("label", "a", 2, 4, 6),
    step("breed", "b", 1, 0, 2),
    step("breed", "c", 1, 6, 8),
    step("label", "d", 2, 6, None),
    Step(search_id="s", kind="label", iteration=0, key="waiting"),
]
NOW = BEGIN + timedelta(seconds=10)


def test_steps_are_sorted_by_worker() -> None:
    first, second = shifts(STEPS, NOW)
    assert (first.worker, first.job, first.kinds) == ("node:1", None, {"breed": 2})
    assert first.busy == pytest.approx(0.5)
    assert (second.worker, second.job) == ("node:2", "17")
    assert second.busy == pytest.approx(1.0)
    assert second.end == NOW.timestamp()


def test_the_table_counts_the_idle_time_of_all() -> None:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(shifts_table("s", shifts(STEPS, NOW)))
    lines = capture.get().splitlines()
    (last,) = [line for line in lines if "from the first to the last" in line]
    assert " 50" in last
    assert any("2 breed" in line for line in lines)


def test_the_chart_spans_the_whole_time() -> None:
    panel = worker_panel("s", shifts(STEPS, NOW))
    assert panel.workers == ["node:1", "node:2"]
    assert panel.window[1] - panel.window[0] == pytest.approx(10.0)
    assert not shifts([])
