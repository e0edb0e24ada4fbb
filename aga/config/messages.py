"""Validation errors in the words of a settings file."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from aga.config.fields import field_at, nearest_key, section_at
from aga.config.values import FREE
from aga.config.yaml_tree import KeyPath

__all__ = ["Said", "say"]

Said = tuple[KeyPath, str, str | None]
"""Key path, message and hint of one problem."""


def say(error: ErrorDetails) -> Said:
    """Put one pydantic error into plain words.

    Parameters
    ----------
    error
        One entry of ``ValidationError.errors()``.

    Returns
    -------
    Said
        Key path, message (with the value found) and hint.
    """
    path: KeyPath = tuple(part for part in error["loc"] if part != "[key]")
    kind, facts = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return path, "unknown key", nearest_key(path)
    if kind == "missing":
        return _missing(path)
    if kind == "value_error":
        return _own_rule(path, str(facts.get("error", error["msg"])))
    if kind == "literal_error":
        return path, *_choice(str(facts["expected"]), error["input"])
    return path, *_wrong_value(path, error)


def _wrong_value(path: KeyPath, error: ErrorDetails) -> tuple[str, str | None]:
    kind, found, facts = error["type"], error["input"], error.get("ctx", {})
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"must be {words} {_number(facts[key])}, got {_show(found)}", None
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}, got {_show(found)}", _describe(path)
    if kind in _SHAPES:
        return _SHAPES[kind](facts), _describe(path)
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}, got {_show(found)}", None


_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}

_KINDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "tuple_type": "a list such as [a, b]",
    "list_type": "a list such as [a, b]",
    "dict_type": "a section of `key: value` lines",
    "model_type": "a section of `key: value` lines",
    "model_attributes_type": "a section of `key: value` lines",
    "string_pattern_mismatch": "letters, digits, '-' and '_' alone",
}

_SHAPES: dict[str, Callable[[dict[str, Any]], str]] = {
    "too_long": lambda facts: (
        f"must have at most {facts['max_length']} values, got {facts['actual_length']}"
    ),
    "too_short": lambda facts: (
        f"must have at least {facts['min_length']} values, got {facts['actual_length']}"
    ),
    "string_too_short": lambda facts: f"must have at least {facts['min_length']} letters",
    "string_too_long": lambda facts: f"must have at most {facts['max_length']} letters",
}


def _missing(path: KeyPath) -> Said:
    if path and isinstance(path[-1], int):
        return path[:-1], f"has no value number {path[-1] + 1}", _describe(path[:-1])
    if path == ("search",):
        return path, "is required", "at least `search: {composition: Si8}`"
    return path, "is required", _describe(path)


def _own_rule(path: KeyPath, text: str) -> Said:
    """Find the key that a rule over a whole section starts its message with."""
    name, _, rest = text.partition(": ")
    *sections, key = name.split(".")
    model = section_at((*path, *sections))
    if model is not None and rest and key in model.model_fields:
        return (*path, *sections, key), rest, None
    return path, text, None


def _choice(expected: str, found: object) -> tuple[str, str | None]:
    words = [word.strip(" '") for word in expected.replace(" or ", ", ").split(", ")]
    near = get_close_matches(str(found), words, n=1, cutoff=0.5)
    message = f"must be one of {', '.join(words)}; got {_show(found)}"
    return message, f"did you mean {near[0]}?" if near else None


def _describe(path: KeyPath) -> str | None:
    if path[:2] == FREE:
        return None  # the engine knows its options, the schema doesn't
    info = field_at(path)
    return info.description if info is not None else None


def _number(value: float) -> str:
    return f"{value:g}"


def _show(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    if isinstance(value, bool):
        text = str(value).lower()
    return text if len(text) <= 40 else f"{text[:37]}…"
