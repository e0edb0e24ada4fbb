"""The page with the committed results: table, pictures and the runs that they are of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aga.bench.search.figure import success_figure
from aga.bench.search.jobs import Record
from aga.bench.search.provenance import footer
from aga.bench.search.results import as_line
from aga.bench.search.table import markdown_table
from aga.errors import InputError
from aga.oracle.base import disk_full_as_error
from aga.report.plots import save_figure

__all__ = ["BEGIN", "END", "check_page", "runs_of", "save_pictures", "write_page"]

BEGIN = "<!-- results: written by `aga bench search --page` -->"
END = "<!-- end of results -->"


def check_page(page: Path) -> str:
    """Give the text of a page that has a place for results.

    Raises
    ------
    aga.errors.InputError
        It can't be read, or has no such place.
    """
    try:
        text = page.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't read {page}: {error}", remedy="name a page in Markdown") from error
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(
            f"{page} has no place for the results",
            remedy=f"put the lines {BEGIN} and {END} where the table shall stand",
        )
    return text


def runs_of(page: Path) -> Path:
    """Give the file beside a page that holds the runs of its table."""
    return page.with_suffix(".jsonl")


def write_page(page: Path, document: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Put the table between the marks, and pictures into ``../images`` beside the page's folder.

    The runs are written beside the page (:func:`runs_of`), so that whoever has the page can go on
    with them. Those that are there stay, unless the same has been done anew.

    Parameters
    ----------
    page
        See :func:`check_page`.
    document
        What was measured.
    records
        The runs.
    """
    text = check_page(page)
    images = page.resolve().parent.parent / "images"
    names = save_pictures(records, images)
    parts = [markdown_table(document["rows"])]
    parts += [
        f"![success against reference calls: {name}](../images/{file})" for name, file in names
    ]
    said = footer(document)
    parts += [f"{said[0].upper()}{said[1:]}."] if said else []
    missing = document["missing"]
    parts += [f"Runs that are not done yet, and missing above: {missing}."] if missing else []
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n\n".join(parts)
    with disk_full_as_error(page):
        page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
        runs_of(page).write_text(_runs(runs_of(page), records), encoding="utf-8")


def _runs(file: Path, records: Sequence[Record]) -> str:
    """Give the lines of runs, and before them what else a file holds: other problems, say."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    done = {record["key"] for record in records}
    others = [one for one in map(json.loads, text.splitlines()) if one["key"] not in done]
    return "".join(as_line(one) for one in [*others, *records])


def save_pictures(records: Sequence[Record], folder: Path) -> list[tuple[str, str]]:
    """Draw a picture for each problem; give problem and file name."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for problem in dict.fromkeys(record["problem"] for record in records):
        own = [record for record in records if record["problem"] == problem]
        file = f"search-{problem}.png"
        save_figure(success_figure(own), folder / file)
        names.append((str(problem), file))
    return names
