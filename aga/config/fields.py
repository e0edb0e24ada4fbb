"""What the settings tree says about its own keys."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aga.config.schema import Settings
from aga.config.yaml_tree import KeyPath, show_key

__all__ = ["all_keys", "allows_bool", "field_at", "nearest_key", "section_at", "section_of"]


def section_of(info: FieldInfo) -> type[BaseModel] | None:
    """Give the settings class of a key that is a section, else None."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def section_at(path: KeyPath) -> type[BaseModel] | None:
    """Give the settings class at a key path (the whole tree at ``()``), None if it is none."""
    model: type[BaseModel] = Settings
    for part in path:
        info = model.model_fields.get(str(part))
        below = section_of(info) if info is not None else None
        if below is None:
            return None
        model = below
    return model


def field_at(path: KeyPath) -> FieldInfo | None:
    """Give the field at a key path, also from inside its value; None where there is none."""
    for end in range(len(path), 0, -1):
        model = section_at(path[: end - 1])
        if model is not None:
            return model.model_fields.get(str(path[end - 1]))
    return None


def all_keys(model: type[BaseModel] = Settings, above: KeyPath = ()) -> Iterator[KeyPath]:
    """Give the path of every key of the tree, sections before what is in them."""
    for name, info in model.model_fields.items():
        yield (*above, name)
        below = section_of(info)
        if below is not None:
            yield from all_keys(below, (*above, name))


def allows_bool(kind: Any) -> bool:  # noqa: ANN401 - a type annotation
    """Tell whether an annotation has room for true and false."""
    return kind is bool or kind is Any or any(allows_bool(part) for part in get_args(kind))


def nearest_key(path: KeyPath) -> str | None:
    """Say what an unknown key may have meant.

    A close name in the same section wins; else the same (then a close) name in another
    section; else the names the section knows.
    """
    *above, name = path
    model = section_at(tuple(above))
    if model is None:
        return None
    siblings = list(model.model_fields)
    near = get_close_matches(str(name), siblings, n=1, cutoff=0.6)
    if near:
        return f"did you mean {near[0]}?"
    elsewhere = {str(key[-1]): key for key in reversed(list(all_keys()))}
    far = get_close_matches(str(name), list(elsewhere), n=1, cutoff=0.75)
    if far:
        return f"did you mean {show_key(elsewhere[far[0]])}?"
    return f"known here: {', '.join(siblings)}"
