"""The benchmark of the schedule: real workers, counted structures, the cost of a job."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aga.bench.schedule.cost import measure_cost
from aga.bench.schedule.limits import limits
from aga.bench.schedule.measure import Measured
from aga.bench.schedule.table import gantt, schedule_table, throughput_figure
from aga.bench.schedule.throughput import Case, Row, measure_case
from aga.tasks.session import open_session

pytestmark = [pytest.mark.embedded, pytest.mark.slow]

SCHEDULES: tuple[Any, ...] = ("sequential", "concurrent")


@pytest.fixture(scope="module")
def rows(embedded_server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    """Measure both schedules for a short time, with few workers."""
    found = {}
    for schedule in SCHEDULES:
        case = Case(schedule=schedule, ga=1, oracle=2, unit=0.4, window=20.0)
        folder = tmp_path_factory.mktemp(schedule) / "case"
        found[schedule] = measure_case(case, f"{embedded_server}/bench_{schedule}", folder)
    return found


def test_structures_are_counted_within_the_window(rows: dict[str, Row]) -> None:
    for row in rows.values():
        assert 0 < row.saved <= row.labelled
        assert 0 < row.busy < 1
        begin, end = row.panel.window
        assert end - begin == pytest.approx(8.0)
        assert {s.worker for s in row.panel.spans} == {"ga 1", "oracle 1", "oracle 2", "train 1"}


def test_one_module_at_a_time_and_side_by_side(rows: dict[str, Row]) -> None:
    def overlap(row: Row) -> float:
        """Seconds in which something was bred and something labelled."""
        spans = row.panel.spans
        return sum(
            max(0.0, min(a.end, b.end) - max(a.start, b.start))
            for a in spans
            for b in spans
            if (a.kind, b.kind) == ("breed", "label")
        )

    assert overlap(rows["sequential"]) < 0.05
    assert overlap(rows["concurrent"]) > 1.0
    assert rows["concurrent"].generations > rows["sequential"].generations


def test_the_cost_of_a_job_is_counted_and_its_commands_do_not_grow(
    embedded_database: str, tmp_path: Path
) -> None:
    few, many = measure_cost(embedded_database, None, tmp_path / "cost", finished=(10, 200))
    assert (few.finished, many.finished) == (10, 200)
    assert few.worker_ms > 0
    assert few.server_ms is None
    assert many.operations == pytest.approx(few.operations, rel=0.1)
    search = open_session(embedded_database).repository
    (document,) = search.list_searches()
    assert len(search.list_steps(document["_id"], kind="label")) == 260
    one, ten = limits(many)
    assert ten["commands_per_second"] == pytest.approx(10 * one["commands_per_second"])


def test_what_is_printed_and_drawn(
    rows: dict[str, Row], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from aga.bench.schedule.cost import Cost
    from aga.cli.console import console

    costs = tuple(
        Cost(finished=n, worker_ms=30.0, server_ms=20.0, commands={"find": 40.0, "update": 15.0})
        for n in (100, 10_000)
    )
    measured = Measured(rows=tuple(rows.values()), costs=costs)
    assert measured.ratio is None, "not measured with the crew of the comparison"
    assert gantt(measured) is None
    throughput_figure(measured).savefig(tmp_path / "throughput.png")
    console().print(schedule_table(measured))
    text = capsys.readouterr().out
    assert "concurrent" in text
    assert "1000 workers" in text
    document = measured.to_dict()
    assert document["cpu_ms_per_job"] == {"at_100": 30.0, "at_10000": 30.0}
    json.dumps(document)


def test_a_worker_that_does_not_come_up_is_named(tmp_path: Path, embedded_server: str) -> None:
    order = tmp_path / "order.json"
    order.write_text(json.dumps({"database": "mongodb://127.0.0.1:1/none"}))
    ended = subprocess.run(
        [sys.executable, "-m", "aga.bench.schedule.worker", str(order)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode != 0
    assert "does not answer" in ended.stderr
