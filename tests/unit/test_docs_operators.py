"""The page on the operators lists all of them, and its numbers are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

from aga.search import rates
from aga.search.operators import OPERATORS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "operators.md"


def test_every_operator_has_a_row_with_a_source() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| (\[[\d, –]+\]) \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert [name for name, _ in rows] == list(OPERATORS)
    listed = PAGE.read_text("utf-8").split("## Sources")[1]
    last = max(int(n) for _, cited in rows for n in re.findall(r"\d+", cited))
    assert f"\n{last}. " in listed


def test_the_formula_has_the_constants_of_the_code() -> None:
    text = PAGE.read_text("utf-8")
    own = f"{rates.FLOOR}\\,p_o + {1 - rates.FLOOR:.1f}\\,q_o"
    assert own in text
    assert f"e_o + {rates.PRIOR:.0f}\\bar s" in text
    assert f"limited to ${rates.BOUND:.0f}p_o$" in text
    assert f"weigh {rates.FORGETTING} of" in text
