"""`aga bench speed`: the document has its shape, the timing does what it says."""

import json
import time
from itertools import groupby
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from aga.bench.cases import random_cells
from aga.bench.relaxation import measure_relaxation
from aga.bench.speed import Options, measure
from aga.bench.teaching import trained_committee
from aga.bench.timing import Samples, interleave
from aga.cli.main import main
from aga.errors import InputError

NUMBER = {"type": ["number", "null"]}
ROW = {
    "type": "object",
    "properties": {
        "case": {"type": "string"},
        "form": {"enum": ["wide", "narrow"]},
        "threads": {"enum": [1, 2]},
        "us_per_atom": {"type": "number", "exclusiveMinimum": 0},
        "ratio_torch": NUMBER,
        "ratio_dscribe": NUMBER,
    },
    "required": ["case", "form", "threads", "us_per_atom", "ratio_torch", "ratio_dscribe"],
    "additionalProperties": False,
}
RELAX = ["ratio_frechet", "ratio_unitcell", "optimizer_share"]
SCHEMA = {
    "type": "object",
    "properties": {
        "schema": {"const": 1},
        "rows": {"type": "array", "items": ROW, "minItems": 1},
        "committee_cost_ratio": NUMBER,
        "two_core_ratio": NUMBER,
        "relax": {
            "type": "object",
            "properties": dict.fromkeys(RELAX, NUMBER),
            "required": RELAX,
        },
        "first_energy_s": NUMBER,
        "memory_bytes_per_atom": NUMBER,
    },
    "required": ["schema", "rows", "committee_cost_ratio", "two_core_ratio", "relax"],
}


def test_quick_run_prints_a_document(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    words = ["bench", "speed", "--quick", "--case", "rutile", "--no-relax"]
    assert main([*words, "--json", "--output", str(file)]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    jsonschema.validate(document, SCHEMA)
    assert json.loads(file.read_text()) == document
    assert {row["case"] for row in document["rows"]} == {"rutile-6"}
    assert document["relax"] == dict.fromkeys(RELAX)
    assert "rutile" in printed.err
    for entry in document["stages"]:
        assert sum(entry["shares"].values()) == pytest.approx(1.0)
    from aga.bench.tables import speed_tables
    from aga.cli.console import console

    console().print(speed_tables(document))
    assert "rutile-6" in capsys.readouterr().out


def test_relaxations_find_the_same_minima() -> None:
    """Quick: four cells, two of them by ASE too; from rattled minima both come back to them."""
    said: list[str] = []
    committee = trained_committee(quick=True)
    found = measure_relaxation(committee, random_cells(4), compared=2, progress=said.append)
    jsonschema.validate(found["relax"], SCHEMA["properties"]["relax"])  # type: ignore[index] # a literal
    assert 0.0 < found["relax"]["optimizer_share"] < 1.0
    details = found["relaxation"]
    for loop in (*details["ase"].values(), details["basins"]):
        assert loop["cells"] == loop["same"] + loop["lower"] + loop["higher"]
        assert loop["ms_per_relaxation"] > 0
    assert details["basins"]["same"] == details["basins"]["cells"] > 0
    assert sum("ASE" in line for line in said) == 2


def test_absent_peers_are_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aga.bench.speed.installed", lambda: False)
    monkeypatch.setattr("aga.bench.speed.fresh_process", lambda *_, **__: {})
    document: dict[str, Any] = measure(
        Options(cases=["rutile"], quick=True, relax=False), lambda _: None
    )
    assert all(row["ratio_dscribe"] is None for row in document["rows"])
    assert all(row["ratio_torch"] is not None for row in document["rows"])


def test_what_differs_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aga.bench.speed.AGREEMENT", 0.0)
    monkeypatch.setattr("aga.bench.speed.fresh_process", lambda *_, **__: {})
    said: list[str] = []
    document = measure(Options(cases=["rutile"], quick=True, relax=False), said.append)
    assert document["rows"] == []
    assert any("differs" in line for line in said)


def test_unknown_case_is_named() -> None:
    with pytest.raises(InputError, match="rutil'"):
        measure(Options(cases=["rutil"]), lambda _: None)


def test_contestants_take_turns() -> None:
    order: list[str] = []

    def call(name: str) -> None:
        order.append(name)
        time.sleep(0.02)

    samples = interleave({name: (lambda name=name: call(name)) for name in "ab"}, 3)  # type: ignore[misc] # mypy can't infer the default
    assert [name for name, _ in groupby(order)] == ["a", "b"] * 4  # and a turn to warm up
    assert len(samples.seconds["a"]) == 3


def test_who_may_choose_is_as_quick_as_the_quickest() -> None:
    samples = Samples({"ours": [1.0, 1.0], "peer@1": [3.0, 9.0], "peer@2": [5.0, 2.0]}).merged()
    assert samples.seconds == {"ours": [1.0, 1.0], "peer": [3.0, 2.0]}


def test_ratios_are_taken_round_by_round() -> None:
    samples = Samples({"ours": [1.0, 10.0, 2.0], "peer": [3.0, 30.0, 8.0]})
    assert samples.median("ours") == 2.0
    assert samples.ratio("peer", "ours") == 3.0
