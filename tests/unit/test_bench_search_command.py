"""`aga bench search` as a user runs it: documents, pages, resuming."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from aga.bench.search.page import BEGIN, END
from aga.cli.main import main

DIRECT = ["--arm", "random", "--arm", "ga", "--arm", "ase-ga"]
ADAPTIVE = ["--arm", "aga", "--arm", "aga-focal", "--arm", "aga-focal-uncertainty"]
PROMISED = {
    *("problem", "arm", "seeds", "successes", "interval", "median_reference_calls"),
    *("median_relaxations", "overhead_ms_per_candidate"),
}


def quick(folder: Path, *words: str, problem: str = "cu-au") -> int:
    common = ["bench", "search", "--quick", "--seeds", "1", "--workers", "1"]
    return main([*common, "--problem", problem, "--output", str(folder), *words])


def rows_of(printed: str) -> list[dict[str, Any]]:
    document = json.loads(printed)
    assert document["schema"] == 1
    assert document["missing"] == 0
    rows: list[dict[str, Any]] = document["rows"]
    return rows


def test_direct_arms_end_to_end_and_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert quick(tmp_path, *DIRECT, "--json") == 0
    first = capsys.readouterr()
    rows = rows_of(first.out)
    assert [row["arm"] for row in rows] == ["random", "ga", "ase-ga"]
    assert first.err.count("of 3") == 3
    for row in rows:
        assert set(row) >= PROMISED
        assert row["seeds"] == 1
        assert row["median_candidates"] > 0
        assert row["overhead_ms_per_candidate"] > 0
        assert row["lowest"] > row["answer"] - 0.001
    kept = (tmp_path / "runs.jsonl").read_text("utf-8")
    for record in map(json.loads, kept.splitlines()):
        assert 0 < record["calls"] <= 300
        assert 0 < record["relaxations"] <= 6
        assert record["failed"] is None

    assert quick(tmp_path, *DIRECT, "--json") == 0
    second = capsys.readouterr()
    assert second.err == ""
    assert json.loads(second.out) == json.loads(first.out)
    assert (tmp_path / "runs.jsonl").read_text("utf-8") == kept
    assert (tmp_path / "search-cu-au.png").stat().st_size > 5000


def test_direct_runs_are_the_same_every_time(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        assert quick(tmp_path / name, "--arm", "ga", "--arm", "ase-ga") == 0
        lines = (tmp_path / name / "runs.jsonl").read_text("utf-8").splitlines()
        found.append([(r["arm"], r["marks"]) for r in map(json.loads, lines)])
    assert found[0] == found[1]


def test_the_page_gets_table_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "explanation" / "page.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nafter\n", "utf-8")
    assert quick(tmp_path / "runs", "--arm", "random", "--page", str(page)) == 0
    text = page.read_text("utf-8")
    assert text.startswith(f"# Before\n\n{BEGIN}\n\n| problem | arm |")
    assert text.endswith(f"{END}\n\nafter\n")
    assert "old" not in text
    assert re.search(r"\n\| cu-au \| random \| [01]/1 \|", text)
    assert (page.parents[1] / "images" / "search-cu-au.png").exists()
    assert "cu-au" in capsys.readouterr().out

    # whoever has the page and the runs beside it can draw it again, and go on with it
    kept = page.with_suffix(".jsonl").read_text("utf-8")
    assert kept == (tmp_path / "runs" / "runs.jsonl").read_text("utf-8")
    nothing = ["--workers", "0", "--page", str(page)]
    assert quick(tmp_path / "elsewhere", "--arm", "random", *nothing) == 0
    assert page.read_text("utf-8") == text
    assert page.with_suffix(".jsonl").read_text("utf-8") == kept
    assert not (tmp_path / "elsewhere" / "runs.jsonl").exists()
    # a page of another problem loses none of them
    other = ["--arm", "random", "--page", str(page)]
    assert quick(tmp_path / "elsewhere", *other, problem="c8") == 0
    both = page.with_suffix(".jsonl").read_text("utf-8")
    assert both.startswith(kept)
    assert [json.loads(line)["problem"] for line in both.splitlines()] == ["cu-au", "c8"]
    assert quick(tmp_path / "elsewhere", "--arm", "random", *nothing) == 0
    assert page.read_text("utf-8") == text
    assert quick(tmp_path / "elsewhere", "--arm", "random", "--arm", "ga", *nothing) == 0
    assert "missing above: 1." in page.read_text("utf-8")
    page.write_text("no place\n", "utf-8")
    assert quick(tmp_path / "runs", "--arm", "random", "--page", str(page)) == 2
    assert "no place for the results" in capsys.readouterr().err


@pytest.mark.slow
def test_searches_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quick(tmp_path, *ADAPTIVE, "--json", problem="si8") == 0
    rows = rows_of(capsys.readouterr().out)
    assert [row["arm"] for row in rows] == ["aga", "aga-focal", "aga-focal-uncertainty"]
    for record in map(json.loads, (tmp_path / "runs.jsonl").read_text("utf-8").splitlines()):
        # six initial structures, picks until nine, then one final relaxation
        assert record["labels"] <= 9 < record["calls"]
        assert record["relaxations"] == 1
        assert -1 <= record["correlation"] <= 1
        assert record["verdict"] == "budget"
        assert record["training_seconds"] > 0
        assert record["failed"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--problem", "si9"], "there is no problem 'si9'"),
        (["--arm", "genetic"], "there is no arm 'genetic'"),
        (["--problem", "missing.yaml"], "there is no file missing.yaml"),
        (["--seeds", "0"], "seeds"),
    ],
)
def test_wrong_words_are_refused(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "search", "--output", str(tmp_path / "new"), *words]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
