"""How often results were found, and when first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from ase.build import bulk

from aga.search import discovery
from aga.search.discovery import Census, Discovery, Shape, Sighting
from aga.structure.candidate import Candidate
from aga.structure.fingerprint import cosine_distance, fingerprint
from aga.structure.matching import NEAR


def silicon(name: str, *, noise: float = 0.0, hexagonal: bool = False) -> Candidate:
    atoms = bulk("Si", cubic=True, a=5.43)
    if hexagonal:
        atoms = bulk("ZnS", "wurtzite", a=3.84, c=6.27)
        atoms.set_chemical_symbols(["Si"] * 4)
    atoms.rattle(noise, seed=sum(map(ord, name)))
    return Candidate.from_ase(atoms, name=name)


def shape(candidate: Candidate) -> Shape:
    return Shape(candidate=candidate, fingerprint=fingerprint(candidate))


def seen(candidate: Candidate, iteration: int = 1, generation: int = 1) -> Sighting:
    return Sighting(
        name=candidate.name,
        iteration=iteration,
        generation=generation,
        operator="crossover" if generation > 1 else "random",
        fingerprint=fingerprint(candidate),
    )


class Stored:
    """Structures by name; remembers which were asked for."""

    def __init__(self, *candidates: Candidate) -> None:
        self.known = {one.name: one for one in candidates}
        self.asked: list[str] = []

    def __call__(self, names: Sequence[str]) -> Mapping[str, Candidate]:
        self.asked += names
        return {name: self.known[name] for name in names}


def test_each_candidate_is_counted_once_for_the_right_result() -> None:
    cubic = [silicon(f"c{k}") for k in range(3)]
    hexagonal = [silicon(f"h{k}", hexagonal=True) for k in range(2)]
    other = Candidate.from_ase(bulk("Si", "bcc", a=2.6), name="bcc")
    census = Census([[shape(cubic[0])], [shape(hexagonal[0])], []], 0.02)
    nothing = Stored()
    census.add([seen(cubic[1], 2, 7), seen(hexagonal[0], 2, 6), seen(other)], nothing)
    census.add([seen(cubic[2], 1, 3), seen(hexagonal[1], 3, 9)], nothing)
    assert census.discoveries({0: 16, 1: 22}) == [
        Discovery(
            times=2,
            first="c2",
            iteration=1,
            generation=3,
            operator="crossover",
            reference_calls=16,
        ),
        Discovery(
            times=2,
            first="h0",
            iteration=2,
            generation=6,
            operator="crossover",
            reference_calls=22,
        ),
        None,
    ]
    assert nothing.asked == [], "fingerprints said all"


def test_close_calls_are_decided_by_the_atoms() -> None:
    noisy, strange = silicon("noisy", noise=0.04), silicon("noisy", noise=0.1).renamed("strange")
    stored = Stored(noisy, strange)
    census = Census([[shape(silicon("result"))]], 0.02)
    for one in (noisy, strange):
        apart = cosine_distance(fingerprint(one), fingerprint(silicon("result")))
        assert NEAR * 0.02 < apart < 0.02, "fingerprints leave it open"
    census.add([seen(noisy), seen(strange)], stored)
    (found,) = census.discoveries()
    assert found is not None
    assert (found.times, found.first, found.reference_calls) == (1, "noisy", None)
    assert stored.asked == ["noisy", "strange"]


def test_a_verdict_holds_for_all_of_one_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = [silicon("noisy", noise=0.04).renamed(f"n{k}") for k in range(50)]
    stored = Stored(*noisy)
    monkeypatch.setattr(discovery, "MOST_CALLS", 3)
    census = Census([[shape(silicon("result"))]], 0.02)
    for one in noisy:
        census.add([seen(one)], stored)
    (found,) = census.discoveries()
    assert found is not None
    assert found.times == 50
    assert stored.asked == ["n0"]


def test_a_result_is_known_in_any_of_its_shapes() -> None:
    census = Census([[shape(silicon("ended")), shape(silicon("before", hexagonal=True))]], 0.02)
    census.add([seen(silicon("a")), seen(silicon("b", hexagonal=True))], Stored())
    (found,) = census.discoveries()
    assert found is not None
    assert found.times == 2
    assert found.to_dict()["first"] == "a"


def test_nothing_to_count() -> None:
    empty = Census([], 0.02)
    empty.add([seen(silicon("a"))], Stored())
    assert empty.discoveries() == []
    lonely = Census([[shape(silicon("r"))]], 0.02)
    lonely.add([], Stored())
    assert lonely.discoveries() == [None]
