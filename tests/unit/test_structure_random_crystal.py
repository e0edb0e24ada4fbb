from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import spglib

from aga.errors import GenerationError
from aga.structure import random_crystal as module
from aga.structure.candidate import Candidate
from aga.structure.geometry import DistanceLimits, fractional, too_close
from aga.structure.pyxtal_generator import SymmetricRequest, compatible, symmetric_crystal
from aga.structure.random_crystal import draw_crystal, random_atoms, random_crystal
from aga.structure.symmetry import space_group

LIMITS = DistanceLimits(factor=0.65, overrides={})
SYSTEMS = [
    ({"Si": 8}, 160.0),
    ({"Si": 2}, 40.0),
    ({"O": 4, "Ti": 2}, 62.0),
    ({"C": 8}, 48.0),
    ({"Cl": 4, "Na": 4}, 180.0),
]


@pytest.mark.parametrize(("counts", "volume"), SYSTEMS, ids=str)
def test_counts_volume_and_distances_are_as_asked(counts: dict[str, int], volume: float) -> None:
    for seed in range(12):
        draw = draw_crystal(counts, np.random.default_rng(seed), volume=volume, limits=LIMITS)
        assert Counter(draw.candidate.symbols) == counts
        assert not too_close(draw.candidate, LIMITS)
        assert draw.tries <= module.SYMMETRIC_TRIES + 1
        if draw.tries <= module.SYMMETRIC_TRIES:
            assert draw.candidate.volume == pytest.approx(volume, rel=1e-6)


def test_most_crystals_have_symmetry_and_groups_vary() -> None:
    rng = np.random.default_rng(1)
    found = [
        space_group(random_crystal({"Si": 8}, rng, volume=160.0, limits=LIMITS), 0.01).number
        for _ in range(30)
    ]
    assert sum(number > 1 for number in found) >= 25
    assert len(set(found)) >= 12


def test_one_seed_one_crystal_and_the_global_generator_is_left_alone() -> None:
    np.random.seed(7)  # noqa: NPY002 - to see that nobody draws from it
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - see above
    crystals = []
    for _ in range(2):
        rng = np.random.default_rng(3)
        crystals.append(
            [random_crystal({"O": 4, "Ti": 2}, rng, volume=62.0, limits=LIMITS) for _ in range(8)]
        )
    for one, other in zip(*crystals, strict=True):
        assert (one.positions == other.positions).all()
        assert (one.cell == other.cell).all()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002 - see above


POINT_GROUP_ORDER = {
    5: 2, 12: 4, 38: 4, 43: 4, 79: 4, 98: 8, 141: 16, 146: 3, 166: 12, 225: 48, 227: 48,
}  # fmt: skip


def point_group_order(candidate: Candidate) -> int:
    cell = (candidate.cell, fractional(candidate), candidate.numbers)
    rotations = spglib.get_symmetry_dataset(cell, symprec=1e-3).rotations
    return len({tuple(r.ravel()) for r in rotations})


@pytest.mark.parametrize("group", POINT_GROUP_ORDER)
@pytest.mark.parametrize("conventional", [True, False])
def test_centred_groups_keep_the_counts_in_either_cell(
    group: int,
    conventional: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    atoms = 6 if group in {146, 166} else 8
    request = SymmetricRequest(
        counts={"Si": atoms},
        volume=20.0 * atoms,
        group=group,
        conventional=conventional,
        limits=LIMITS,
    )
    assert compatible(request)
    rng = np.random.default_rng(0)
    found = [c for _ in range(6) if (c := symmetric_crystal(request, rng, name="x")) is not None]
    assert found
    for candidate in found:
        assert candidate.formula == f"Si{atoms}"
        assert candidate.volume == pytest.approx(20.0 * atoms)
        # the symmetry asked for is there; special positions may add more
        assert point_group_order(candidate) >= POINT_GROUP_ORDER[group]


def test_impossible_groups_are_known_beforehand() -> None:
    # 3 atoms in the conventional cell of a group whose sites hold 4, 8, …
    request = SymmetricRequest(
        counts={"Si": 3}, volume=60.0, group=227, conventional=True, limits=LIMITS
    )
    assert not compatible(request)


def test_without_symmetry_the_cell_grows_until_the_atoms_fit() -> None:
    limits = DistanceLimits(factor=1.0, overrides={})
    rng = np.random.default_rng(0)
    found = random_atoms({"Si": 8}, rng, volume=90.0, limits=limits)
    assert not too_close(found, limits)
    assert 90.0 < found.volume < 180.0


def test_what_cannot_fit_ends_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYMMETRIC_TRIES", 2)
    limits = DistanceLimits(factor=1.5, overrides={})
    with pytest.raises(GenerationError, match="do not fit") as caught:
        draw_crystal({"Si": 8}, np.random.default_rng(0), volume=40.0, limits=limits)
    assert "min_distance_factor" in str(caught.value.remedy)
