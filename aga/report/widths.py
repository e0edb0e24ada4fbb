"""How wide the columns of a table are, so that nothing is cut off where room is short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["column_widths", "longest_word"]

FRAME = 3
"""Characters between two columns; one more stands at the edge of the table."""


def longest_word(texts: Sequence[str]) -> int:
    """Give the length of the longest word: no column is narrower."""
    return max((len(word) for text in texts for word in text.split()), default=1)


def column_widths(
    columns: Mapping[str, Sequence[str]], expendable: Sequence[str], width: int
) -> tuple[dict[str, int], list[str]]:
    """Share out the width of a terminal among the columns of a table.

    A column is at least as wide as its longest word and at most as its longest line; the widest
    give way first. Where even the words do not fit, columns are left out.

    Parameters
    ----------
    columns
        By name all texts of a column, its heading among them.
    expendable
        Names of columns that may be left out, the first one first.
    width
        Characters.

    Returns
    -------
    widths, missing
        Characters of each column that stays; names of those that don't.
    """
    least = {name: longest_word(texts) for name, texts in columns.items()}
    missing: list[str] = []
    for name in expendable:
        if _total(least) <= width:
            break
        if least.pop(name, None) is not None:
            missing.append(name)
    lines = {name: [line for text in columns[name] for line in text.split("\n")] for name in least}
    widths = {name: max(len(line) for line in texts) for name, texts in lines.items()}
    while _total(widths) > width:
        slack = [name for name in widths if widths[name] > least[name]]
        if not slack:
            break
        widths[max(slack, key=lambda name: widths[name])] -= 1
    return widths, missing


def _total(widths: Mapping[str, int]) -> int:
    return 1 + sum(FRAME + width for width in widths.values())
