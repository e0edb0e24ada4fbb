"""Whether two cells are one crystal: known families of structures that are easily mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation

from aga.structure import matching
from aga.structure.candidate import Candidate
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.matching import FAR, NEAR, CloseCalls, atoms_match, same_structure

TOLERANCE = 0.02
STACKED = {"A": (0, 0), "B": (1 / 3, 2 / 3), "C": (2 / 3, 1 / 3)}


def layers(sequence: str, element: str, *, double: bool) -> Candidate:
    """Stack close-packed layers, or the double layers of diamond, one apart in c/n."""
    n, a = len(sequence), 3.84 if double else 2.55
    height = a * np.sqrt(2 / 3)
    cell = [[a, 0, 0], [-a / 2, a * np.sqrt(3) / 2, 0], [0, 0, n * height]]
    places = [(*STACKED[s], k / n) for k, s in enumerate(sequence)]
    if double:
        places += [(x, y, z + 0.75 / n) for x, y, z in places]
    atoms = Atoms(element * len(places), scaled_positions=places, cell=cell, pbc=True)
    return Candidate.from_ase(atoms, name=sequence)


def titania(group: int, lengths: list[float], *oxygen: tuple[float, float, float]) -> Candidate:
    titanium = {136: (0, 0, 0), 141: (0, 0, 0), 61: (0.1289, 0.0972, 0.8628)}[group]
    atoms = crystal(
        ["Ti", *["O"] * len(oxygen)],
        [titanium, *oxygen],
        spacegroup=group,
        cellpar=[*lengths, 90, 90, 90],
    )
    return Candidate.from_ase(atoms, name=str(group))


def bronze() -> Candidate:
    places = [(0.1964, 0, 0.2885), (0.1001, 0, 0.7075), (0.361, 0, 0.2942), (0.0581, 0, 0.3692)]
    places += [(0.136, 0, 0.0022), (0.235, 0, 0.645)]
    cell = [12.1787, 3.7412, 6.5249, 90, 107.054, 90]
    atoms = crystal(["Ti"] * 2 + ["O"] * 4, places, spacegroup=12, cellpar=cell)
    return Candidate.from_ase(atoms, name="TiO2(B)")


SILICON = {
    "3C": Candidate.from_ase(bulk("Si", a=5.43), name="3C"),
    "2H": layers("AB", "Si", double=True),
    "4H": layers("ABCB", "Si", double=True),
    "6H": layers("ABCACB", "Si", double=True),
    "9R": layers("ABACACBCB", "Si", double=True),
    "15R": layers("ABCACBCABACABCB", "Si", double=True),
}
TITANIA = {
    "rutile": titania(136, [4.594, 4.594, 2.959], (0.305, 0.305, 0)),
    "anatase": titania(141, [3.7845, 3.7845, 9.5143], (0, 0, 0.2081)),
    "brookite": titania(
        61, [9.174, 5.449, 5.138], (0.0095, 0.1491, 0.1835), (0.2314, 0.111, 0.5366)
    ),
    "TiO2(B)": bronze(),
}
METALS = {
    "fcc": Candidate.from_ase(bulk("Cu", "fcc", a=3.61), name="fcc"),
    "hcp": layers("AB", "Cu", double=False),
    "dhcp": layers("ABAC", "Cu", double=False),
    "6H": layers("ABCACB", "Cu", double=False),
    "bcc": Candidate.from_ase(bulk("Cu", "bcc", a=2.87), name="bcc"),
}
CRYSTALS = [*SILICON.values(), *TITANIA.values(), *METALS.values()]


def guises(one: Candidate) -> Iterator[tuple[str, Candidate]]:
    """Describe the same crystal in other ways."""
    rng = np.random.default_rng(3)
    turn = Rotation.random(random_state=5).as_matrix()
    yield "rotated", one.moved(one.positions @ turn, one.cell @ turn)
    order = rng.permutation(len(one))
    shifted = one.positions[order] + rng.normal(size=3)
    yield (
        "renumbered",
        Candidate(name="x", numbers=one.numbers[order], positions=shifted, cell=one.cell),
    )
    change = np.array([[1, 1, 0], [0, 1, 0], [-1, 0, 1]])
    yield "other lattice", one.moved(one.positions, change @ one.cell)
    flip = np.array([-1.0, 1.0, 1.0])
    yield "mirrored", one.moved(one.positions * flip, one.cell * flip)
    atoms = one.to_ase()
    yield "supercell", Candidate.from_ase(atoms * (2, 1, 1), name="x")
    noisy = atoms.copy()
    noisy.rattle(0.03, seed=1)
    yield "noisy", Candidate.from_ase(noisy, name="x")
    both = atoms * (1, 2, 1)
    both.rattle(0.02, seed=2)
    yield "noisy supercell", Candidate.from_ase(both, name="x")
    strained = one.cell @ (np.eye(3) + rng.normal(0, 0.004, (3, 3)))
    yield "strained", one.moved(one.positions @ np.linalg.solve(one.cell, strained), strained)


@pytest.mark.parametrize("one", CRYSTALS, ids=lambda one: f"{one.name}-{one.formula}")
def test_one_crystal_in_every_guise(one: Candidate) -> None:
    for what, other in guises(one):
        assert same_structure(one, other, TOLERANCE), what
        assert same_structure(other, one, TOLERANCE), what
        assert atoms_match(one, other), what


@pytest.mark.parametrize("family", [SILICON, TITANIA, METALS], ids=["Si", "TiO2", "Cu"])
def test_relatives_are_not_one(family: dict[str, Candidate]) -> None:
    for one, other in combinations(family, 2):
        assert not same_structure(family[one], family[other], TOLERANCE), f"{one}, {other}"
        assert not atoms_match(family[one], family[other]), f"{one}, {other}"


def test_fingerprints_alone_would_mix_up_polytypes() -> None:
    """The reason for the close calls: 4H and 6H are nearer than noise moves a crystal."""
    apart = cosine_distance(fingerprint(SILICON["4H"]), fingerprint(SILICON["6H"]))
    assert NEAR * TOLERANCE < apart < 0.05 * TOLERANCE


def alloy(numbers: list[int]) -> Candidate:
    """Copper and gold on the 8 sites of a doubled fcc cell."""
    atoms = bulk("Cu", "fcc", a=3.85, cubic=True) * (1, 1, 2)
    atoms.set_atomic_numbers(numbers)
    return Candidate.from_ase(atoms, name="CuAu")


def test_an_alloy_with_two_atoms_swapped_is_another() -> None:
    layered = [
        29 if z < 0.1 or abs(z - 3.85) < 0.1 else 79 for z in alloy([29] * 8).positions[:, 2]
    ]
    ordered = alloy(layered)
    swapped_numbers = list(layered)
    first, second = layered.index(29), layered.index(79)
    swapped_numbers[first], swapped_numbers[second] = 79, 29
    assert not same_structure(ordered, alloy(swapped_numbers), TOLERANCE)
    # but with the elements of all layers exchanged it is the same, shifted by half a cell
    assert same_structure(ordered, alloy([108 - z for z in layered]), TOLERANCE)


def test_a_stacking_fault_in_a_large_cell_shows() -> None:
    perfect = layers("ABC" * 4, "Si", double=True)
    faulted = layers("ABCABCABCACB", "Si", double=True)
    assert not same_structure(perfect, faulted, TOLERANCE)


def test_fingerprints_decide_outside_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "atoms_match", lambda *_: pytest.fail("no close call"))
    one, other = SILICON["3C"], SILICON["2H"]
    assert same_structure(one, other, TOLERANCE, apart=0.9 * NEAR * TOLERANCE)
    assert not same_structure(one, one, TOLERANCE, apart=FAR * TOLERANCE)


def test_close_calls_are_bounded() -> None:
    one, other = SILICON["3C"], SILICON["4H"]
    calls = CloseCalls(TOLERANCE, most=2)
    assert [calls.same(one, other, 0.007) for _ in range(2)] == [False, False]
    assert calls.same(one, other, 0.007), "the fingerprint alone says the same"
    assert not calls.same(one, one, 1.1 * TOLERANCE), "and beyond the tolerance another"
    assert calls.made == 2
    assert calls.same(one, other, 0.0)


def test_other_elements_are_another_crystal() -> None:
    carbon = Candidate.from_ase(bulk("C", a=5.43), name="C")
    assert not same_structure(SILICON["3C"], carbon, TOLERANCE)
    assert not atoms_match(SILICON["3C"], carbon)
