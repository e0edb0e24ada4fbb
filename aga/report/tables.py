"""Tables and trees for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from aga.report.rows import best_enthalpy, group_name
from aga.store.handle import Found

__all__ = ["ancestry_tree", "searches_table", "structure_details", "structures_table"]

_STAGE_STYLES = {"result": "bold green", "labelled": "green", "failed": "red"}


def structures_table(found: Sequence[Found], *, title: str | None = None) -> Table:
    """Give a table of structures.

    Energies by the reference method in eV/atom, heights above the lowest of the table in
    meV/atom; the committee's energies only where one of the structures has no other. What is
    the same for all is said in the title.
    """
    lowest = best_enthalpy(found)
    shared, columns = _shared(found), _columns(found)
    table = Table(title_justify="left", box=SIMPLE_HEAD, title_style="bold")
    table.title = ", ".join([*([title] if title else []), *shared.values()]) or None
    kept = [column for column in columns if column.name not in shared]
    for column in kept:
        _add(table, column.heading, [column.cell(item, lowest) for item in found], column.justify)
    for item in found:
        table.add_row(*(column.cell(item, lowest) for column in kept))
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
        _Column(name="energy", unit=per_atom, cell=lambda x, _: _number(x.energy_per_atom, 4)),
    ]
    if pressed:
        columns.append(
            _Column(
                name="enthalpy", unit=per_atom, cell=lambda x, _: _number(x.enthalpy_per_atom, 4)
            )
        )
    columns.append(_Column(name="above best", unit=milli, cell=_above))
    if guessed:
        columns += [
            _Column(
                name="committee",
                unit=per_atom,
                cell=lambda x, _: _number(x.predicted_energy_per_atom, 4),
            ),
            _Column(name="spread", unit=milli, cell=lambda x, _: _milli(x.energy_spread)),
        ]
    return [
        *columns,
        _Column(name="reference", justify="left", cell=lambda x, _: x.reference or "–"),
        _Column(name="space group", justify="left", cell=lambda x, _: group_name(x.space_group)),
        _Column(name="volume", unit="Å³/atom", cell=lambda x, _: f"{x.volume_per_atom:.2f}"),
        _Column(name="gen.", cell=lambda x, _: str(x.generation)),
        _Column(name="stage", justify="left", cell=_styled_stage),
    ]


def _shared(found: Sequence[Found]) -> dict[str, str]:
    """Give what is the same for all structures: it goes into the title, not into columns."""
    values = {
        "formula": {item.formula for item in found},
        "reference": {item.reference or "–" for item in found},
        "stage": {_stage(item) for item in found},
    }
    if len(found) < 2:
        return {}
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
    words = [word for text in (heading, *cells) for word in str(text).split()]
    table.add_column(
        heading, justify=justify, overflow="fold", min_width=max(map(len, words), default=1)
    )


def structure_details(
    item: Found, ancestry: Sequence[Found], pick: Mapping[str, Any] | None = None
) -> RenderableType:
    """Give everything about one structure: facts, cell, atoms, ancestry.

    Parameters
    ----------
    item
        The structure.
    ancestry
        The structure and its ancestors, as :meth:`aga.store.handle.SearchHandle.ancestry`
        gives them.
    pick
        Why it was chosen for the reference method (``score``, ``why``).
    """
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(item, pick):
        facts.add_row(Text(name, style="bold"), value)
    return Group(facts, Text(), _geometry(item), Text("ancestry"), ancestry_tree(ancestry))


def ancestry_tree(ancestry: Sequence[Found]) -> Tree:
    """Draw a structure and below it its parents, and theirs.

    A structure that comes twice is drawn with its own parents only the first time.
    """
    known = {item.name: item for item in ancestry}
    first = ancestry[0]
    tree = Tree(_ancestor(first))
    waiting, drawn = [(tree, first)], {first.name}
    while waiting:
        branch, child = waiting.pop(0)
        for name in child.candidate.lineage.parents:
            parent = known.get(name)
            if parent is None:
                branch.add(Text(f"{name}  (not stored)", style="dim"))
            elif name in drawn:
                branch.add(Text(f"{name}  (drawn above)", style="dim"))
            else:
                drawn.add(name)
                waiting.append((branch.add(_ancestor(parent)), parent))
    return tree


def _ancestor(item: Found) -> Text:
    parts = [item.candidate.lineage.operator, f"generation {item.generation}", _energy(item, 4)]
    if item.space_group:
        parts.append(group_name(item.space_group))
    return Text(item.name, style="bold").append("  " + ", ".join(parts), style="not bold")


def _energy(item: Found, digits: int) -> str:
    if item.energy_per_atom is not None:
        return f"{item.energy_per_atom:.{digits}f} eV/atom ({item.reference})"
    if item.predicted_energy_per_atom is not None:
        return f"{item.predicted_energy_per_atom:.{digits}f} eV/atom (committee)"
    return "no energy yet"


def _facts(item: Found, pick: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    lineage = item.candidate.lineage
    parents = f" from {', '.join(lineage.parents)}" if lineage.parents else ""
    facts = [
        ("id", item.id),
        ("formula", f"{item.formula}, {len(item.candidate)} atoms"),
        ("stage", _stage(item)),
        ("energy", _energy(item, 6)),
    ]
    if item.enthalpy_per_atom != item.energy_per_atom:
        facts.append(("enthalpy", f"{_number(item.enthalpy_per_atom, 6)} eV/atom"))
    facts += [
        ("space group", group_name(item.space_group)),
        ("volume", f"{item.volume_per_atom:.3f} Å³/atom"),
        ("made by", f"{lineage.operator}{parents}, generation {item.generation}"),
    ]
    if item.predicted_energy_per_atom is not None:
        energy, spread = item.predicted_energy_per_atom, item.energy_spread
        facts.append(("committee", f"{energy:.6f} ± {_number(spread, 6)} eV/atom"))
    if pick:
        facts.append(("picked", f"{pick.get('why', '')}, score {_number(pick.get('score'), 4)}"))
    if item.failure:
        facts.append(("failure", f"{item.failure.get('reason')}: {item.failure.get('message')}"))
    return facts


def _geometry(item: Found) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Å", no_wrap=True)
    for name in "xyz":
        table.add_column(name, justify="right", no_wrap=True)
    for name, vector in zip("abc", item.candidate.cell, strict=True):
        table.add_row(Text(name, style="bold"), *(f"{x:.5f}" for x in vector))
    table.add_section()
    for element, position in zip(item.candidate.symbols, item.candidate.positions, strict=True):
        table.add_row(element, *(f"{x:.5f}" for x in position))
    return table


def _above(item: Found, lowest: float | None) -> str:
    if lowest is None or item.enthalpy_per_atom is None:
        return "–"
    return _milli(item.enthalpy_per_atom - lowest)


def _milli(value: float | None) -> str:
    return "–" if value is None else f"{1000 * value:.1f}"


def _styled_stage(item: Found, _: float | None) -> Text:
    return Text(_stage(item), style=_STAGE_STYLES.get(item.stage, ""))


def _stage(item: Found) -> str:
    return f"{item.stage} ({item.failure.get('reason')})" if item.failure else item.stage


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
