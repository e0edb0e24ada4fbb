"""A filter means the same to the database as to a reader of three-valued logic."""

from __future__ import annotations

import operator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aga.errors import InputError
from aga.store.fields import FIELDS
from aga.store.query import parse_where

COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
NUMBERS = ["energy_per_atom", "space_group", "generation"]
TEXTS = ["stage", "operator"]
WORDS = ["relaxed", "labelled", "crossover"]

Tree = tuple[Any, ...]

comparisons: st.SearchStrategy[Tree] = st.one_of(
    st.tuples(
        st.just("compare"),
        st.sampled_from(NUMBERS),
        st.sampled_from(sorted(COMPARE)),
        st.integers(-3, 3) | st.sampled_from([-4.5, 0.25, 1e-3]),
    ),
    st.tuples(
        st.just("compare"),
        st.sampled_from(TEXTS),
        st.sampled_from(["==", "!="]),
        st.sampled_from(WORDS),
    ),
)
trees: st.SearchStrategy[Tree] = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=8,
)
values = st.none() | st.integers(-3, 3) | st.sampled_from([-4.5, 0.25, 1e-3])
rows = st.fixed_dictionaries(
    dict.fromkeys(NUMBERS, values) | {name: st.none() | st.sampled_from(WORDS) for name in TEXTS}
)


def written(tree: Tree) -> str:
    if tree[0] == "compare":
        return f"{tree[1]} {tree[2]} {tree[3]!r}"
    if tree[0] == "not":
        return f"not ({written(tree[1])})"
    return f"({written(tree[1])}) {tree[0]} ({written(tree[2])})"


def meaning(tree: Tree, row: dict[str, Any]) -> bool | None:
    """True, False, or None where a value is missing (Kleene's logic)."""
    if tree[0] == "compare":
        value = row[tree[1]]
        return None if value is None else bool(COMPARE[tree[2]](value, tree[3]))
    if tree[0] == "not":
        inner = meaning(tree[1], row)
        return None if inner is None else not inner
    left, right = meaning(tree[1], row), meaning(tree[2], row)
    decisive = tree[0] == "or"
    if decisive in (left, right):
        return decisive
    return None if None in (left, right) else not decisive


def document(row: dict[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in row.items():
        *parents, last = FIELDS[name].path.split(".")
        at = nested
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return nested


def matches(query: dict[str, Any], doc: Any) -> bool:
    """Tell whether MongoDB would give the document."""
    for key, test in query.items():
        if key in {"$and", "$or"}:
            parts = [matches(part, doc) for part in test]
            if not (all(parts) if key == "$and" else any(parts)):
                return False
            continue
        value = doc
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if not all(passes(value, sign, wanted) for sign, wanted in test.items()):
            return False
    return True


def passes(value: Any, sign: str, wanted: Any) -> bool:
    if sign == "$nin":
        return value not in wanted
    if sign == "$eq":
        return bool(value == wanted)
    # comparisons never match null
    word = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}[sign]
    return value is not None and bool(COMPARE[word](value, wanted))


def refused_at(text: str) -> int | None:
    try:
        parse_where(text)
    except InputError as error:
        return int(error.facts["column"])
    return None


@given(tree=trees, row=rows)
def test_query_gives_what_the_filter_says(tree: Tree, row: dict[str, Any]) -> None:
    assert matches(parse_where(written(tree)), document(row)) == (meaning(tree, row) is True)


@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    column = refused_at(text)
    assert column is None or 1 <= column <= len(text) + 1


@given(
    text=st.lists(
        st.sampled_from(["rank", "stage", "<", "==", "(", ")", "and", "or", "not", "1", "'x'"]),
        max_size=12,
    ).map(" ".join)
)
def test_any_order_of_words_is_read_or_refused(text: str) -> None:
    column = refused_at(text)
    assert column is None or 1 <= column <= len(text) + 1
