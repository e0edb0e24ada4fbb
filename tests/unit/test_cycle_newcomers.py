"""A committee that can be trusted with nothing gets labels of crystals that it did not choose."""

from __future__ import annotations

from aga.config import SearchSettings
from aga.cycle import newcomers
from aga.search.acquisition import Acquisition

SETTINGS = SearchSettings.model_validate(
    {"composition": "Si4", "budget": {"reference_calls": 20}, "acquisition": {}}
)
LOST = Acquisition(picks=(), lost=True)


def names(acquisition: Acquisition, *, calls: int, number: int | None = None) -> list[str]:
    new = newcomers(acquisition, SETTINGS, iteration=4, calls=calls, number=number)
    return [one.name for one in new]


def test_as_many_as_it_could_have_picked() -> None:
    assert names(LOST, calls=9) == ["i004-000", "i004-001", "i004-002"]
    assert names(LOST, calls=9, number=1) == ["i004-000"]


def test_within_the_budget() -> None:
    assert names(LOST, calls=19) == ["i004-000"]
    assert names(LOST, calls=20) == []


def test_none_for_a_committee_that_has_looked() -> None:
    assert names(Acquisition(picks=()), calls=9) == []
