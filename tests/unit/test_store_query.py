"""Filters and orders are read as written, and refused with the place and a hint."""

from __future__ import annotations

from typing import Any

import pytest

from aga.errors import InputError
from aga.store.query import both, parse_sort, parse_where

E = "reference.energy_per_atom"
G = "space_group.number"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", {}),
        ("  ", {}),
        ("energy_per_atom < -4.5", {E: {"$lt": -4.5}}),
        ("-4.5 > energy_per_atom", {E: {"$lt": -4.5}}),
        ("energy_per_atom<-4.5", {E: {"$lt": -4.5}}),
        ("space_group = 227", {G: {"$eq": 227}}),
        ("space_group != 1", {G: {"$nin": [1, None]}}),
        ("stage == labelled", {"stage": {"$eq": "labelled"}}),
        ("space_group_symbol == 'Fd-3m'", {"space_group.symbol": {"$eq": "Fd-3m"}}),
        ('"g003-017" == parent', {"lineage.parents": {"$eq": "g003-017"}}),
        ("name == g003-017", {"name": {"$eq": "g003-017"}}),
        (
            "energy_per_atom < -4.5 and space_group == 227",
            {E: {"$lt": -4.5}, G: {"$eq": 227}},
        ),
        (
            "rank < 1 or rank < 2 and rank < 3",
            {
                "$or": [
                    {"rank": {"$lt": 1}},
                    {"$and": [{"rank": {"$lt": 2}}, {"rank": {"$lt": 3}}]},
                ]
            },
        ),
        ("not rank < 1", {"rank": {"$gte": 1}}),
        ("not not rank < 1", {"rank": {"$lt": 1}}),
        (
            "NOT (rank <= 1 OR rank = 3)",
            {"rank": {"$gt": 1, "$nin": [3, None]}},
        ),
        ("((rank > 1e2))", {"rank": {"$gt": 100}}),
    ],
)
def test_filters(text: str, query: dict[str, Any]) -> None:
    assert parse_where(text) == query


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("enery_per_atom < 1", 1, "did you mean energy_per_atom"),
        ("rank < 1 and spacegroup = 3", 14, "did you mean space_group"),
        ("energy < 1", 1, "did you mean energy_per_atom"),
        ("rank < ", 7, "expected a field or a value"),
        ("rank", 5, "expected a comparison"),
        ("rank < 1 rank", 10, "'and', 'or' or the end"),
        ("(rank < 1", 10, r"expected '\)'"),
        ("rank < 1)", 9, "'and', 'or' or the end"),
        ("rank < abc", 8, "is a number"),
        ("energy_per_atom < '1'", 19, "is a number in eV/atom"),
        ("stage < labelled", 7, "only be compared with == and !="),
        ("stage == 3", 10, "write '3'"),
        ("rank < 1; drop", 9, "can't read ';"),
        ("rank < 1abc", 8, "can't read"),
        ("1 < 2", 1, "is not a field"),
        ("rank < 1 and", 13, "expected a field"),
        ("stage == 'open", 10, "can't read"),
        ("$where == 1", 1, "can't read"),
        ("(" * 60 + "rank<1" + ")" * 60, 52, "nested"),
        ("not " * 5000 + "rank<1", 205, "nested"),
    ],
)
def test_refused_filters_name_the_place(text: str, column: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_where(text)
    assert caught.value.facts["column"] == column
    assert f"column {column}:" in caught.value.message


def test_orders() -> None:
    assert parse_sort("energy") == [(E, 1)]
    assert parse_sort("-generation, name") == [("generation", -1), ("name", 1)]
    assert parse_sort("+enthalpy_per_atom") == [("reference.enthalpy_per_atom", 1)]
    assert parse_sort("") == []
    with pytest.raises(InputError, match="did you mean generation"):
        parse_sort("generations")


@pytest.mark.parametrize(("one", "other", "joined"), [
    ({}, {"a": 1}, {"a": 1}),
    ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
    ({"a": 1}, {"a": 1}, {"a": 1}),
    ({"a": {"$lt": 2}}, {"a": {"$gt": 1}}, {"a": {"$lt": 2, "$gt": 1}}),
    ({"a": {"$lt": 2}}, {"a": {"$lt": 1}}, {"$and": [{"a": {"$lt": 2}}, {"a": {"$lt": 1}}]}),
    ({"a": 1}, {"a": {"$gt": 0}}, {"$and": [{"a": 1}, {"a": {"$gt": 0}}]}),
    ({"$or": [{"a": 1}, {"b": 1}]}, {"$or": [{"c": 1}, {"d": 1}]},
     {"$and": [{"$or": [{"a": 1}, {"b": 1}]}, {"$or": [{"c": 1}, {"d": 1}]}]}),
])  # fmt: skip
def test_queries_are_joined_flat_where_that_says_the_same(
    one: dict[str, Any], other: dict[str, Any], joined: dict[str, Any]
) -> None:
    before = (dict(one), dict(other))
    assert both(one, other) == joined
    assert (one, other) == before
