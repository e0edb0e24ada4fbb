"""The page on the settings says of every key what the schema says.

``python tests/unit/test_docs_settings.py`` writes the tables anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from aga.config.composition import Formula
from aga.config.fields import section_of
from aga.config.schema import Settings
from aga.oracle.espresso_input import EspressoOptions

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "settings.md"
HEAD = "| key | default | values | meaning |\n|---|---|---|---|"

BOUNDS = {"exclusiveMinimum": "> ", "minimum": "≥ ", "exclusiveMaximum": "< ", "maximum": "≤ "}
KINDS = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}


def sections(model: type[BaseModel], path: str) -> Iterator[tuple[str, list[str]]]:
    """Give the name of each section below a model with its rows, depth first."""
    below, rows = [], []
    properties = model.model_json_schema(mode="validation")
    for name, info in model.model_fields.items():
        section = section_of(info)
        if section is not None:
            below.append((f"{path}.{name}" if path else name, section))
            continue
        told = default_of(info)
        allowed = values(properties["properties"][name], properties.get("$defs", {}))
        rows.append(f"| `{name}` | {told} | {allowed} | {info.description or ''} |")
    if rows:
        yield path, rows
    for deeper, section in below:
        yield from sections(section, deeper)


def default_of(info: FieldInfo) -> str:
    """Write the default of a key."""
    return "required" if info.is_required() else shown(info.get_default(call_default_factory=True))


def shown(value: object) -> str:
    """Write a default as it would stand in the file."""
    if value is None or value in ({}, ()):
        return "empty"
    if isinstance(value, Path | Formula):
        value = str(value)
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def values(facts: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Say in a few words what a key takes, from its JSON Schema."""
    if "$ref" in facts:
        return values(definitions[facts["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in facts:
        kinds = [values(k, definitions) for k in facts["anyOf"] if k.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in facts:
        return ", ".join(f"`{word}`" for word in facts["enum"])
    if facts.get("type") == "array":
        items = facts.get("prefixItems") or [facts.get("items", {})]
        of = values(items[0], definitions).replace("integer", "integers").replace("path", "paths")
        of = of.replace("number", "numbers")
        return f"two {of}" if "prefixItems" in facts else f"list of {of}"
    if facts.get("type") == "object":
        return "keys and values"
    kind = "path" if facts.get("format") == "path" else KINDS.get(facts.get("type", ""), "text")
    bounds = [f"{sign}{facts[key]:g}" for key, sign in BOUNDS.items() if key in facts]
    return ", ".join([kind, *bounds])


def tables() -> dict[str, str]:
    """Give the table of each section of the page, by the section's heading."""
    found = {name: "\n".join([HEAD, *rows]) for name, rows in sections(Settings, "")}
    ((_, rows),) = sections(EspressoOptions, "oracle.options (espresso)")
    return found | {"oracle.options of espresso": "\n".join([HEAD, *rows])}


def rewritten(text: str) -> str:
    """Put the tables of the schema into the page."""
    for name, table in tables().items():
        place = re.compile(
            rf"(?<=\n## `{re.escape(name)}`\n)(.*?\n)\| key\b.*?(?=\n\n|\n*\Z)", re.DOTALL
        )
        if not place.search(text):
            raise ValueError(f"{PAGE} has no section `{name}` with a table")
        text = place.sub(lambda m, t=table: m[1] + t, text, count=1)
    return text


def test_every_key_is_described() -> None:
    text = PAGE.read_text("utf-8")
    missing = [row for table in tables().values() for row in table.split("\n") if row not in text]
    assert not missing, "`python tests/unit/test_docs_settings.py` writes the tables anew"


def test_nothing_else_is_described() -> None:
    text = PAGE.read_text("utf-8")
    known = {row for table in tables().values() for row in table.split("\n")}
    assert {line for line in text.split("\n") if line.startswith("| `")} <= known
    assert rewritten(text) == text


def test_the_writer_replaces_old_tables() -> None:
    text = PAGE.read_text("utf-8")
    row = next(line for line in text.split("\n") if line.startswith("| `seed`"))
    assert rewritten(text.replace(row, "| `sead` | 1 | old | old |")) == text


def test_readme_table_has_the_true_defaults() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| ([^|]*) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) >= 8
    for key, told in rows:
        *path, name = key.split(".")
        model: type[BaseModel] = Settings
        for part in path:
            section = section_of(model.model_fields[part])
            assert section is not None, key
            model = section
        info = model.model_fields[name]
        assert told == default_of(info), key


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
