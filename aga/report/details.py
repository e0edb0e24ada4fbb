"""Everything about one structure, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from aga.report.rows import group_name, number, prototype_name, stage_name, strict_group
from aga.store.handle import Found

__all__ = ["ancestry_tree", "structure_details"]

NAMED_BY_STREAM = {"file", "search", "prototype"}
"""Operators whose stream says where a structure comes from."""


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
    if lineage.operator in NAMED_BY_STREAM:
        parents = f" {lineage.stream}"
    facts = [
        ("id", item.id),
        ("formula", f"{item.formula}, {len(item.candidate)} atoms"),
        ("stage", stage_name(item)),
        ("energy", _energy(item, 6)),
    ]
    if item.enthalpy_per_atom != item.energy_per_atom:
        facts.append(("enthalpy", f"{number(item.enthalpy_per_atom, 6)} eV/atom"))
    facts += [
        ("space group", _space_groups(item)),
        *([("prototype", _type(item.prototype))] if item.prototype else []),
        ("volume", f"{item.volume_per_atom:.3f} Å³/atom"),
        ("made by", f"{lineage.operator}{parents}, generation {item.generation}"),
    ]
    if item.predicted_energy_per_atom is not None:
        energy, spread = item.predicted_energy_per_atom, item.energy_spread
        facts.append(("committee", f"{energy:.6f} ± {number(spread, 6)} eV/atom"))
    if item.found:
        facts.append(("found", _history(item.found)))
    if pick:
        score = pick.get("score")  # none of what was not bred
        said = "" if score is None else f", score {number(score, 4)}"
        facts.append(("picked", f"{pick.get('why', '')}{said}"))
    if item.failure:
        facts.append(("failure", f"{item.failure.get('reason')}: {item.failure.get('message')}"))
    return facts


def _space_groups(item: Found) -> str:
    name = group_name(item.space_group)
    strict = strict_group(item)
    return f"{name}, strictly {strict}" if strict else name


def _type(prototype: Mapping[str, Any]) -> str:
    return f"{prototype_name(prototype)} ({prototype['aflow']})"


def _history(found: Mapping[str, Any]) -> str:
    spent = found["reference_calls"]
    calls = "" if spent is None else f", {spent} reference calls spent"
    often = "once" if found["times"] == 1 else f"{found['times']} times"
    return (
        f"{often}, first as {found['first']} by {found['operator']} "
        f"(iteration {found['iteration']}, generation {found['generation']}{calls})"
    )


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
