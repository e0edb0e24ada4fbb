from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from aga.structure.candidate import Candidate
from aga.structure.fingerprint import Shelf, cosine_distance, cosine_distances, fingerprint
from aga.structure.geometry import reduced

SEEDS = st.integers(0, 2**32 - 1)


def crystal(rng: np.random.Generator) -> Candidate:
    size = int(rng.integers(2, 7))
    cell = np.diag(rng.uniform(3.0, 6.0, 3)) + rng.uniform(-1.0, 1.0, (3, 3))
    if np.linalg.det(cell) < 0:
        cell[0] *= -1
    return Candidate(
        name="x",
        numbers=rng.choice([8, 22], size),
        positions=rng.random((size, 3)) @ cell,
        cell=cell,
    )


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_turning_moving_and_renumbering_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = crystal(rng)
    turn = Rotation.random(random_state=int(rng.integers(2**31))).as_matrix()
    order = rng.permutation(len(one))
    other = Candidate(
        name="y",
        numbers=one.numbers[order],
        positions=(one.positions[order] + rng.normal(size=3)) @ turn,
        cell=one.cell @ turn,
    )
    assert fingerprint(other) == pytest.approx(fingerprint(one), abs=1e-8, rel=1e-8)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, repeat=st.tuples(*[st.integers(1, 2)] * 3))
def test_supercells_and_other_bases_change_nothing(seed: int, repeat: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(seed)
    one = crystal(rng)
    change = np.eye(3)
    change[0, 1], change[2, 0] = rng.integers(-2, 3, 2)
    sheared = one.moved(one.positions, change @ one.cell)
    large = Candidate.from_ase(sheared.to_ase() * repeat, name="large")
    for other in (sheared, large, reduced(large)):
        assert fingerprint(other) == pytest.approx(fingerprint(one), abs=1e-7, rel=1e-7)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_small_displacements_give_small_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = crystal(rng)
    moved = one.moved(one.positions + rng.normal(0, 1e-4, one.positions.shape))
    assert cosine_distance(fingerprint(one), fingerprint(moved)) < 1e-5


def hexagonal_diamond() -> Candidate:
    from ase.spacegroup import crystal as by_symmetry

    atoms = by_symmetry(
        "Si", [(1 / 3, 2 / 3, 0.0625)], spacegroup=194, cellpar=[3.841, 3.841, 6.272, 90, 90, 120]
    )
    return Candidate.from_ase(atoms, name="lonsdaleite")


def test_polytypes_differ_and_a_slight_strain_does_not() -> None:
    diamond = Candidate.from_ase(bulk("Si", cubic=True, a=5.432), name="diamond")
    stretched = Candidate.from_ase(bulk("Si", cubic=True, a=5.432 * 1.01), name="stretched")
    tolerance = 0.02
    assert cosine_distance(fingerprint(diamond), fingerprint(stretched)) < tolerance
    assert cosine_distance(fingerprint(diamond), fingerprint(hexagonal_diamond())) > tolerance


def test_exchanging_the_elements_of_a_compound_shows() -> None:
    rutile = Candidate(
        name="rutile",
        numbers=[22, 22, 8, 8, 8, 8],
        positions=np.array(
            [[0, 0, 0], [0.5, 0.5, 0.5], [0.305, 0.305, 0], [0.695, 0.695, 0],
             [0.195, 0.805, 0.5], [0.805, 0.195, 0.5]]
        ) @ np.diag([4.59, 4.59, 2.96]),
        cell=np.diag([4.59, 4.59, 2.96]),
    )  # fmt: skip
    swapped = Candidate(
        name="swapped", numbers=rutile.numbers, positions=rutile.positions[[2, 1, 0, 3, 4, 5]],
        cell=rutile.cell,
    )  # fmt: skip
    assert cosine_distance(fingerprint(rutile), fingerprint(swapped)) > 0.02


def test_other_elements_are_as_far_as_can_be() -> None:
    silicon = fingerprint(Candidate.from_ase(bulk("Si"), name="Si"))
    salt = fingerprint(Candidate.from_ase(bulk("NaCl", "rocksalt", a=5.64), name="NaCl"))
    assert cosine_distances(silicon, [salt, silicon, np.zeros(0)]) == pytest.approx([1, 0, 1])
    assert cosine_distances(silicon, []).shape == (0,)


@pytest.mark.shared_data
def test_known_phases_of_titania_are_told_apart() -> None:
    import gzip
    import io
    import os
    from pathlib import Path

    from ase.io import read

    root = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("AGA_SHARED", root.parent / "shared")) / "data/tio2"
    path /= "known_phases.xyz.gz"
    if not path.exists():
        pytest.skip(f"{path} is missing (set AGA_SHARED)")
    text = gzip.decompress(path.read_bytes()).decode()
    phases = read(io.StringIO(text), ":", format="extxyz")
    prints = [fingerprint(Candidate.from_ase(a, name=str(k))) for k, a in enumerate(phases)]
    apart = np.array([cosine_distances(one, prints) for one in prints])
    assert apart[np.triu_indices(len(prints), 1)].min() > 0.02


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, count=st.integers(0, 70))
def test_a_shelf_measures_as_pairs_do(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    prints = [rng.normal(size=12) for _ in range(count)]
    prints[3:5] = [np.zeros(12), rng.normal(size=4)][: len(prints[3:5])]  # nothing; other elements
    shelf = Shelf(prints)
    assert len(shelf) == count
    for one in (rng.normal(size=12), np.zeros(12)):
        assert shelf.distances(one) == pytest.approx(cosine_distances(one, prints), abs=1e-12)
    assert (shelf.distances(rng.normal(size=5)) == 1.0).all()
