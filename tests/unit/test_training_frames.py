"""Labelled files: what is read, and which file and frame an error names."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from aga.errors import DataError
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.frames import check_frames, read_frames, split_frames


def labelled(symbols: str = "Si2", **labels: object) -> Atoms:
    atoms = Atoms(symbols, positions=[[0, 0, 0], [1.4, 1.4, 1.4]], cell=[4, 4, 4], pbc=True)
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def full() -> dict[str, object]:
    return {
        "energy": -9.0,
        "forces": np.full((2, 3), 0.1),
        "stress": np.array([1.0, 2, 3, 4, 5, 6]) * 1e-3,
    }


def make_frame(name: str = "a", **changes: object) -> Frame:
    candidate = Candidate(
        name=name,
        numbers=np.array([14, 14]),
        positions=np.array([[0.0, 0, 0], [2.0, 1, 1]]),
        cell=4 * np.eye(3),
    )
    values: dict = {"forces": np.zeros((2, 3)), "stress": np.zeros(6), "source": "my.xyz"}
    return Frame(candidate=candidate, **({"energy": -9.0} | values | changes))


@pytest.mark.parametrize("suffix", [".xyz", ".extxyz", ".xyz.gz"])
def test_labels_are_read_as_they_stand(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"data{suffix}"
    write(path, [labelled(**full()), labelled(energy=-8.5)], format="extxyz")
    first, second = read_frames(path, ["Si"])
    assert (first.name, second.name) == ("data-00000", "data-00001")
    assert first.source == path.name
    assert first.energy == -9.0
    np.testing.assert_array_equal(first.forces, np.full((2, 3), 0.1))
    np.testing.assert_allclose(first.stress, np.array([1.0, 2, 3, 4, 5, 6]) * 1e-3)
    assert (second.energy, second.forces, second.stress) == (-8.5, None, None)


@pytest.mark.shared_data
def test_a_real_file(shared_data: Path) -> None:
    frames = read_frames(shared_data / "mlearn" / "Si_test.xyz.gz", ["Si"])
    assert len(frames) > 20
    assert all(f.forces is not None and f.stress is not None for f in frames)
    assert all(-6.0 < f.energy_per_atom < -4.0 for f in frames)


def test_a_frame_without_energy_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    write(path, [labelled(**full()), labelled(forces=np.zeros((2, 3)))], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 1: has no energy") as caught:
        read_frames(path)
    assert caught.value.facts["frames"][0]["frame"] == 1


def test_a_frame_that_is_no_crystal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    molecule = Atoms("Si2", positions=[[0, 0, 0], [2, 0, 0]])
    molecule.calc = SinglePointCalculator(molecule, energy=-3.0)
    write(path, [labelled(**full()), labelled(**full()), molecule], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 2: .*no volume"):
        read_frames(path)


def test_garbage_and_missing_and_empty_files(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    write(path, [labelled(**full()), labelled(**full())], format="extxyz")
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DataError, match=r"data\.xyz: cannot read frame 1"):
        read_frames(path)
    path.write_text("")
    with pytest.raises(DataError, match=r"data\.xyz"):
        read_frames(path)
    with pytest.raises(DataError, match=r"nowhere\.xyz: cannot read"):
        read_frames(tmp_path / "nowhere.xyz")


def test_an_unknown_element_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.xyz"
    write(path, [labelled(**full()), labelled("SiGe", **full())], format="extxyz")
    with pytest.raises(DataError, match=r"data\.xyz, frame 1: Ge does not belong"):
        read_frames(path, ["Si"])
    assert len(read_frames(path, ["Ge", "Si"])) == 2


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
