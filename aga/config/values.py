"""Plain values as they come from a settings file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aga.config.yaml_tree import KeyPath

__all__ = ["FREE", "booleans", "get_value", "remove_value", "without_nulls"]

FREE: KeyPath = ("oracle", "options")
"""Below here the engine knows the keys, not the schema."""


def without_nulls(value: dict[str, Any], above: KeyPath = ()) -> dict[str, Any]:
    """Drop the keys with nothing after them."""
    if above == FREE:
        return {key: item for key, item in value.items() if item is not None}
    return {
        key: without_nulls(item, (*above, key)) if isinstance(item, dict) else item
        for key, item in value.items()
        if item is not None
    }


def booleans(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:  # noqa: ANN401 - plain YAML values
    """Give the paths of all true and false values."""
    if isinstance(value, bool):
        yield above
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from booleans(item, (*above, key))


def get_value(values: Any, path: KeyPath) -> Any:  # noqa: ANN401 - plain YAML values
    """Give the value at a path, None where there is none."""
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def remove_value(values: dict[str, Any], path: KeyPath) -> bool:
    """Remove a key, or the whole list that a wrong item is in; tell whether anything went."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    holder = get_value(values, path[:-1]) if path else None
    if isinstance(holder, dict) and path[-1] in holder:
        del holder[path[-1]]
        return True
    return False
