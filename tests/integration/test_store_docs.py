"""The page on the collections: its examples run and print what it says, its tables are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aga.store.fields import FIELDS
from aga.store.repository import Repository

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "collections.md"
MARK = "=== end of example ==="


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.embedded
def test_examples_print_what_the_page_says(filled_search: str, embedded_database: str) -> None:
    program = "".join(f"{code}\nprint({MARK!r})\n" for code in blocks("python"))
    environment = os.environ | {"AGA_DATABASE": embedded_database, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{MARK}\n")[:-1]
    assert printed == blocks("text")
    assert len(printed) > 10


@pytest.mark.embedded
def test_every_field_is_described(filled_search: str, repository: Repository) -> None:
    text = PAGE.read_text("utf-8")
    collections = ("searches", "steps", "structures", "frames", "datasets")
    for name in (*collections, "committees", "populations", "events"):
        section = text.split(f"## `aga_{name}`")[1].split("\n## ")[0]
        documents = repository.find(name, {})
        assert documents
        for field in {key for doc in documents for key in doc} - {"_id", "schema"}:
            assert re.search(rf"`{field}[.`]", section), f"aga_{name}: {field} is not described"


def test_every_filter_field_is_described() -> None:
    text = PAGE.read_text("utf-8")
    for name, field in FIELDS.items():
        assert f"| `{name}` | `{field.path}` | {field.unit} | {field.meaning} |" in text
