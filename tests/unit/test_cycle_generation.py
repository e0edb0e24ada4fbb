"""A generation with guests of other islands, and with survivors of an older committee."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.config import SearchSettings
from aga.cycle import breed, survivor
from aga.search.initial import initial_structures
from aga.search.islands import island_of, neighbours, predecessor, round_of
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed

SETTINGS = SearchSettings.model_validate(
    {"composition": "Si4", "initial_structures": 6, "offspring": 4, "population_size": 6}
)


def judged(candidate: Candidate, energy: float) -> Relaxed:
    return Relaxed(
        candidate=candidate,
        energy=energy,
        enthalpy=energy,
        energy_spread=0.01,
        force_spread=0.1,
        max_force=0.01,
        steps=1,
        reason="converged",
    )


class Flat:
    """Leaves every structure as it is, at the same energy."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        self.asked += [one.name for one in candidates]
        return [judged(one, -4.0) for one in candidates]


def stock() -> list[Relaxed]:
    energies = np.linspace(-20.0, -16.0, 6)
    pairs = zip(initial_structures(SETTINGS), energies, strict=True)
    return [judged(one, float(energy)) for one, energy in pairs]


def test_guests_compete_for_places_and_are_not_relaxed_again() -> None:
    everyone = stock()
    relaxer = Flat()
    bred = breed(everyone[3:], relaxer, SETTINGS, generation=3, guests=everyone[:2])
    names = [one.name for one in bred.population.individuals]
    assert names[:2] == [one.candidate.name for one in everyone[:2]]
    assert not set(relaxer.asked) & {one.candidate.name for one in everyone}
    alone = breed(everyone[3:], Flat(), SETTINGS, generation=3)
    assert names[0] not in [one.name for one in alone.population.individuals]


def test_only_what_an_older_committee_relaxed_is_relaxed_anew() -> None:
    everyone = stock()
    outdated = {one.candidate.name: survivor(one.candidate, 7, 1) for one in everyone[:2]}
    relaxer = Flat()
    bred = breed(everyone, relaxer, SETTINGS, generation=3, renewed=outdated)
    assert [n for n in relaxer.asked if n.startswith("i")] == ["i000-000.v007i1", "i000-001.v007i1"]
    names = {one.name for one in bred.population.individuals}
    assert not names & set(outdated), "an energy of the older committee holds a place"
    assert everyone[2].candidate.name in names
    again = survivor(outdated["i000-000"], 8, 1)
    assert again.name == "i000-000.v008i1"


def test_generations_are_numbered_over_the_islands() -> None:
    assert [island_of(g, 3) for g in range(1, 7)] == [0, 1, 2, 0, 1, 2]
    assert [round_of(g, 3) for g in range(1, 7)] == [1, 1, 1, 2, 2, 2]
    assert [predecessor(g, 3) for g in (1, 3, 4, 6)] == [0, 0, 1, 3]
    assert neighbours(2, 3) == []
    assert neighbours(5, 3) == [1, 3]
    assert neighbours(9, 1) == []
