"""Runs of another code: what counts as another, and what becomes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import aga
from aga.bench.search import code
from aga.bench.search.arms import ARMS
from aga.bench.search.code import combined, decisive_modules
from aga.bench.search.jobs import Job
from aga.bench.search.page import BEGIN, END
from aga.bench.search.problems import PROBLEMS, merged
from aga.bench.search.provenance import footer, left_out_lines, provenance
from aga.bench.search.results import ResultsFile
from aga.cli.main import main

Change = Callable[[str, str, str], None]


def job(arm: str, problem: str = "si8") -> Job:
    return Job(problem=PROBLEMS[problem], arm=ARMS[arm], seed=0)


def modules(arm: str) -> set[str]:
    return set(decisive_modules([ARMS[arm].target.partition(":")[0], "aga.oracle.tersoff"]))


def forget() -> None:
    for known in (code.code_digest, code._source):
        known.cache_clear()


@pytest.fixture
def change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Change]:
    """Replace text in a copy of the package, as another version of it would have it."""
    copy = tmp_path / "aga"
    shutil.copytree(Path(aga.__file__).parent, copy, ignore=shutil.ignore_patterns("*.pyc"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    forget()

    def edit(file: str, old: str, new: str) -> None:
        text = (copy / file).read_text("utf-8")
        assert old in text
        (copy / file).write_text(text.replace(old, new), "utf-8")
        forget()

    yield edit
    forget()


def test_the_modules_that_decide_are_those_that_an_arm_uses() -> None:
    ga, peer, whole = modules("ga"), modules("ase-ga"), modules("aga")
    shared = {"aga.bench.search.ledger", "aga.potential.relax.minimise", "aga.oracle.tersoff"}
    assert shared <= ga & peer & whole
    assert {"aga.search.rates", "aga.structure.wyckoff", "aga.cycle.generation"} <= ga - peer
    assert "aga.bench.peers.ase_ga_search" in peer - ga - whole
    assert {"aga.training.fit", "aga.search.acquisition", "aga.cycle.whole"} <= whole - ga
    assert not [one for one in peer if one.startswith(("aga.search", "aga.cycle"))]
    seen_alone = ("aga.bench.search.table", "aga.errors", "aga.cli", "aga.store", "aga.config.load")
    assert not [one for one in ga | peer | whole if one.startswith(seen_alone)]


def test_words_change_nothing(change: Change) -> None:
    before = [job(arm).code() for arm in ("ga", "aga")]
    change("search/population.py", '__all__ = ["', '# of the search\n\n__all__   = [ "')
    change("search/rates.py", '"""Rates that adapt', '"""Shares that adapt')
    change("config/search.py", 'description="structures kept', 'description="how many are kept')
    change("bench/search/table.py", "whole search", "all of the search")
    assert [job(arm).code() for arm in ("ga", "aga")] == before


@pytest.mark.parametrize(
    ("edit", "arms"),
    [
        (("structure/fingerprint.py", "WIDTH = 0.2\n", "WIDTH = 0.21\n"), {"ga", "aga"}),
        (("training/focal.py", "def ", "def _unused() -> None: ...\n\n\ndef "), {"aga"}),
        (("structure/elements.json", "{", '{"Xx": 1, '), {"ga", "aga", "ase-ga"}),
        (("bench/peers/ase_ga_search.py", "TRIES = 500", "TRIES = 501"), {"ase-ga"}),
        (("oracle/emt.py", "class ", "class _Other: ...\n\n\nclass "), set()),
    ],
    ids=["fingerprint", "training", "data", "peer", "another engine"],
)
def test_code_changes_the_runs_that_it_decides(
    edit: tuple[str, str, str], arms: set[str], change: Change
) -> None:
    names = ("ga", "aga", "ase-ga")
    before = {arm: job(arm).code() for arm in names}
    change(*edit)
    assert {arm for arm in names if job(arm).code() != before[arm]} == arms


def test_a_calculator_of_one_s_own_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    tree = merged(PROBLEMS["cu-au"].settings, {"oracle": {"engine": "my_own_method:Mine"}})
    own = replace(job("ga"), problem=replace(PROBLEMS["cu-au"], settings=tree))
    found = []
    for number in ("1.0", "1.0  # as before", "1.1"):
        text = f"from ase.calculators.emt import EMT\n\nSCALE = {number}\nclass Mine(EMT): ...\n"
        (tmp_path / "my_own_method.py").write_text(text)
        forget()
        found.append(own.code())
    assert found[0] == found[1] != found[2]


def test_one_digest_of_several() -> None:
    assert combined(["ab", "ab"]) == "ab"
    assert combined(["ab", "cd"]) == combined(["cd", "ab", "cd"]) not in {"ab", "cd"}


def record(of: Job, **facts: Any) -> dict[str, Any]:
    named = {"problem": of.problem.name, "arm": of.arm.name, "seed": of.seed}
    return {**named, "key": of.key(), "code": of.code(), "version": "0.1.0", **facts}


def test_runs_of_another_code_are_kept_and_not_counted(tmp_path: Path) -> None:
    first, second = job("ga"), replace(job("ga"), seed=1)
    both = [first, second]
    results = ResultsFile(tmp_path)
    old = record(first, code="0" * 16, calls=1)
    for one in (old, record(second, calls=3)):
        results.add(one)
    again = ResultsFile(tmp_path)
    assert again.missing(both) == [first]
    assert again.left_out(both) == 1
    assert [one["calls"] for one in again.of(both)] == [3]
    assert [one["calls"] for one in ResultsFile(tmp_path, any_code=True).of(both)] == [1, 3]
    again.add(record(first, calls=2))
    assert (again.missing(both), again.left_out(both)) == ([], 0)
    for any_code in (False, True):
        kept = ResultsFile(tmp_path, any_code=any_code)
        assert [one["calls"] for one in kept.of(both)] == [2, 3], "this code goes first"
    assert len(again.path.read_text("utf-8").splitlines()) == 3


def test_runs_of_before_codes_were_written_down_never_count(tmp_path: Path) -> None:
    old = {key: value for key, value in record(job("ga")).items() if key != "code"}
    (tmp_path / "runs.jsonl").write_text(json.dumps(old) + "\n")
    for any_code in (False, True):
        results = ResultsFile(tmp_path, any_code=any_code)
        assert results.missing([job("ga")]) == [job("ga")]
        assert (results.left_out([job("ga")]), results.unidentified([job("ga")])) == (0, 1)
    (told,) = left_out_lines(0, 1)
    assert told.startswith("1 run of an early version of aga is left out: no code")
    results.add(record(job("ga")))
    assert results.unidentified([job("ga")]) == 0


def test_another_default_is_another_code_and_the_same_key(change: Change) -> None:
    before = job("aga")
    code_, key = before.code(), before.key()
    change("config/training.py", "focal_gamma: ", "more_gamma: int = 0\n    focal_gamma: ")
    assert (job("aga").key(), job("aga").code() == code_) == (key, False)


def test_the_line_below_the_table_is_true() -> None:
    own, other = record(job("ga")), record(job("ga"), code="0" * 16)
    codes = {job("ga").code()}
    short = job("ga").code()[:8]
    assert footer(provenance([own], codes)) == f"runs of aga 0.1.0, code {short}"
    told = footer(provenance([own, own | {"version": "0.2.0"}, other], codes))
    assert told.startswith(f"runs of aga 0.1.0 and 0.2.0, code {short}; 1 of 3 runs is of another")
    assert footer(provenance([other] * 2, codes)).startswith("2 of 2 runs are of another version")
    assert footer(provenance([], codes)) == ""
    assert left_out_lines(37, 0) == [
        "37 runs of another version of aga are left out; --any-code counts them"
    ]
    assert left_out_lines(0, 0) == []


def quick(folder: Path, *words: str) -> int:
    common = ["bench", "search", "--quick", "--seeds", "1", "--problem", "cu-au", "--arm", "random"]
    return main([*common, "--output", str(folder), *words])


def test_a_folder_of_another_version_is_not_silently_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(f"{BEGIN}\n{END}\n", "utf-8")
    assert quick(tmp_path, "--workers", "1", "--page", str(page)) == 0
    printed = capsys.readouterr().out
    (kept,) = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    said = f"uns of aga {aga.__version__}, code {kept['code'][:8]}"
    assert f"r{said}\n" in printed
    assert page.read_text("utf-8").endswith(f"R{said}.\n\n{END}\n")

    (tmp_path / "runs.jsonl").write_text(json.dumps(kept | {"code": "f" * 16}) + "\n")
    assert quick(tmp_path, "--workers", "0", "--json") == 0
    found = capsys.readouterr()
    assert "1 run of another version of aga is left out; --any-code counts them" in found.err
    document = json.loads(found.out)
    assert (document["schema"], document["rows"]) == (1, [])
    assert (document["missing"], document["left_out"], document["runs"]) == (1, 1, 0)

    page.with_suffix(".jsonl").unlink()
    assert quick(tmp_path, "--workers", "0", "--any-code", "--page", str(page)) == 0
    found = capsys.readouterr()
    assert found.err == ""
    told = "1 of 1 run is of another version of aga, counted by --any-code"
    assert told in found.out
    assert told in page.read_text("utf-8")

    assert quick(tmp_path, "--workers", "1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["missing"], document["left_out"], document["other_code"]) == (0, 0, 0)
    assert document["rows"][0]["codes"] == [kept["code"]]
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 2
