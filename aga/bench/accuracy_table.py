"""The tables of `aga bench accuracy`, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

__all__ = ["accuracy_tables"]

ERRORS = (("energy_mae", 2), ("energy_rmse", 2), ("force_mae", 3), ("force_rmse", 3))
"""Keys of the errors, and their digits."""


def accuracy_tables(document: Mapping[str, Any]) -> RenderableType:
    """Give the tables of what :func:`aga.bench.accuracy.measure_accuracy` measured."""
    parts: list[RenderableType] = []
    if document["rows"]:
        parts += [_rows(document), *_sources(document)]
    if document["speed"]:
        parts.append(_speed(document))
    return Group(*parts)


def _table(title: str, left: int, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="left" if number < left else "right")
    return table


def _rows(document: Mapping[str, Any]) -> Table:
    table = _table(
        f"One network per set, errors on test frames, {document['threads']} threads",
        2,
        *("set", "potential", "frames\ntraining", "\ntest"),
        *("energy\nMAE", "meV/atom\nRMSE", "force\nMAE", "eV/Å\nRMSE"),
        *("training\ns", "\npasses", "\nframes/s"),
    )
    for row in document["rows"]:
        table.add_row(
            *(row["set"], "aga", str(row["train_frames"]), str(row["test_frames"])),
            *_errors(row),
            *(f"{row['seconds']:.0f}", str(row["passes"]), f"{row['frames_per_second']:,.0f}"),
        )
        if row["published"] is not None:
            said = row["published"]
            table.add_row("", f"published: {said['title']}", "", "", *_errors(said), style="dim")
    return table


def _errors(row: Mapping[str, Any]) -> list[str]:
    return ["–" if row[key] is None else f"{row[key]:.{digits}f}" for key, digits in ERRORS]


def _sources(document: Mapping[str, Any]) -> list[Text]:
    known = [row["published"] for row in document["rows"] if row["published"] is not None]
    sources = dict.fromkeys(f"{said['title']}: {said['source']}" for said in known)
    return [Text(f"published, {source}", style="dim") for source in sources]


def _speed(document: Mapping[str, Any]) -> Table:
    row = document["speed"][0]
    table = _table(
        f"One pass: loss and gradient of {row['frames']} frames of "
        f"{row['atoms'] // row['frames']} atoms, {row['threads']} threads",
        2,
        *("labels", "stored", "ms/pass", "frames/s", "first pass, s", "frames/s with it"),
        *("plain torch\nms/frame", "\nratio"),
    )
    for row in document["speed"]:
        peer, ratio = row["torch_seconds_per_frame"], row["ratio_torch"]
        table.add_row(
            *(row["labels"], row["stored"]),
            f"{1e3 * row['seconds_per_pass']:.1f}",
            f"{row['frames_per_second']:,.0f}",
            f"{row['first_pass_seconds']:.2f}",
            f"{row['frames_per_second_from_start']:,.0f}",
            "–" if peer is None else f"{1e3 * peer:,.0f}",
            "–" if ratio is None else f"{ratio:,.0f}×",
        )
    return table
