"""Errors of a potential on labelled frames, against numbers worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from aga.errors import DataError
from aga.potential.kinds import make_committee
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame, Prediction
from aga.training.scoring.assessment import assess, predict_frames
from aga.units import EV_PER_A3_IN_GPA


def make_frame(name: str, energy: float, count: int = 2, **labels: object) -> Frame:
    grid = np.arange(count)[:, None] * np.array([1.9, 0.1, 0.0])
    candidate = Candidate(
        name=name, numbers=np.full(count, 8), positions=grid, cell=np.diag([2.0 * count, 5, 5])
    )
    return Frame(candidate=candidate, energy=energy, source="a.xyz", **labels)


def make_prediction(
    energy: float, count: int = 2, force: float = 0.0, stress: float = 0.0
) -> Prediction:
    return Prediction(
        energy=energy,
        energies=np.full(count, energy / count),
        energy_spread=0.01,
        forces=np.full((count, 3), force),
        forces_spread=np.zeros(count),
        force_spread=0.2,
        stress=np.full(6, stress),
    )


FRAMES = [
    make_frame("a-00000", -8.0, forces=np.zeros((2, 3)), stress=np.zeros(6), group="bulk"),
    make_frame("a-00001", -6.0, forces=np.zeros((2, 3)), group="bulk"),
    make_frame("a-00002", -20.0, 4),
]
PREDICTIONS = [
    make_prediction(-8.02, force=0.3, stress=0.01),
    make_prediction(-5.94, force=-0.1),
    make_prediction(-20.0, 4, force=9.0),
]


def test_errors_by_hand() -> None:
    said = assess(FRAMES, PREDICTIONS, {"training": [0, 1], "test": [2], "none": []})
    # errors of the energy per atom: −10, +30 and 0 meV
    assert said.all.energy.mae == pytest.approx(40 / 3)
    assert said.all.energy.rmse == pytest.approx(np.sqrt(1000 / 3))
    # of −4, −3 and −5 eV/atom: squares of the distances from the mean add up to 2 eV²
    assert said.all.energy.r2 == pytest.approx(1 - 0.001 / 2)
    assert said.all.rank_correlation == pytest.approx(1.0)
    assert (said.all.frames, said.all.energy.count) == (3, 3)
    assert said.all.forces.count == 12
    assert said.all.forces.mae == pytest.approx(0.2)
    assert said.all.forces.rmse == pytest.approx(np.sqrt((0.09 + 0.01) / 2))
    assert said.all.forces.r2 is None
    assert said.all.stress.count == 6
    assert said.all.stress.mae == pytest.approx(0.01 * EV_PER_A3_IN_GPA)


def test_splits_and_groups() -> None:
    said = assess(FRAMES, PREDICTIONS, {"training": [0, 1], "test": [2], "none": []})
    assert said.splits["training"].energy.mae == pytest.approx(20)
    assert said.splits["training"].forces.count == 12
    assert (said.splits["test"].forces, said.splits["test"].rank_correlation) == (None, None)
    assert said.splits["none"].energy is None
    assert said.splits["none"].frames == 0
    assert list(said.groups) == ["a.xyz", "bulk"]
    assert said.groups["bulk"] == said.splits["training"]
    assert said.groups["a.xyz"].frames == 1


def test_worst_frames_and_rows() -> None:
    said = assess(FRAMES, PREDICTIONS)
    told = [(one.quantity, one.name, round(one.error, 9)) for one in said.worst]
    assert told == [
        ("energy", "a-00001", 30.0),
        ("energy", "a-00000", -10.0),
        ("energy", "a-00002", 0.0),
        ("forces", "a-00000", 0.3),
        ("forces", "a-00001", 0.1),
    ]
    first, second, third = said.rows
    assert first["energy_error"] == pytest.approx(-10)
    assert first["force_rmse"] == pytest.approx(0.3)
    assert first["stress_rmse"] == pytest.approx(0.01 * EV_PER_A3_IN_GPA)
    assert (second["stress_rmse"], third["force_rmse"]) == (None, None)
    assert (first["group"], third["group"]) == ("bulk", None)
    assert third["predicted_energy_per_atom"] == -5.0
    document = said.to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_arrays_for_plots() -> None:
    parity = assess(FRAMES, PREDICTIONS).parity
    np.testing.assert_allclose(parity["energy"].reference, [-4, -3, -5])
    np.testing.assert_allclose(parity["energy"].predicted, [-4.01, -2.97, -5])
    np.testing.assert_array_equal(parity["forces"].owners, [0] * 6 + [1] * 6)
    np.testing.assert_allclose(parity["forces"].of([1]).predicted, [-0.1] * 6)
    np.testing.assert_allclose(parity["stress"].predicted, 0.01 * EV_PER_A3_IN_GPA)
    assert set(assess(FRAMES[2:], PREDICTIONS[2:]).parity) == {"energy"}


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="0 frames"):
        assess([], [])
    with pytest.raises(DataError, match="3 frames, 2 predictions"):
        assess(FRAMES, PREDICTIONS[:2])


def test_frames_that_cannot_be_predicted_are_named(make_member: Callable) -> None:
    committee = make_committee([make_member(0), make_member(1)], "two")
    assert len(predict_frames(committee, FRAMES)) == 3
    strange = Candidate(
        name="b-00001", numbers=np.array([14]), positions=np.zeros((1, 3)), cell=4 * np.eye(3)
    )
    frames = [
        *FRAMES,
        Frame(candidate=strange.renamed("b-00000").moved(strange.positions), energy=0.0),
        Frame(candidate=strange, energy=0.0, source="b.xyz"),
    ]
    with pytest.raises(
        DataError, match=r"b\.xyz, frame 0: b-00001: .* no network for Si"
    ) as caught:
        predict_frames(committee, frames)
    assert [row["file"] for row in caught.value.facts["frames"]] == ["reference", "b.xyz"]
    flat = Candidate(
        name="a-00003", numbers=np.array([8, 8]), positions=np.zeros((2, 3)), cell=4 * np.eye(3)
    )
    with pytest.raises(DataError, match=r"a\.xyz, frame 3: a-00003: two atoms stand on one point"):
        predict_frames(committee, [*FRAMES, Frame(candidate=flat, energy=0.0, source="a.xyz")])
