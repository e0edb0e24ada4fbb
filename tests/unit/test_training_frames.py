"""Labelled frames: which are refused, which contradict each other, which are set aside."""

import re
from dataclasses import replace

import numpy as np
import pytest

from aga.errors import DataError
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.data.duplicates import check_duplicates
from aga.training.data.frames import check_frames, split_frames
from aga.training.data.splits import assign_splits


def make_frame(name: str = "a", **changes: object) -> Frame:
    candidate = Candidate(
        name=name,
        numbers=np.array([14, 14]),
        positions=np.array([[0.0, 0, 0], [2.0, 1, 1]]),
        cell=4 * np.eye(3),
    )
    values: dict = {"forces": np.zeros((2, 3)), "stress": np.zeros(6), "source": "my.xyz"}
    return Frame(candidate=candidate, **({"energy": -9.0} | values | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energy": np.nan}, "the energy is nan"),
        ({"energy": -np.inf}, "the energy is -inf"),
        ({"forces": np.zeros((3, 3))}, r"forces have shape \(3, 3\) instead of \(2, 3\)"),
        ({"forces": np.full((2, 3), np.nan)}, "forces hold"),
        ({"stress": np.zeros((3, 3))}, r"stress have shape \(3, 3\) instead of \(6,\)"),
        ({"stress": np.array([0, 0, np.inf, 0, 0, 0])}, "stress hold"),
    ],
)
def test_bad_labels_are_refused(changes: dict, message: str) -> None:
    check_frames([make_frame()], ["Si"])
    with pytest.raises(DataError, match=rf"my\.xyz, frame 1: {message}"):
        check_frames([make_frame(), make_frame(**changes)], ["Si"])


def test_every_bad_frame_is_counted() -> None:
    bad = [make_frame(energy=np.nan) for _ in range(25)]
    with pytest.raises(DataError, match=r"frame 9: .*\n… and 15 more"):
        check_frames(bad, ["Si"])
    with pytest.raises(DataError, match="no labelled frame"):
        check_frames([], ["Si"])


def test_splits_differ_by_member_and_stay_when_frames_join() -> None:
    frames = [make_frame(f"g{i:03d}-000") for i in range(200)]
    training, validation = split_frames(frames, 0.1, seed=4, member=0)
    assert sorted(training + validation) == list(range(200))
    assert 8 <= len(validation) <= 35
    assert split_frames(frames, 0.1, seed=4, member=0) == (training, validation)
    assert split_frames(frames, 0.1, seed=4, member=1) != (training, validation)
    assert split_frames(frames, 0.1, seed=5, member=0) != (training, validation)
    earlier = split_frames(frames[:120], 0.1, seed=4, member=0)[1]
    assert earlier == [i for i in validation if i < 120]


def test_few_frames_all_train() -> None:
    frames = [make_frame("a"), make_frame("b")]
    for member in range(20):
        assert split_frames(frames, 0.9, seed=0, member=member) == ([0, 1], [])
    assert split_frames(frames, 0.0, seed=0, member=0) == ([0, 1], [])


def contradicts(*frames: Frame) -> bool:
    try:
        check_duplicates(frames)
    except DataError:
        return True
    return False


def crystal(n: int = 12, energy: float = -40.0, seed: int = 3) -> Frame:
    rng = stream(seed, "crystal")
    cell = 6 * np.eye(3) + rng.normal(0, 0.3, (3, 3))
    candidate = Candidate(
        name="data-00000",
        numbers=np.array([8] * (n // 2) + [22] * (n - n // 2)),
        positions=rng.uniform(0, 1, (n, 3)) @ cell,
        cell=cell,
    )
    return Frame(candidate=candidate, energy=energy, source="data.xyz")


def changed(frame: Frame, **parts: object) -> Frame:
    return replace(frame, energy=-40.1, candidate=replace(frame.candidate, **parts))


def test_one_structure_with_two_energies() -> None:
    frame, rng = crystal(), stream(5, "shift")
    atoms, order = frame.candidate, rng.permutation(12)
    noise = rng.uniform(-0.9e-4, 0.9e-4, (12, 3))
    for parts in (
        {},
        {"positions": atoms.positions + noise},
        {"positions": atoms.positions[order], "numbers": atoms.numbers[order]},
        {"positions": atoms.positions + rng.integers(-2, 3, (12, 3)) @ atoms.cell},
        {"cell": atoms.cell + rng.uniform(-0.5e-4, 0.5e-4, (3, 3))},
    ):
        assert contradicts(frame, changed(frame, **parts)), parts
    exchanged = atoms.numbers[::-1]
    for parts in (
        {"positions": atoms.positions + 3 * np.eye(12)[:, :3] * 1e-4},
        {"cell": atoms.cell + 2e-4},
        {"numbers": exchanged},
        {"numbers": np.full(12, 8)},
    ):
        assert not contradicts(frame, changed(frame, **parts)), parts


@pytest.mark.parametrize("seed", range(20))
def test_rounding_hides_no_contradiction(seed: int) -> None:
    frame = crystal(seed=seed)
    near = stream(seed, "near").uniform(-1e-5, 1e-5, (12, 3))
    assert contradicts(frame, changed(frame, positions=frame.candidate.positions + near))


def test_equal_energies_are_allowed() -> None:
    frame = crystal()
    assert not contradicts(frame, frame, frame)
    assert not contradicts(frame, replace(frame, energy=-40.0 + 12 * 0.9e-3))
    assert contradicts(frame, frame, replace(frame, energy=-40.0 + 12 * 1.1e-3))
    assert not contradicts(frame, replace(frame, energy=np.nan))
    assert not contradicts()


def test_contradictions_are_named_by_file_and_number() -> None:
    frames = [crystal(seed=seed) for seed in range(20)]
    frames[17] = replace(frames[3], energy=-37.2)
    told = (
        "frames 3 and 17 of data.xyz are the same structure with energies "
        "-3.33333 and -3.10000 eV/atom"
    )
    with pytest.raises(DataError, match=f"^{re.escape(told)}$") as caught:
        check_duplicates(frames)
    assert caught.value.facts["frames"] == [{"file": "data.xyz", "frame": 17, "problem": told}]
    many = [replace(frames[0], energy=float(e)) for e in range(6)]  # 15 pairs
    with pytest.raises(DataError, match=r"\n… and 5 more$"):
        check_duplicates(many)


def test_the_test_set_stays_when_frames_join() -> None:
    frames = [make_frame(f"a-{i:05d}") for i in range(300)]
    rest, test = assign_splits(frames, seed=4, test_fraction=0.2)
    assert sorted(rest + test) == list(range(300))
    assert 40 <= len(test) <= 80
    assert assign_splits(frames, seed=5, test_fraction=0.2) != (rest, test)
    assert assign_splits(frames[:150], seed=4, test_fraction=0.2)[1] == [i for i in test if i < 150]
    assert assign_splits(frames, seed=4, test_fraction=0.0) == (list(range(300)), [])
    assert test != split_frames(frames, 0.2, seed=4, member=0)[1]


def test_groups_go_to_one_side() -> None:
    frames = [make_frame(f"a-{i:05d}", group=f"g{i % 30}") for i in range(300)]
    frames += [make_frame(f"b-{i:05d}") for i in range(100)]
    rest, test = assign_splits(frames, seed=1, test_fraction=0.3, by_group=True)
    sides = [
        {frames[place].group for place in side if frames[place].group} for side in (rest, test)
    ]
    assert not sides[0] & sides[1]
    assert len(sides[0]) + len(sides[1]) == 30
    assert sides[1]
    lone = [place for place in test if not frames[place].group]
    assert 10 <= len(lone) <= 50


def test_empty_sides_are_refused() -> None:
    frames = [make_frame("a", group="x"), make_frame("b", group="x"), make_frame("c", group="x")]
    with pytest.raises(DataError, match=r"takes none of 3 frames: the test set is empty") as caught:
        assign_splits(frames, seed=1, test_fraction=1e-9)
    assert caught.value.remedy.startswith("raise the test fraction, give more frames, or set it to")
    with pytest.raises(DataError, match=r"takes all 3 frames in 1 group: none is left to train"):
        assign_splits(frames, seed=1, test_fraction=1.0, by_group=True)
    with pytest.raises(DataError, match="no labelled frame"):
        assign_splits([], seed=1, test_fraction=0.0)
