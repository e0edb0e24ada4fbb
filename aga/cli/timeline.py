"""`aga timeline`: who worked on a search when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aga.cli.common import (
    DatabaseOption,
    JsonOption,
    LaunchpadOption,
    SearchOption,
    SiteOption,
    open_handle,
)
from aga.cli.console import console, print_document, say

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(rich_help_panel="Searches")(timeline)


def timeline(
    *,
    search: SearchOption = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Picture to write: PNG, SVG or PDF.", show_default=False
        ),
    ] = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell which worker did what when, and how much of its time it was idle."""
    from aga.report.workers import shifts, shifts_table, worker_panel

    with open_handle(search, database, launchpad, site) as handle:
        steps = handle.repository.list_steps(handle.id)
        document = handle.repository.get_search(handle.id)
    found = shifts(steps)
    if plot is not None and found:
        from aga.report.plots import save_figure
        from aga.report.timeline import timeline_figure

        save_figure(timeline_figure([worker_panel(handle.id, found)]), plot)
    if as_json:
        print_document({"search": handle.id, "workers": [shift.to_dict() for shift in found]})
        return
    if not found:
        say(f"nobody has worked on {handle.id} yet ({document['state']})")
        return
    console().print(shifts_table(handle.id, found))
    if plot is not None:
        say(f"picture: {plot}")
