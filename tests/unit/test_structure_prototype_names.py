"""Structure types are recognised by name, whatever elements stand in their places."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from aga.errors import SiteError
from aga.structure import prototype_names
from aga.structure.aflow import aflow_entries
from aga.structure.candidate import Candidate
from aga.structure.prototype_names import PrototypeName, prototype_of
from aga.structure.structure_types import own_types, structure_types
from aga.structure.symmetry import space_group

TOLERANCE = 0.05


def recognised(atoms: Atoms, noise: float = 0.003) -> PrototypeName | None:
    """Name a supercell of the crystal with its atoms a little out of place."""
    large = atoms * (1, 2, 1)
    large.rattle(noise, seed=0)
    return prototype_of(Candidate.from_ase(large, name="x"), TOLERANCE)


def titania(group: int, cell: list[float], *places: tuple[float, float, float]) -> Atoms:
    symbols = ["Ti", *["O"] * (len(places) - 1)]
    return crystal(symbols, places, spacegroup=group, cellpar=[*cell, 90, 90, 90])


KNOWN = {
    "diamond": (bulk("Si", a=5.43), "diamond", "A4", "cF8"),
    "fcc": (bulk("Al", a=4.05), "Copper", "A1", "cF4"),
    "hcp": (bulk("Zn", "hcp", a=2.66, c=4.4), "Magnesium", "A3", "hP2"),
    "rock salt": (bulk("MgO", "rocksalt", a=4.21), "Halite, Rock Salt", "B1", "cF8"),
    "zincblende": (bulk("GaAs", "zincblende", a=5.65), "Zincblende, Sphalerite", "B3", "cF8"),
    "wurtzite": (bulk("ZnO", "wurtzite", a=3.25, c=5.2), "Wurtzite", "B4", "hP4"),
    "rutile": (
        titania(136, [4.594, 4.594, 2.959], (0, 0, 0), (0.305, 0.305, 0)),
        *("Rutile", "C4", "tP6"),
    ),
    "anatase": (
        titania(141, [3.784, 3.784, 9.515], (0, 0, 0), (0, 0, 0.208)),
        *("Anatase", "C5", "tI12"),
    ),
    "brookite": (
        titania(
            61,
            [9.174, 5.449, 5.138],
            (0.1289, 0.0972, 0.8628),
            (0.0095, 0.1491, 0.1835),
            (0.2314, 0.111, 0.5366),
        ),
        *("Brookite", "C21", "oP24"),
    ),
}


@pytest.mark.parametrize("which", KNOWN)
def test_known_types(which: str) -> None:
    atoms, name, strukturbericht, pearson = KNOWN[which]
    found = recognised(atoms)
    assert found is not None
    assert (found.name, found.strukturbericht, found.pearson) == (name, strukturbericht, pearson)
    assert found.to_dict()["aflow"] == found.aflow


def test_what_is_no_known_type_has_no_name() -> None:
    rng = np.random.default_rng(0)
    shapeless = Candidate(
        name="x", numbers=[14] * 5, positions=rng.random((5, 3)) * 4.6, cell=np.eye(3) * 4.6
    )
    assert prototype_of(shapeless, TOLERANCE) is None
    strange = Candidate(name="x", numbers=[14] * 2, positions=np.zeros((2, 3)), cell=np.eye(3) * 4)
    assert prototype_of(strange, TOLERANCE) is None


def test_mirror_images_have_one_name() -> None:
    places = [(0.4697, 0, 2 / 3), (0.4135, 0.2669, 0.7858)]
    quartz = crystal(["Si", "O"], places, spacegroup=154, cellpar=[4.91, 4.91, 5.4, 90, 90, 120])
    left = quartz.copy()
    left.set_cell(left.cell.array * [-1, 1, 1])
    left.set_positions(quartz.positions * [-1, 1, 1])
    one, other = recognised(quartz), recognised(left)
    assert one == other
    assert one is not None
    assert "uartz" in one.name


def test_our_crystals_are_what_they_say() -> None:
    """The symmetry and the number of atoms of each belong to its labels."""
    assert len(own_types()) >= 8
    for one in own_types():
        name, built = one.name, one.crystal()
        assert space_group(built, 1e-3).number == name.space_group, name.name
        assert prototype_of(built, TOLERANCE) == name
        distances = built.to_ase().get_all_distances(mic=True) + 9 * np.eye(len(built))
        assert distances.min() > 1.7, name.name


def test_wrong_entries_of_the_library_are_replaced() -> None:
    labels = [one.name.aflow for one in structure_types()]
    assert labels.count("A2B_tI12_141_e_a") == 1
    assert labels.count("A2B_oP24_61_2c_c") == 1
    assert len(labels) > 280
    assert len(aflow_entries()) > 280


def test_names_can_do_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise SiteError("pymatgen's library of prototypes can't be read", remedy="none")

    monkeypatch.setattr(prototype_names, "structure_types", gone)
    prototype_names._library.cache_clear()
    try:
        assert recognised(KNOWN["diamond"][0]) is None
        found = recognised(KNOWN["anatase"][0])
        assert found is not None
        assert found.name == "Anatase"
    finally:
        prototype_names._library.cache_clear()
