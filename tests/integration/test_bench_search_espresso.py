"""A problem of one's own by an external program: every run of it is counted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aga.bench.search.arms import ARMS
from aga.bench.search.jobs import Job, Record, perform
from aga.bench.search.own_problem import load_problem
from aga.bench.search.problems import Problem
from aga.errors import SettingsError

pytestmark = pytest.mark.espresso

QUICK: dict[str, Any] = {
    "composition": "Si2",
    "answer": -1000.0,
    "reference_calls": 5,
    "search": {
        "formula_units": 1,
        "initial_structures": 4,
        "offspring": 5,
        "generations_per_iteration": 1,
        "final_relaxations": 1,
        "relax_steps": 10,
        "budget": {"reference_calls": 5},
        "acquisition": {"picks_per_iteration": 1},
    },
    "training": {"passes": 3},
    "oracle": {
        "engine": "espresso",
        "timeout": 120,
        "relax_steps": 2,
        "options": {
            "pseudopotentials": {"Si": "Si.pz-vbc.UPF"},
            "ecutwfc": 8,
            "kpoint_spacing": 1.2,
        },
    },
}


def problem(folder: Path, **changes: Any) -> Problem:
    file = folder / "si2.yaml"
    file.write_text(json.dumps(QUICK | changes))  # JSON is YAML
    return load_problem(file)


def counted_program(folder: Path) -> tuple[str, Path]:
    """Give a command that starts pw.x and writes down that it did, and what it writes into."""
    started = folder / "started"
    started.touch()
    script = folder / "counting-pw.x"
    script.write_text(f'#!/bin/sh\necho run >> "{started}"\nexec {shutil.which("pw.x")} "$@"\n')
    script.chmod(0o755)
    return str(script), started


def bout(folder: Path, arm: str) -> tuple[Record, int]:
    command, started = counted_program(folder)
    own = problem(folder, machine={"espresso_command": command})
    record = perform(Job(problem=own, arm=ARMS[arm], seed=0), lambda _: None)
    return record, len(started.read_text().splitlines())


def test_direct_runs_count_every_run_of_the_program(tmp_path: Path) -> None:
    record, runs = bout(tmp_path, "ga")
    assert record["failed"] is None
    assert record["calls"] == runs == QUICK["reference_calls"]
    assert record["lowest"] < -100.0


def test_searches_count_labels_and_final_relaxations(tmp_path: Path) -> None:
    record, runs = bout(tmp_path, "aga-focal-uncertainty")
    assert record["verdict"] == "budget"
    assert record["labels"] == 5
    assert record["relaxations"] == 1
    # the rank correlation asks for at most 40 more, which do not count
    assert 5 < record["calls"] < runs <= record["calls"] + 40


def test_a_missing_program_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no program"):
        problem(tmp_path, machine={"espresso_command": "/nowhere/pw.x"})
