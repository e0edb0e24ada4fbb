"""The operators' record in a stored search: handed on with each island, and deciding the shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from aga.search.islands import predecessor
from aga.search.rates import OperatorRecord

pytestmark = pytest.mark.embedded

SEARCH = {
    "formula_units": [1, 2],
    "seed": 1,
    "islands": 2,
    "generations_per_iteration": 3,
    "offspring": 8,
    "operators": {"soft_mode": 0.3},
}


def test_records_are_handed_on_with_each_island(new_search: Callable[..., Any]) -> None:
    search = new_search(oracle="tersoff", search=SEARCH)
    search.add()
    search.drain()
    assert search.state == "finished"
    steps = search.repository.list_steps(search.id, kind="breed")
    assert len(steps) == 6
    operators = set()
    for step in steps:
        before = predecessor(step.generation, 2)
        record, own = (
            OperatorRecord()
            if number == 0
            else OperatorRecord.from_dict(search.repository.population_operators(search.id, number))
            for number in (before, step.generation)
        )
        result = step.result
        assert own == record.after(result["made"], result["entered"])
        assert sum(result["shares"].values()) == pytest.approx(1.0)
        assert all(n <= result["made"][name] for name, n in result["entered"].items())
        operators |= set(result["made"])
        kept = search.repository.get_population(search.id, step.generation)
        here = [one for one in kept if one.candidate.lineage.generation == step.generation]
        assert sum(result["entered"].values()) == len(
            [one for one in here if one.candidate.lineage.operator != "relaxation"]
        )
    assert "soft_mode" in operators, "no committee gave forces"
    shares = [step.result["shares"] for step in steps]
    assert shares[-1] != shares[2], "the shares do not follow the record"
    assert set(shares[-1]) == set(shares[2])
