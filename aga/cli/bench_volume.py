"""`aga bench volume`: how quick a search with very many structures answers."""

from __future__ import annotations

from typing import Annotated

import typer

from aga.cli.common import DatabaseOption, JsonOption
from aga.cli.console import console, print_document, say

__all__ = ["volume"]


def volume(
    *,
    structures: Annotated[
        int, typer.Option("--structures", min=1000, help="Structures that the search has.")
    ] = 100_000,
    repetitions: Annotated[
        int, typer.Option("--repetitions", min=1, help="Of each measurement.")
    ] = 5,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fill a scratch database with a large search and measure its answers and documents."""
    from aga.bench.volume import VolumeOptions, measure_volume
    from aga.bench.volume_table import volume_tables

    screen = console(stderr=True)
    document = measure_volume(
        VolumeOptions(structures=structures, repetitions=repetitions, database=database),
        lambda line: screen.print(line, style="dim"),
    )
    if as_json:
        print_document(document)
        return
    console().print(volume_tables(document))
    if not document["within"]:
        say(f"`aga best` or `aga structures list` takes longer than {document['target_s']} s")
