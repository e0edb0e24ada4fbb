"""The benchmark's tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

__all__ = ["speed_tables"]

_PEERS = {
    "torch": "plain torch\nas the formula",
    "torch_factored": "plain torch\nfactored",
    "dscribe": "DScribe\nvalues alone",
}


def speed_tables(document: Mapping[str, Any]) -> RenderableType:
    """Give the tables of what :func:`aga.bench.speed.measure` measured."""
    return Group(_rows(document), _stages(document), *_relaxation(document), _single(document))


def _table(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < 2 else "right")
    return table


def _rows(document: Mapping[str, Any]) -> Table:
    peers = {(p["case"], p["form"], p["threads"], p["peer"]): p for p in document["peers"]}
    table = _table(
        "Energy, forces and stress of one member: µs per atom, and times as long",
        *("case", "form", "cores", "aga", "atoms/s"),
        *_PEERS.values(),
    )
    for row in document["rows"]:
        key = (row["case"], row["form"], row["threads"])
        table.add_row(
            *(row["case"], row["form"], str(row["threads"])),
            f"{row['us_per_atom']:.1f}",
            f"{1e6 / row['us_per_atom']:,.0f}",
            *(_against(peers.get((*key, name))) for name in _PEERS),
        )
    return table


def _against(peer: Mapping[str, Any] | None) -> str:
    if peer is None:
        return "not measured"
    if peer["us_per_atom"] is None:
        return "not installed"
    return f"{peer['us_per_atom']:,.0f}  {peer['ratio']:.0f}×"


def _stages(document: Mapping[str, Any]) -> Table:
    stages = document["stages"]
    names = list(stages[0]["shares"]) if stages else []
    table = _table(
        "Stages on one core: µs per atom, and share",
        *("case", "form", "pairs", *names, "arithmetic\nat peak"),
    )
    for entry in stages:
        cells = [f"{entry['us_per_atom'][n]:.1f}  {100 * entry['shares'][n]:.0f} %" for n in names]
        floor = f"{entry['floor_us']:.1f}"
        table.add_row(entry["case"], entry["form"], f"{entry['pairs_per_atom']:.0f}", *cells, floor)
    return table


def _relaxation(document: Mapping[str, Any]) -> list[RenderableType]:
    found = document.get("relaxation")
    if found is None:
        return []
    ours = document["relax"]
    table = _table(
        "Relaxation of atoms and cell: ms each, and times as long",
        *("optimizer", "cells", "ms", "ratio", "steps", "converged", "same minimum", "ours lower"),
    )
    figures = [f"{found['ms_per_relaxation']:.1f}", "", f"{found['steps_per_relaxation']:.0f}"]
    share = f"aga, one batch ({100 * ours['optimizer_share']:.0f} % its own)"
    table.add_row(share, str(found["cells"]), *figures, str(found["converged"]))
    lines = [(f"ASE, FIRE, {name} filter", loop) for name, loop in found["ase"].items()]
    if found["basins"] is not None:
        lines.append(("ASE, FIRE, from rattled minima", found["basins"]))
    for title, loop in lines:
        table.add_row(
            title,
            str(loop["cells"]),
            f"{loop['ms_per_relaxation']:.0f}",
            f"{loop['ms_per_relaxation'] / found['ms_per_relaxation']:.1f}×",
            f"{loop['steps_per_relaxation']:.0f}",
            *(str(loop[key]) for key in ("converged", "same", "lower")),
        )
    return [table]


def _single(document: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_header=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    for label, text in _figures(document):
        table.add_row(label, text)
    return table


def _figures(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    peaks = document["peaks"]
    figures = [
        ("committee of 4 against one member", _times(document["committee_cost_ratio"])),
        ("  with the spread of the forces", _times(document["committee_with_force_spread_ratio"])),
        ("two cores against one, on the batch", _times(document["two_core_ratio"])),
        ("new process to first energy, s", _number(document["first_energy_s"], 2)),
        ("  of which imports", _number(document["first_import_s"], 2)),
        ("memory of a batch, kB per atom", _number(document["memory_bytes_per_atom"], 1, 1e-3)),
    ]
    titles = {
        "exponentials_per_s": "one core: 10⁹ exponentials/s",
        "library_exponentials_per_s": "one core: 10⁹ exponentials/s of the C library",
        "multiply_adds_per_s": "one core: 10⁹ multiply-adds/s in registers",
        "sums_of_products_per_s": "one core: 10⁹ multiply-adds/s from the first-level cache",
    }
    return figures + [(title, _number(peaks[name], 2, 1e-9)) for name, title in titles.items()]


def _times(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}×"


def _number(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "not measured" if value is None else f"{value * factor:,.{digits}f}"
