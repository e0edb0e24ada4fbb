"""The settings as JSON Schema, for editors that complete and check while one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aga.config.schema import Settings

__all__ = ["json_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(engines: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """Give the JSON Schema (draft 2020-12) of the settings file.

    Parameters
    ----------
    engines
        Name of each reference method and the JSON Schema of its ``options``; any name and any
        options are allowed where None.

    Returns
    -------
    dict
        The schema. Keys with nothing after them are allowed, as in the files.
    """
    schema = Settings.model_json_schema(mode="validation")
    definitions = schema.setdefault("$defs", {})
    if engines:
        _know_engines(definitions, engines)
    for section in [schema, *list(definitions.values())]:
        _allow_empty(section)
    return {
        "$schema": _DIALECT,
        "title": "Settings of an aga search",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _know_engines(definitions: dict[str, Any], engines: Mapping[str, Mapping[str, Any]]) -> None:
    oracle = definitions["OracleSettings"]
    engine = oracle["properties"]["engine"]
    del engine["type"]
    engine["anyOf"] = [
        {"enum": ["auto", *sorted(engines)]},
        {
            "type": "string",
            "pattern": r"^[\w.]+:\w+$",
            "description": "an engine of your own, module:Class",
        },
    ]
    rules = []
    for name, options in sorted(engines.items()):
        body = dict(options)
        definitions |= body.pop("$defs", {})
        _allow_empty(body)
        definitions[f"options of {name}"] = body
        rules.append(
            {
                "if": {"properties": {"engine": {"const": name}}, "required": ["engine"]},
                "then": {
                    "properties": {
                        "options": {"anyOf": [_reference(f"options of {name}"), {"type": "null"}]}
                    }
                },
            }
        )
    oracle["allOf"] = rules


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name.replace(' ', '%20')}"}


def _allow_empty(section: dict[str, Any]) -> None:
    """Let every key of a section stand with nothing after it."""
    for name, body in section.get("properties", {}).items():
        kinds = body.get("anyOf", [])
        if {"type": "null"} in kinds:
            continue
        outer = {key: body[key] for key in ("description", "default", "title") if key in body}
        inner = {key: value for key, value in body.items() if key not in outer}
        section["properties"][name] = outer | {
            "anyOf": [*kinds, {"type": "null"}] if kinds else [inner, {"type": "null"}]
        }
