"""Tables and trees for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from aga.report.rows import (
    best_enthalpy,
    first_found,
    group_name,
    number,
    prototype_name,
    stage_name,
    strict_group,
    times_found,
)
from aga.report.widths import column_widths, longest_word
from aga.store.handle import Found

__all__ = ["searches_table", "structures_table"]

_STAGE_STYLES = {"result": "bold green", "labelled": "green", "failed": "red"}


_EXPENDABLE = ("volume", "first", "strictly", "committee", "gen.", "found", "prototype", "spread")
"""Columns that a narrow terminal can do without, in this order."""


def structures_table(
    found: Sequence[Found], *, title: str | None = None, width: int | None = None
) -> Table:
    """Give a table of structures.

    Energies by the reference method in eV/atom, heights above the lowest of the table in
    meV/atom; the committee's energies only where one of the structures has no other. What is
    the same for all is said in the title; what does not fit into the width, in characters, is left
    out and named below.
    """
    lowest = best_enthalpy(found)
    shared, columns = _shared(found), _columns(found)
    table = Table(title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    table.title = ", ".join([*([title] if title else []), *shared.values()]) or None
    kept = [column for column in columns if column.name not in shared]
    cells = {one.name: [one.cell(item, lowest) for item in found] for one in kept}
    texts = {one.name: [one.heading, *map(str, cells[one.name])] for one in kept}
    widths, missing = column_widths(texts, _EXPENDABLE, sys.maxsize if width is None else width)
    for one in kept:
        if one.name in widths:
            table.add_column(one.heading, justify=one.justify, width=widths[one.name])
    for row in zip(*(cells[name] for name in widths), strict=True):
        table.add_row(*row)
    table.caption = f"left out for want of width: {', '.join(missing)}" if missing else None
    table.caption_justify = "left"
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One column: its heading and what it says of a structure, given the lowest enthalpy."""

    name: str
    unit: str = ""
    cell: Callable[[Found, float | None], str | Text]
    justify: Literal["left", "right"] = "right"

    @property
    def heading(self) -> str:
        return f"{self.name}\n{self.unit}" if self.unit else self.name


def _columns(found: Sequence[Found]) -> list[_Column]:
    pressed = any(item.energy_per_atom != item.enthalpy_per_atom for item in found)
    guessed = any(item.energy_per_atom is None for item in found)
    per_atom, milli = "eV/atom", "meV/atom"
    columns = [
        _Column(name="id", justify="left", cell=lambda x, _: x.name),
        _Column(name="formula", justify="left", cell=lambda x, _: x.formula),
        _Column(name="energy", unit=per_atom, cell=lambda x, _: number(x.energy_per_atom, 4)),
    ]
    if pressed:
        columns.append(
            _Column(
                name="enthalpy", unit=per_atom, cell=lambda x, _: number(x.enthalpy_per_atom, 4)
            )
        )
    columns.append(_Column(name="above best", unit=milli, cell=_above))
    if guessed:
        columns += [
            _Column(
                name="committee",
                unit=per_atom,
                cell=lambda x, _: number(x.predicted_energy_per_atom, 4),
            ),
            _Column(name="spread", unit=milli, cell=lambda x, _: _milli(x.energy_spread)),
        ]
    return [
        *columns,
        _Column(name="reference", justify="left", cell=lambda x, _: x.reference or "–"),
        *_symmetry_columns(found),
        _Column(name="volume", unit="Å³/atom", cell=lambda x, _: f"{x.volume_per_atom:.2f}"),
        *_discovery_columns(found),
        _Column(name="stage", justify="left", cell=_styled_stage),
    ]


def _symmetry_columns(found: Sequence[Found]) -> list[_Column]:
    """Give the space group, the strict one where any differs, the prototype where any has one."""
    columns = [
        _Column(name="space group", justify="left", cell=lambda x, _: group_name(x.space_group))
    ]
    if any(strict_group(item) for item in found):
        columns.append(
            _Column(name="strictly", justify="left", cell=lambda x, _: strict_group(x) or "same")
        )
    if any(item.prototype for item in found):
        name = "prototype"
        columns.append(
            _Column(name=name, justify="left", cell=lambda x, _: prototype_name(x.prototype))
        )
    return columns


def _discovery_columns(found: Sequence[Found]) -> list[_Column]:
    """Give how often and when results were found; of others the generation that bred them."""
    if not any(item.found for item in found):
        return [_Column(name="gen.", cell=lambda x, _: str(x.generation))]
    return [
        _Column(name="found", cell=lambda x, _: times_found(x.found)),
        _Column(name="first", justify="left", cell=lambda x, _: first_found(x.found)),
    ]


def _shared(found: Sequence[Found]) -> dict[str, str]:
    """Give what is the same for all structures: it goes into the title, not into columns."""
    values = {
        "formula": {item.formula for item in found},
        "reference": {item.reference or "–" for item in found},
        "stage": {stage_name(item) for item in found},
    }
    return {name: texts.pop() for name, texts in values.items() if len(texts) == 1}


def searches_table(documents: Sequence[Mapping[str, Any]]) -> Table:
    """Give a table of searches, from documents of ``aga_searches``."""
    table = Table(box=SIMPLE_HEAD)
    rows = [
        (
            doc["_id"],
            doc["formula"],
            doc["state"],
            str(doc["generation"]),
            str(doc["iteration"]),
            str(doc["reference_calls"]),
            f"{doc['created']:%Y-%m-%d %H:%M}",
        )
        for doc in documents
    ]
    names = ("search", "formula", "state", "gen.", "iter.", "calls", "started (UTC)")
    for k, name in enumerate(names):
        _add(table, name, [row[k] for row in rows], "right" if 3 <= k <= 5 else "left")
    for row in rows:
        table.add_row(*row)
    return table


def _add(
    table: Table, heading: str, cells: Sequence[str | Text], justify: Literal["left", "right"]
) -> None:
    """Add a column in which nothing is cut off: words go to the next line where room is short."""
    table.add_column(
        heading,
        justify=justify,
        overflow="fold",
        min_width=longest_word([heading, *map(str, cells)]),
    )


def _above(item: Found, lowest: float | None) -> str:
    if lowest is None or item.enthalpy_per_atom is None:
        return "–"
    return _milli(item.enthalpy_per_atom - lowest)


def _milli(value: float | None) -> str:
    return "–" if value is None else f"{1000 * value:.1f}"


def _styled_stage(item: Found, _: float | None) -> Text:
    return Text(stage_name(item), style=_STAGE_STYLES.get(item.stage, ""))
