"""The settings file that `aga init` writes, and the JSON Schema."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from aga.config.init import commented_settings
from aga.config.load import load_settings
from aga.config.schema import Settings
from aga.config.schema_json import json_schema
from aga.errors import CompositionError

OPTIONS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "ecutwfc": {"type": "number", "default": 40.0, "description": "Ry; plane waves"},
        "pseudopotentials": {"type": "object", "default": {}, "description": "file per element"},
        "smearing": {"anyOf": [{"enum": ["gaussian", "mv"]}, {"type": "null"}], "default": None},
    },
}
CASES = [
    ("Si8", None, {}),
    ("TiO2", None, {}),
    ("TiO2", "espresso", {"pseudopotentials": {"Ti": "Ti.upf", "O": "O 1.upf"}}),
    ("MgSiO3", None, {}),
]


def write(composition: str, oracle: str | None, options: dict[str, Any], folder: Path) -> Path:
    text = commented_settings(
        composition, oracle, options_schema=OPTIONS if oracle else None, options=options
    )
    path = folder / "search.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("composition", "oracle", "options"), CASES)
def test_the_file_loads_to_the_defaults(
    composition: str, oracle: str | None, options: dict[str, Any], tmp_path: Path
) -> None:
    settings = load_settings(write(composition, oracle, options, tmp_path))
    search = Settings.model_validate({"search": {"composition": composition}}).search
    units = search.composition.default_units()
    assert settings.search == search.model_copy(update={"formula_units": units})
    assert settings.oracle.engine == (oracle or "auto")
    assert settings.oracle.options == options


@pytest.mark.parametrize(("composition", "oracle", "options"), CASES)
def test_every_comment_is_a_key_with_its_default(
    composition: str, oracle: str | None, options: dict[str, Any], tmp_path: Path
) -> None:
    path = write(composition, oracle, options, tmp_path)
    settings = load_settings(path)
    text, count = re.subn(r"(?m)^( *)# (\w+:)", r"\1\2", path.read_text(encoding="utf-8"))
    assert count > 40
    path.write_text(text, encoding="utf-8")
    live = load_settings(path)
    known = {key: value for key, value in live.oracle.options.items() if key in options}
    assert live.model_copy(
        update={"oracle": live.oracle.model_copy(update={"options": known})}
    ) == (settings)
    if oracle:
        assert live.oracle.options["ecutwfc"] == 40.0


def test_every_line_fits_and_says_its_unit(tmp_path: Path) -> None:
    lines = write("Si8", "espresso", {}, tmp_path).read_text(encoding="utf-8").splitlines()
    assert max(len(line) for line in lines) <= 100
    assert any(line.split()[:4] == ["#", "cutoff:", "#", "Å;"] for line in lines)


def test_a_composition_that_is_none() -> None:
    with pytest.raises(CompositionError, match="not an element"):
        commented_settings("Xq2")


@pytest.mark.parametrize(("composition", "oracle", "options"), CASES)
def test_the_json_schema_accepts_the_file(
    composition: str, oracle: str | None, options: dict[str, Any], tmp_path: Path
) -> None:
    schema = json_schema({"espresso": OPTIONS, "tersoff": {"type": "object", "properties": {}}})
    jsonschema.Draft202012Validator.check_schema(schema)
    data = YAML(typ="safe", pure=True).load(write(composition, oracle, options, tmp_path))
    jsonschema.validate(data, schema, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"search": {}},
        {"search": {"composition": 3}},
        {"search": {"composition": "Si8", "sed": 1}},
        {"search": {"composition": "Si8"}, "potential": {"cutoff": -1}},
        {"search": {"composition": "Si8"}, "potential": {"activation": "relu"}},
        {"search": {"composition": "Si8"}, "oracle": {"engine": "espreso"}},
        {"search": {"composition": "Si8"}, "oracle": {"engine": "espresso", "options": {"e": 1}}},
    ],
)
def test_the_json_schema_refuses(bad: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, json_schema({"espresso": OPTIONS}))


def test_the_json_schema_allows_other_engines() -> None:
    data = {"search": {"composition": "Si8"}, "oracle": {"engine": "mine.dft:Engine"}}
    jsonschema.validate(data, json_schema({"espresso": OPTIONS}))
    jsonschema.validate({**data, "oracle": {"engine": "anything"}}, json_schema())
