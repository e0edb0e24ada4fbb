"""The page on the codes says of every option what the engines say.

``python tests/unit/test_oracle_page.py`` writes the tables anew.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_docs_settings import HEAD, sections

from aga.oracle.executables import EXECUTABLES
from aga.oracle.registry import ENGINES, _load

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "dft-codes.md"
NAMES = sorted(set(EXECUTABLES) - {"espresso"})  # that one stands among the settings


def table(name: str) -> str:
    cls, _ = _load(name)
    assert cls is not None
    ((_, rows),) = sections(cls.Options, f"oracle.options ({name})")
    return "\n".join([HEAD, *rows])


def rewritten(text: str) -> str:
    """Put the options of the engines into the page."""
    for name in NAMES:
        place = re.compile(
            rf"(?<=\n### Options of `{name}`\n\n)\| key\b.*?(?=\n\n|\n*\Z)", re.DOTALL
        )
        assert place.search(text), name
        found = table(name)
        text = place.sub(lambda _match, t=found: t, text, count=1)
    return text


def test_every_option_is_described_and_nothing_else() -> None:
    text = PAGE.read_text("utf-8")
    assert rewritten(text) == text, "`python tests/unit/test_oracle_page.py` writes the tables anew"


@pytest.mark.parametrize("name", EXECUTABLES)
def test_every_code_is_compared_with_its_install_line(name: str) -> None:
    (row,) = [x for x in PAGE.read_text("utf-8").split("\n") if x.startswith(f"| `{name}` | ")][:1]
    assert f"../../templates/{name}/" in row
    found = re.search(r"apt-get install [a-z0-9 -]+", EXECUTABLES[name].install)
    assert found is None or found[0] in row
    assert name in ENGINES


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text("utf-8")), "utf-8")
