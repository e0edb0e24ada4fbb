"""`aga db start|stop|status`: the embedded database server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import JsonOption
from aga.cli.console import print_document, say

if TYPE_CHECKING:
    from aga.store.server import ServerStatus

__all__ = ["register"]

DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="FOLDER",
        help="Folder of the data and the log; else AGA_DB_DIR, else ~/.local/share/aga/db.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Start, stop and ask the embedded database.")
    group.command("start")(start)
    group.command("stop")(stop)
    group.command("status")(status)
    app.add_typer(group, name="db")


def start(
    *,
    directory: DirectoryOption = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port; a free one where left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the embedded database server (one that runs is left alone)."""
    from aga.store.server import start as start_server

    _show(start_server(directory, port), as_json=as_json)


def stop(*, directory: DirectoryOption = None, as_json: JsonOption = False) -> None:
    """Stop the embedded database server; its data stay."""
    from aga.store.server import stop as stop_server

    stopped = stop_server(directory)
    if as_json:
        print_document({"stopped": stopped})
    else:
        say("the database server is stopped" if stopped else "no database server was running")


def status(*, directory: DirectoryOption = None, as_json: JsonOption = False) -> None:
    """Tell whether the embedded database server runs, and where."""
    from aga.store.server import status as server_status

    _show(server_status(directory), as_json=as_json)


def _show(found: ServerStatus, *, as_json: bool) -> None:
    if as_json:
        print_document(found.to_dict())
    elif found.running:
        say(f"running: {found.uri}  ({found.engine}, process {found.pid})")
        say(f"data and log: {found.directory}")
    else:
        say(f"not running; its folder is {found.directory}")
        say("`aga db start` starts it")
