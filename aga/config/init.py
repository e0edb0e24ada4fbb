"""A first settings file: the keys that matter live, every other one as a comment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from aga.config.composition import Formula
from aga.config.fields import section_of
from aga.config.schema import Settings
from aga.config.yaml_tree import KeyPath
from aga.errors import CompositionError

__all__ = ["commented_settings"]

_HEADER = """\
# Settings of a crystal structure search with aga.
#
# Check this file with   aga check FILE      (all mistakes at once, with their lines)
# start the search with  aga run FILE
#
# A line such as "# seed: 0" shows a key with its default: take "# " away to change it.
# A key with nothing after it takes its default.
"""

_TITLES = {
    "search": "the genetic algorithm: what is looked for, and how widely",
    "potential": "the committee of neural network potentials",
    "training": "fitting the committee to the reference method",
    "oracle": "the reference method, whose energies are the results",
    "machine": "this machine; may stand in a file of its own (--site FILE)",
}

_COMMENT_COLUMN = 38
_WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./+-]*")
_WORDS_OF_YAML = {"true", "false", "null", "yes", "no", "on", "off"}


def commented_settings(
    composition: str,
    oracle: str | None = None,
    *,
    options_schema: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> str:
    """Write the text of a settings file that works as it stands.

    Parameters
    ----------
    composition
        Chemical formula, e.g. ``TiO2``.
    oracle
        Name of the reference method; chosen by the elements where None.
    options_schema
        JSON Schema of the engine's options, for their names, defaults and descriptions.
    options
        Options of the engine to be live in the file, e.g. its pseudopotentials.

    Returns
    -------
    str
        YAML that loads to the default settings of the composition.

    Raises
    ------
    aga.errors.CompositionError
        The text is not a composition.
    """
    try:
        formula = Formula(composition)
    except ValueError as error:
        raise CompositionError(
            str(error), remedy="write a formula such as Si8 or TiO2", composition=composition
        ) from error
    live: dict[KeyPath, Any] = {
        ("search", "composition"): str(formula),
        ("search", "formula_units"): formula.default_units(),
        ("search", "seed"): 0,
        ("search", "budget", "reference_calls"): _default("search", "budget", "reference_calls"),
        ("search", "budget", "iterations"): _default("search", "budget", "iterations"),
        ("machine", "workers"): _default("machine", "workers"),
    }
    if oracle is not None:
        live["oracle", "engine"] = oracle
    writer = _Writer(live, options_schema or {}, dict(options or {}))
    return _HEADER + "\n".join(writer.section(Settings, ())) + "\n"


def _default(*path: str) -> Any:  # noqa: ANN401 - any value of the settings
    model: type[BaseModel] = Settings
    for name in path[:-1]:
        below = section_of(model.model_fields[name])
        model = below if below is not None else model
    return model.model_fields[path[-1]].get_default(call_default_factory=True)


class _Writer:
    """Walks the schema and gives the lines of the file."""

    def __init__(
        self, live: dict[KeyPath, Any], options_schema: Mapping[str, Any], options: dict[str, Any]
    ) -> None:
        self.live = live
        self.options_schema = options_schema
        self.options = options

    def section(self, model: type[BaseModel], above: KeyPath) -> Iterator[str]:
        indent = "  " * len(above)
        for name, info in model.model_fields.items():
            path = (*above, name)
            below = section_of(info)
            if below is not None:
                title = _TITLES.get(name) or _first_words(below)
                yield from [""] if not above else []
                yield from _with_comment(f"{indent}{name}:", title, indent)
                yield from self.section(below, path)
            elif path == ("oracle", "options"):
                yield from self.engine_options(indent)
            else:
                default = info.get_default(call_default_factory=True)
                yield self.key(path, default, _comment(info))

    def key(self, path: KeyPath, default: object, comment: str) -> str:
        indent = "  " * (len(path) - 1)
        live = path in self.live
        value = self.live[path] if live else default
        text = f"{indent}{'' if live else '# '}{path[-1]}: {_yaml(value)}".rstrip()
        return "\n".join(_with_comment(text, comment, indent))

    def engine_options(self, indent: str) -> Iterator[str]:
        properties: Mapping[str, Any] = self.options_schema.get("properties", {})
        yield from _with_comment(f"{indent}options:", "the engine's own settings", indent)
        below = f"{indent}  "
        for name in [*properties, *(self.options.keys() - properties.keys())]:
            facts = properties.get(name, {})
            live = name in self.options
            value = self.options[name] if live else facts.get("default")
            text = f"{below}{'' if live else '# '}{name}: {_yaml(value)}".rstrip()
            yield from _with_comment(text, _one_line(str(facts.get("description", ""))), below)


def _comment(info: FieldInfo) -> str:
    text = info.description or ""
    choices = [str(word) for word in _choices(info.annotation)]
    one_of = f"one of {', '.join(choices)}"
    return "; ".join(part for part in (text, one_of if choices else "") if part)


def _choices(kind: object) -> Iterator[object]:
    if get_origin(kind) is Literal:
        yield from get_args(kind)
    else:
        for part in get_args(kind):
            yield from _choices(part)


def _first_words(model: type[BaseModel]) -> str:
    text = (model.__doc__ or "").strip().partition("\n")[0].rstrip(".")
    return text[:1].lower() + text[1:]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _with_comment(text: str, comment: str, indent: str) -> Iterator[str]:
    """Put a comment behind a line, or above it where the line is long."""
    if not comment:
        yield text
        return
    if len(text) >= _COMMENT_COLUMN:
        yield from (f"{indent}#   {part}" for part in wrap(comment, _WIDTH - len(indent) - 4))
        yield text
        return
    first, *rest = wrap(comment, _WIDTH - _COMMENT_COLUMN - 4)
    yield f"{text:<{_COMMENT_COLUMN}}# {first}"
    yield from (f"{'':<{_COMMENT_COLUMN}}#   {part}" for part in rest)


def _yaml(value: object) -> str:
    """Write a plain value in YAML's flow style."""
    if value is None or value is PydanticUndefined:
        return ""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(k)}: {_yaml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, Path | Formula):
        value = str(value)
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML
        return value if plain else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)
