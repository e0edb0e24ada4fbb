"""What each operator has brought to a search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["OperatorRow", "operator_rows", "operators_markdown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    """One operator.

    ``made`` offspring over the whole search and ``entered``, those that entered the population;
    ``share`` of the offspring of the newest generation.
    """

    operator: str
    made: int
    entered: int
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)


def operator_rows(generations: Sequence[Mapping[str, Any]]) -> list[OperatorRow]:
    """Sum up the results of the generations' steps, oldest first; the most successful lead.

    Parameters
    ----------
    generations
        With ``made``, ``entered`` and ``shares`` by operator, where they are known.
    """
    made: Counter[str] = Counter()
    entered: Counter[str] = Counter()
    shares: Mapping[str, float] = {}
    for result in generations:
        made.update(result.get("made", {}))
        entered.update(result.get("entered", {}))
        shares = result.get("shares", shares)
    rows = [
        OperatorRow(
            operator=name, made=made[name], entered=entered[name], share=shares.get(name, 0.0)
        )
        for name in sorted(set(made) | set(shares))
    ]
    return sorted(rows, key=lambda row: (-row.entered, -row.made, row.operator))


def operators_markdown(rows: Sequence[OperatorRow]) -> list[str]:
    """Write the table as lines of Markdown; none without rows."""
    if not rows:
        return []
    return [
        "## Operators",
        "",
        "Offspring of each, how many entered the population, and its share at the end.",
        "",
        "| operator | made | entered | share |",
        "|---|---:|---:|---:|",
        *(f"| {r.operator} | {r.made} | {r.entered} | {100 * r.share:.0f} % |" for r in rows),
        "",
    ]
