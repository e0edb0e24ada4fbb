"""The speed of passes: rows have their shape, and numbers in them fit together."""

from __future__ import annotations

import jsonschema
import numpy as np
import pytest

from aga.bench import training_speed
from aga.bench.accuracy_table import accuracy_tables
from aga.bench.cases import random_cells
from aga.bench.training_speed import measure_training
from aga.cli.console import console
from aga.config.potential import PotentialSettings
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame

COUNT = {"type": "integer", "minimum": 1}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
MAYBE = {"type": ["number", "null"], "exclusiveMinimum": 0}
PROPERTIES = {
    "labels": {"enum": ["energies", "forces"]},
    "stored": {"enum": ["descriptors", "jacobians"]},
    "threads": COUNT,
    "frames": COUNT,
    "atoms": COUNT,
    "seconds_per_pass": POSITIVE,
    "frames_per_second": POSITIVE,
    "first_pass_seconds": POSITIVE,
    "frames_per_second_from_start": POSITIVE,
    "torch_seconds_per_frame": MAYBE,
    "ratio_torch": MAYBE,
}
SCHEMA = {
    "type": "object",
    "properties": PROPERTIES,
    "required": list(PROPERTIES),
    "additionalProperties": False,
}


@pytest.fixture
def frames(monkeypatch: pytest.MonkeyPatch) -> list[Frame]:
    """Five that are measured, one of another size and one without forces."""
    small = PotentialSettings(cutoff=3.5, hidden=(4,))
    monkeypatch.setattr(training_speed, "POTENTIAL", small)
    monkeypatch.setattr(training_speed, "ATOMS", 12)
    found = [labelled(cell, number) for number, cell in enumerate(random_cells(5))]
    two = Candidate(
        name="two",
        numbers=np.array([8, 22]),
        positions=np.array([[0.0, 0.0, 0.0], [1.9, 0.0, 0.0]]),
        cell=4.0 * np.eye(3),
    )
    bare = Frame(candidate=random_cells(1, purpose="bare")[0], energy=-90.0)
    return [labelled(two, 5), *found, bare]


def labelled(candidate: Candidate, number: int) -> Frame:
    rng = stream(1, "speed", number)
    energy = float(-8.0 * len(candidate) + rng.normal())
    return Frame(candidate=candidate, energy=energy, forces=rng.normal(size=(len(candidate), 3)))


def test_rows_and_their_table(frames: list[Frame], capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    rows = measure_training(frames, said.append, quick=True)
    for row in rows:
        jsonschema.validate(row, SCHEMA)
        assert (row["frames"], row["atoms"]) == (5, 60)
        assert row["frames_per_second"] * row["seconds_per_pass"] == pytest.approx(5)
        from_start = 100 / (row["first_pass_seconds"] + 19 * row["seconds_per_pass"])
        assert row["frames_per_second_from_start"] == pytest.approx(from_start)
    assert [(row["labels"], row["ratio_torch"] is None) for row in rows] == [
        ("energies", True),
        ("forces", False),
        ("forces", False),
    ]
    assert "5 frames" in said[0]
    console().print(accuracy_tables({"threads": 2, "rows": [], "speed": rows}))
    assert "plain torch" in capsys.readouterr().out


def test_without_frames_there_is_nothing_to_measure(frames: list[Frame]) -> None:
    assert measure_training([frames[0], frames[-1]], lambda _: None) == []
