"""A relaxation's path as data: which points, under which names, and through files."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from aga.structure.candidate import Candidate, FloatArray, Lineage
from aga.structure.protocols import Label, PathPoint
from aga.structure.relaxation_path import (
    ALIKE,
    distance,
    path_frames,
    path_name,
    thinned,
    with_thin_path,
)

LINEAGE = Lineage(operator="strain", parents=("g002-004",), generation=3, stream="3/strain/017")
START = Candidate.from_ase(bulk("Si", cubic=True, a=5.4), name="g003-017", lineage=LINEAGE)


def moved(by: float, forces: FloatArray | None = None, energy: float = -30.0) -> PathPoint:
    """Give the start with its first atom moved so that it is ``by`` Å away from it."""
    positions = START.positions.copy()
    positions[0, 0] += by * 8 / np.sqrt(7)  # the common drift of the atoms does not count
    return PathPoint(
        positions=positions,
        cell=START.cell,
        energy=energy + by,
        forces=np.zeros((8, 3)) if forces is None else forces,
        stress=np.arange(6.0),
    )


def label(path: list[PathPoint]) -> Label:
    return Label(energy=-37.0, forces=np.zeros((8, 3)), evaluations=9, path=tuple(path))


def test_the_distance_of_one_moved_atom() -> None:
    assert distance(START, moved(0.1)) == pytest.approx(0.1)
    swollen = START.moved(1.01 * START.positions, 1.01 * START.cell)
    edge = (5.4**3 / 8) ** (1 / 3)
    told = edge * np.sqrt(3) * 0.5 * (1.01**2 - 1)
    assert distance(START, swollen) == pytest.approx(told)


def test_points_are_spread_by_the_way_walked_not_by_the_steps() -> None:
    way = [0.8, 0.5, 0.41, 0.3, 0.2, 0.1, *np.linspace(0.09, 0.0, 40)]
    path = [moved(by) for by in way]
    chosen = thinned(path, 3, known=[path[-1]])
    assert [way[path.index(one)] for one in chosen] == [0.8, 0.41, 0.2]
    again = thinned(path, 2, known=[path[-1], path[0]])
    assert [way[path.index(one)] for one in again] == [0.41, 0.2]


def test_what_is_near_the_end_or_the_start_is_left_out() -> None:
    path = [moved(by) for by in (0.5, 0.5 - 0.9 * ALIKE, 0.9 * ALIKE, 0.0)]
    assert thinned(path, 9, known=[path[-1], path[0]]) == ()
    assert thinned(path, 9, known=[path[-1]]) == (path[0],)
    assert thinned(path, 0, known=[path[-1]]) == ()
    assert thinned([], 3, known=[START]) == ()


def test_only_whole_points_are_chosen() -> None:
    broken = [
        moved(0.7, forces=np.full((8, 3), np.nan)),
        moved(0.6, energy=float("inf")),
        moved(0.5, forces=np.zeros((7, 3))),
        replace(moved(0.4), stress=np.full(6, np.nan)),
    ]
    good = [moved(0.2), replace(moved(0.3), stress=None)]
    assert thinned([*broken, *good], 9, known=[START]) == tuple(good)


def test_frames_are_named_after_the_start_and_come_from_it() -> None:
    thin = with_thin_path(label([moved(0.4), moved(0.2), moved(0.0)]), 2, known=[START])
    frames = path_frames(START, thin, "tersoff")
    assert [frame.name for frame in frames] == ["g003-017.ref.p01", "g003-017.ref.p02"]
    for frame, point in zip(frames, thin.path, strict=True):
        assert frame.energy == point.energy
        np.testing.assert_array_equal(frame.candidate.positions, point.positions)
        np.testing.assert_array_equal(frame.stress, point.stress)
        lineage = frame.candidate.lineage
        assert (lineage.operator, lineage.parents) == ("reference_relaxation", ("g003-017",))
        assert (lineage.generation, lineage.stream) == (3, "3/strain/017")
        assert frame.source == "tersoff"
    assert path_name("a", 100) == "a.ref.p100"


def test_thinning_changes_nothing_else_of_a_label() -> None:
    whole = label([moved(0.4), moved(0.2)])
    assert with_thin_path(whole, 0, known=[]) == replace(whole, path=())


def test_a_path_comes_back_through_a_file_bit_by_bit() -> None:
    told = label([moved(1 / 3), replace(moved(0.1), stress=None)])
    found = Label.from_dict(json.loads(json.dumps(told.to_dict(), allow_nan=False)))
    assert len(found.path) == 2
    for one, other in zip(told.path, found.path, strict=True):
        assert one.to_dict() == other.to_dict()
    assert found.path[0].positions.dtype == np.float64
    assert found.path[1].stress is None


def test_labels_of_earlier_versions_have_no_path() -> None:
    old = label([moved(0.1)]).to_dict()
    del old["path"]
    assert Label.from_dict(old).path == ()
