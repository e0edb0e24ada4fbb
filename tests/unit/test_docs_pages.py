"""The pages: links lead somewhere, settings in them are valid, Python in them is Python."""

from __future__ import annotations

import ast
import re
import unicodedata
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aga.config.load import load_settings, load_site
from aga.config.schema import MachineSettings, Settings
from aga.errors import SettingsError
from aga.oracle.registry import check_oracle

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")

FIREWORKS_KEYS = {  # files of FireWorks, by a key that only they have
    "host": {"host", "port", "name", "username", "password", "authsource", "uri_mode"},
    "category": {"name", "category", "query", "env"},
    "_fw_name": {
        *("_fw_name", "_fw_q_type", "queue", "account", "walltime", "nodes", "ntasks"),
        *("cpus_per_task", "mem", "pre_rocket", "rocket_launch", "job_name"),
    },
}


def anchors(page: Path) -> set[str]:
    """Give the anchors that GitHub makes of the headings."""
    text = FENCE.sub("", page.read_text("utf-8"))
    found = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        plain = re.sub(r"[`*]|\]\([^)]*\)|\[", "", heading).strip().lower()
        kept = (c for c in plain if c in " -_" or unicodedata.category(c)[0] in "LN")
        found.add("".join(kept).replace(" ", "-"))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def test_every_page_is_on_the_map() -> None:
    text = (ROOT / "docs" / "index.md").read_text("utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "index.md":
            assert f"({page.relative_to(ROOT / 'docs').as_posix()})" in text, page.name


def blocks(language: str) -> list[tuple[str, str, str]]:
    """Give page, the words after the language, and text of each block."""
    found = []
    for page, name in zip(PAGES, NAMES, strict=True):
        for info, body in FENCE.findall(page.read_text("utf-8")):
            first, _, rest = info.partition(" ")
            if first == language:
                found.append((name, rest, body))
    return found


@pytest.mark.parametrize(("page", "kind", "text"), blocks("yaml"))
def test_settings_are_valid(page: str, kind: str, text: str, tmp_path: Path) -> None:
    keys = set(YAML(typ="safe").load(text))
    known = next((names for mark, names in FIREWORKS_KEYS.items() if mark in keys), None)
    file = tmp_path / "page.yaml"
    file.write_text(text, "utf-8")
    (tmp_path / "known.extxyz").touch()
    if known is not None:
        assert keys <= known
    elif keys <= set(Settings.model_fields) and kind == "wrong":
        with pytest.raises(SettingsError):
            load_settings(file)
    elif keys <= set(Settings.model_fields):
        settings = load_settings(file)
        counts = settings.search.atom_counts()
        problems = check_oracle(settings.oracle, settings.machine, counts)
        site = ("machine.", "oracle.options.pseudopotentials")  # what this machine lacks
        assert [p for p in problems if not p.key.startswith(site)] == []
    else:
        assert keys <= set(MachineSettings.model_fields)
        load_site(file)


def test_python_is_python() -> None:
    found = blocks("python")
    assert len(found) > 10
    for page, _, text in found:
        ast.parse(text, filename=page)
