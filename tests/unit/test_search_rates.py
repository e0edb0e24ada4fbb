"""Operators' shares follow the record of their offspring, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aga.search.rates import BOUND, FLOOR, FORGETTING, PRIOR, OperatorRecord, shares

NAMES = ("random", "crossover", "strain", "rattle")
WEIGHTS = dict.fromkeys(NAMES, 0.25)
COUNTS = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 40))


def after(*generations: tuple[dict[str, int], dict[str, int]]) -> OperatorRecord:
    record = OperatorRecord()
    for made, entered in generations:
        record = record.after(made, entered)
    return record


def test_without_a_record_the_weights_decide() -> None:
    plain = shares({"random": 3.0, "crossover": 1.0, "strain": 0.0}, ["crossover", "random"], None)
    assert plain == {"crossover": 0.25, "random": 0.75}
    assert shares(WEIGHTS, NAMES, OperatorRecord()) == WEIGHTS
    assert shares(dict.fromkeys(NAMES, 0.0), NAMES, None) == {}


def test_success_is_rewarded_by_the_formula() -> None:
    record = after(({"random": 10, "crossover": 10}, {"random": 1, "crossover": 4}))
    found = shares(WEIGHTS, ["random", "crossover"], record)
    mean = 5 / 20
    rates = [(1 + PRIOR * mean) / (10 + PRIOR), (4 + PRIOR * mean) / (10 + PRIOR)]
    earned = rates[1] / sum(rates)
    assert found["crossover"] == pytest.approx(FLOOR * 0.5 + (1 - FLOOR) * earned)
    assert found["crossover"] > 0.5 > found["random"]


def test_older_generations_count_less() -> None:
    early = after(({"strain": 10}, {"strain": 9}), ({"rattle": 10}, {"rattle": 9}))
    assert early.made == {"rattle": 10, "strain": pytest.approx(10 * FORGETTING)}
    turned = after(
        *[({"strain": 10, "rattle": 10}, {"strain": 8})] * 3,
        *[({"strain": 10, "rattle": 10}, {"rattle": 8})] * 6,
    )
    found = shares(WEIGHTS, NAMES, turned)
    assert found["rattle"] > found["strain"]


@given(st.lists(st.tuples(COUNTS, COUNTS), max_size=6), st.sets(st.sampled_from(NAMES), min_size=1))
def test_no_operator_starves_and_none_takes_all(
    generations: list[tuple[dict[str, int], dict[str, int]]], usable: set[str]
) -> None:
    weights = {"random": 4.0, "crossover": 3.0, "strain": 2.0, "rattle": 0.1}
    names = sorted(usable)
    possible = [
        (made, {name: min(n, made.get(name, 0)) for name, n in entered.items()})
        for made, entered in generations
    ]
    found = shares(weights, names, after(*possible))
    total = sum(weights[name] for name in names)
    assert sum(found.values()) == pytest.approx(1.0)
    assert list(found) == names
    for name in names:
        own = weights[name] / total
        assert found[name] >= FLOOR * own * 0.999
        assert found[name] <= (BOUND + 1) * own * 1.001


def test_a_generation_without_success_changes_no_order() -> None:
    found = shares(WEIGHTS, NAMES, after(({"random": 5, "strain": 30}, {})))
    assert found == WEIGHTS


def test_a_record_comes_back_as_it_was() -> None:
    record = after(*[({"strain": 3, "rattle": 7}, {"strain": 1})] * 3)
    assert OperatorRecord.from_dict(record.to_dict()) == record
    assert OperatorRecord.from_dict({}) == OperatorRecord()
