from __future__ import annotations

import numpy as np
import pytest
import spglib
from ase.build import bulk

from aga.structure import geometry
from aga.structure.candidate import Candidate
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.symmetry import P1, primitive, space_group, standardised


def silicon(displacement: float = 0.0) -> Candidate:
    atoms = bulk("Si", cubic=True, a=5.432)
    atoms.rattle(displacement, seed=0)
    return Candidate.from_ase(atoms, name="Si8")


def test_diamond_is_named() -> None:
    found = space_group(silicon(), 0.05)
    assert (found.number, found.symbol) == (227, "Fd-3m")
    assert found.to_dict() == {"number": 227, "symbol": "Fd-3m"}


def test_the_tolerance_decides_about_a_distorted_crystal() -> None:
    rattled = silicon(0.02)
    assert space_group(rattled, 0.2).number == 227
    assert space_group(rattled, 1e-4) == P1


def test_what_spglib_cannot_read_is_p1() -> None:
    two_on_one = Candidate(
        name="x", numbers=[14, 14], positions=np.zeros((2, 3)), cell=np.eye(3) * 5
    )
    assert space_group(two_on_one, 0.05) == P1
    assert standardised(two_on_one, 0.05) is two_on_one
    assert primitive(two_on_one, 0.05) is two_on_one


def test_primitive_and_conventional_cells_are_the_same_crystal() -> None:
    small = primitive(silicon(0.01), 0.1)
    large = standardised(small, 0.1)
    assert (len(small), len(large)) == (2, 8)
    assert large.volume == pytest.approx(4 * small.volume)
    assert cosine_distance(fingerprint(small), fingerprint(large)) < 1e-10
    assert space_group(small, 1e-4).number == 227


def test_spglib_does_not_write_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        half = rng.random((3, 3))
        scaled = np.concatenate([half, half + 0.5 + rng.normal(0.0, 0.02, (3, 3))])
        cell = 4 * np.eye(3) + rng.normal(0.0, 0.3, (3, 3))
        loose = Candidate(name="loose", numbers=np.full(6, 14), positions=scaled @ cell, cell=cell)
        space_group(loose, 0.5)
        primitive(loose, 0.5)
    assert capfd.readouterr().err == ""


def test_a_cell_that_spglib_gives_up_on_is_only_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise spglib.SpglibError("Niggli reduction failed")

    monkeypatch.setattr(geometry, "niggli_reduce", fails)
    crystal = silicon(0.1)
    same = geometry.reduced(crystal.moved(crystal.positions + 20.0))
    np.testing.assert_allclose(same.cell, crystal.cell)
    assert cosine_distance(fingerprint(same), fingerprint(crystal)) < 1e-8
