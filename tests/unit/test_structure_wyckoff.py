"""Our reading of the Wyckoff tables beside PyXtal's own, and crystals made of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import spglib

from aga.errors import SiteError
from aga.structure import wyckoff
from aga.structure.geometry import DistanceLimits
from aga.structure.lattices import random_lattice
from aga.structure.occupation import compatible_settings, fits, occupation
from aga.structure.placement import placed
from aga.structure.wyckoff import GROUPS, centring, lattice_points, site_sizes, sites

LIMITS = DistanceLimits(factor=0.5, overrides={})


def test_positions_of_all_groups_are_those_of_pyxtal() -> None:
    from pyxtal.symmetry import Group

    somewhere = np.array([0.137, 0.291, 0.418])
    for number in GROUPS:
        group = Group(number)
        cells = len(lattice_points(number))
        assert group.cellsize() == cells
        for theirs, ours, (size, free) in zip(
            group, sites(number), site_sizes(number), strict=True
        ):
            assert theirs.multiplicity == size * cells == ours.size * cells
            assert (theirs.get_dof() > 0) == free == ours.free
            wanted = np.array([op.operate(somewhere) for op in theirs.ops])
            found = (ours.turns @ somewhere + ours.shifts) @ centring(number)
            for point in found:
                apart = wanted - point
                assert np.abs(apart - np.rint(apart)).max(axis=1).min() < 1e-9


@pytest.mark.parametrize("numbers", [(8,), (2, 4), (3, 3, 9)])
def test_what_fits_is_what_pyxtal_says_fits(numbers: tuple[int, ...]) -> None:
    from pyxtal.symmetry import Group

    for number in GROUPS:
        cells = len(lattice_points(number))
        theirs = bool(Group(number).check_compatible(np.array(numbers) * cells)[0])
        assert fits(number, numbers) == theirs, number
        assert ((number, 1) in compatible_settings(numbers)) == theirs


def test_every_occupation_adds_up_and_takes_fixed_positions_once() -> None:
    rng = np.random.default_rng(0)
    numbers = (2, 4)
    for group, cells in compatible_settings(numbers):
        inside = tuple(n // cells for n in numbers)
        sizes = site_sizes(group)
        for _ in range(3):
            taken = occupation(group, inside, rng)
            assert tuple(
                sum(sizes[k][0] for e, k in taken if e == element) for element in (0, 1)
            ) == inside  # fmt: skip
            fixed = Counter(k for _, k in taken if not sizes[k][1])
            assert all(n == 1 for n in fixed.values())


def test_positions_of_few_and_of_many_atoms_are_both_drawn() -> None:
    rng = np.random.default_rng(0)
    kinds = Counter(len(occupation(2, (8,), rng)) for _ in range(200))
    assert min(kinds) == 4
    assert max(kinds) >= 7
    assert len(kinds) >= 4


@pytest.mark.parametrize("group", GROUPS)
def test_a_crystal_has_the_symmetry_of_its_group(group: int) -> None:
    rng = np.random.default_rng(group)
    general = site_sizes(group)[0][0]
    counts = {14: general}
    found = None
    for _ in range(40):
        cell = centring(group) @ random_lattice(group, 40.0 * general, rng)
        found = placed(group, counts, cell, LIMITS.matrix(np.array([14])), rng)
        if found is not None:
            break
    assert found is not None
    numbers, scaled = found
    assert len(numbers) == general
    symmetry = spglib.get_symmetry_dataset((cell, scaled, numbers), symprec=1e-4)
    operations = {tuple(turn.ravel()) for turn in symmetry.rotations}
    # special positions may add more
    assert len(operations) >= general
    assert len(operations) % general == 0


def test_a_missing_table_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr(wyckoff, "find_spec", lambda _: Spec)
    with pytest.raises(SiteError, match="Wyckoff") as caught:
        wyckoff._table.__wrapped__()
    assert "pip install" in str(caught.value.remedy)
