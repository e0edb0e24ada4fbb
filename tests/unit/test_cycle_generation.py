"""A generation with guests of other islands, and with survivors of an older committee."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aga.config import SearchSettings
from aga.cycle import Heritage, breed, survivor
from aga.search.initial import initial_structures
from aga.search.islands import island_of, neighbours, predecessor, round_of
from aga.search.operators import OPERATORS
from aga.search.rates import OperatorRecord
from aga.structure.candidate import Candidate
from aga.structure.protocols import Prediction, Relaxed

SETTINGS = SearchSettings.model_validate(
    {"composition": "Si8", "initial_structures": 6, "offspring": 4, "population_size": 6}
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
    heritage = Heritage(guests=everyone[:2])
    bred = breed(everyone[3:], relaxer, SETTINGS, generation=3, heritage=heritage)
    names = [one.name for one in bred.population.individuals]
    assert names[:2] == [one.candidate.name for one in everyone[:2]]
    assert not set(relaxer.asked) & {one.candidate.name for one in everyone}
    alone = breed(everyone[3:], Flat(), SETTINGS, generation=3)
    assert names[0] not in [one.name for one in alone.population.individuals]


def test_only_what_an_older_committee_relaxed_is_relaxed_anew() -> None:
    everyone = stock()
    outdated = {one.candidate.name: survivor(one.candidate, 7, 1) for one in everyone[:2]}
    relaxer = Flat()
    bred = breed(everyone, relaxer, SETTINGS, generation=3, heritage=Heritage(renewed=outdated))
    assert [n for n in relaxer.asked if n.startswith("i")] == ["i000-000.v007i1", "i000-001.v007i1"]
    names = {one.name for one in bred.population.individuals}
    assert not names & set(outdated), "an energy of the older committee holds a place"
    assert everyone[2].candidate.name in names
    again = survivor(outdated["i000-000"], 8, 1)
    assert again.name == "i000-000.v008i1"


class Downhill:
    """Gives the offspring of one operator the lowest energies, all others the highest."""

    def __init__(self, favourite: str) -> None:
        self.favourite = favourite

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        return [
            judged(one, (-30.0 if one.lineage.operator == self.favourite else 30.0) + 0.5 * k)
            for k, one in enumerate(candidates)
        ]


def test_the_record_counts_what_entered_and_decides_the_next_shares() -> None:
    relaxer, settings = Downhill("rattle"), SETTINGS.model_copy(update={"offspring": 12})
    people, record, history = stock(), OperatorRecord(), []
    for generation in range(1, 4):
        heritage = Heritage(record=record)
        bred = breed(people, relaxer, settings, generation=generation, heritage=heritage)
        kept = [one.candidate.lineage.operator for one in bred.population.individuals]
        generations = [one.candidate.lineage.generation for one in bred.population.individuals]
        for name, number in bred.entered.items():
            assert number <= bred.made[name]
            assert number == sum(
                operator == name and when == generation
                for operator, when in zip(kept, generations, strict=True)
            )
        assert bred.record == record.after(bred.made, bred.entered)
        people = [one.relaxed for one in bred.population.individuals]
        record = bred.record
        history.append(bred.shares)
    assert history[-1]["rattle"] > history[0]["rattle"]
    again = breed(stock(), relaxer, settings, generation=1)
    assert again.shares == history[0]


class Votes:
    """A committee that has forces and counts what it is asked."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        self.batches.append(len(candidates))
        return [
            Prediction(
                energy=0.0,
                energies=np.zeros(len(one)),
                energy_spread=0.0,
                forces=np.cos(one.positions),
                forces_spread=np.zeros(len(one)),
                force_spread=0.0,
                stress=np.zeros(6),
            )
            for one in candidates
        ]


def test_a_committee_gives_forces_for_soft_modes() -> None:
    weights = {**dict.fromkeys(OPERATORS, 0.0), "soft_mode": 1.0}
    settings = SearchSettings.model_validate(
        {"composition": "Si8", "initial_structures": 6, "offspring": 4, "operators": weights}
    )
    votes = Votes()
    bred = breed(stock(), Flat(), settings, generation=1, committee=votes)
    assert bred.made.get("soft_mode", 0) >= 1
    assert set(votes.batches) == {6 * 8}
    assert len(votes.batches) <= 6, "a parent's Hessian was computed twice"


def test_generations_are_numbered_over_the_islands() -> None:
    assert [island_of(g, 3) for g in range(1, 7)] == [0, 1, 2, 0, 1, 2]
    assert [round_of(g, 3) for g in range(1, 7)] == [1, 1, 1, 2, 2, 2]
    assert [predecessor(g, 3) for g in (1, 3, 4, 6)] == [0, 0, 1, 3]
    assert neighbours(2, 3) == []
    assert neighbours(5, 3) == [1, 3]
    assert neighbours(9, 1) == []
