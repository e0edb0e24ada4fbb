"""`aga structures list|show|export`: the structures of a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import (
    CountOption,
    DatabaseOption,
    JsonOption,
    LaunchpadOption,
    SearchOption,
    SiteOption,
)
from aga.cli.console import console, print_document, say
from aga.cli.glancing import glance_at

if TYPE_CHECKING:
    from aga.report.export import Format
    from aga.store.handle import Found, SearchHandle

__all__ = ["register"]

WhereOption = Annotated[
    str,
    typer.Option(
        "--where",
        metavar="FILTER",
        help='Which ones, such as "energy_per_atom < -4.5 and space_group == 227".',
        show_default=False,
    ),
]
NameArgument = Annotated[
    str, typer.Argument(metavar="ID", help="Structure, such as g003-017 or SEARCH/g003-017.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="List, show and export structures.")
    group.command("list")(list_structures)
    group.command("show")(show)
    group.command("export")(export)
    app.add_typer(group, name="structures")


def list_structures(  # noqa: PLR0913 - each is an option of the command
    *,
    where: WhereOption = "",
    sort: Annotated[
        str,
        typer.Option(metavar="FIELD", help="Order, such as energy or -generation (descending)."),
    ] = "energy",
    number: CountOption = 20,
    search: SearchOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """List structures of a search."""
    with glance_at(search, database, launchpad, site) as handle:
        found = handle.structures(where, sort, number)
    if as_json:
        rows = [item.to_dict() for item in found]
        print_document({"search": handle.id, "structures": rows})
        return
    from aga.report.tables import structures_table

    screen = console()
    title = f"structures of {handle.id}"
    screen.print(structures_table(found, title=title, width=screen.width))
    if len(found) == number:
        say(f"the first {number}; -n shows more")


def show(
    name: NameArgument,
    *,
    search: SearchOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one structure: energies, cell, atoms and ancestry."""
    search, name = _split(name, search)
    with glance_at(search, database, launchpad, site) as handle:
        ancestry = handle.ancestry(name)
        pick = handle.repository.get_structure(handle.id, name).get("pick")
    item = ancestry[0]
    if as_json:
        structure = item.to_dict() | {
            "symbols": item.candidate.symbols,
            "positions": item.candidate.positions.tolist(),
            "cell": item.candidate.cell.tolist(),
            "pick": pick,
        }
        ancestors = [one.to_dict() for one in ancestry[1:]]
        print_document({"search": handle.id, "structure": structure, "ancestors": ancestors})
        return
    from aga.report.details import structure_details

    console().print(structure_details(item, ancestry, pick))


def export(  # noqa: PLR0913 - each is an option of the command
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Structures; the best where none is named."),
    ] = None,
    *,
    form: Annotated[
        str, typer.Option("--format", "-f", help="cif, poscar, extxyz, ase-db or json.")
    ] = "cif",
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PLACE", help="Folder or file to write.")
    ] = Path("structures"),
    where: WhereOption = "",
    number: Annotated[
        int | None, typer.Option("-n", "--number", min=1, help="How many at most.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    search: SearchOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write structures to files."""
    from aga.report.export import export_structures

    with glance_at(search, database, launchpad, site) as handle:
        found = _chosen(handle, names or [], where, number)
    paths = export_structures(found, _format(form), output, overwrite=force)
    if as_json:
        files = [str(path) for path in paths]
        print_document({"search": handle.id, "structures": len(found), "files": files})
        return
    place = paths[0] if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent}"
    say(f"wrote {len(found)} structure{'s' if len(found) != 1 else ''}: {place}")


def _split(name: str, search: str | None) -> tuple[str | None, str]:
    """Take the search from an identifier such as ``SEARCH/g003-017``."""
    named, slash, rest = name.rpartition("/")
    return (named, rest) if slash else (search, name)


def _chosen(handle: SearchHandle, names: list[str], where: str, number: int | None) -> list[Found]:
    if names:
        return [handle.structure(name) for name in names[:number]]
    if where:
        return handle.structures(where, "energy", number)
    return handle.best(number or 10)


def _format(text: str) -> Format:
    from aga.errors import InputError
    from aga.report.export import FORMATS

    for form in FORMATS:
        if text.lower() == form:
            return form
    raise InputError(f"there is no format {text!r}", remedy=f"one of {', '.join(FORMATS)}")
