"""`aga status`, `watch`, `best`: how a search is doing and what it found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aga.cli.common import (
    CountOption,
    DatabaseOption,
    JsonOption,
    LaunchpadOption,
    SearchOption,
    SiteOption,
    open_repository,
)
from aga.cli.console import console, print_document, say
from aga.cli.glancing import glance_at

if TYPE_CHECKING:
    from aga.store.handle import Found, SearchHandle

__all__ = ["register", "show_end"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("watch")(watch)
    app.command("best")(best)


def status(
    *,
    search: SearchOption = None,
    every: Annotated[bool, typer.Option("--all", help="List all searches.")] = False,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a search stands, or list all searches."""
    if every:
        with open_repository(database, launchpad, site) as repository:
            _list_searches(repository.list_searches(), as_json=as_json)
        return
    with glance_at(search, database, launchpad, site) as handle:
        document = handle.status()
    if as_json:
        print_document(document)
        return
    from aga.report.progress import render

    console().print(render(document))


def watch(
    *,
    search: SearchOption = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 2.0,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Watch a search until it ends; Ctrl-C leaves it running."""
    import time

    from aga.report.progress import open_progress

    with glance_at(search, database, launchpad, site) as handle:
        document = handle.status()
        try:
            with open_progress(quiet=as_json) as progress:
                progress.update(document)
                while document["state"] == "running":
                    time.sleep(interval)
                    document = handle.status()
                    progress.update(document)
        except KeyboardInterrupt:
            if not as_json:
                say("the search goes on; `aga watch` shows it again")
    if as_json:
        print_document(document)


def best(
    *,
    number: CountOption = 10,
    search: SearchOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the best structures with their reference energies."""
    with glance_at(search, database, launchpad, site) as handle:
        if as_json:
            print_document(handle.best_document(number))
            return
        found = handle.best(number)
        state = handle.repository.get_search(handle.id)["state"]
        _print_best(handle.id, found, state)


def show_end(handle: SearchHandle, document: dict[str, Any], folder: Path | None) -> None:
    """Print what a search that has ended found.

    Parameters
    ----------
    handle
        The search.
    document
        Its status.
    folder
        Where its results were written, None for nowhere.
    """
    from aga.report.rows import duration, unfinished_lines

    _print_best(handle.id, handle.best(10), document["state"])
    budget = document["budget"]["reference_calls"]
    say(f"{document['state']}: {document['reason'] or document['verdict'] or ''}".rstrip(": "))
    say(
        f"reference evaluations: {document['reference_calls']} of at most {budget} in the loop, "
        f"{document['refine_calls']} in the final relaxations"
    )
    for line in unfinished_lines(document):
        say(line)
    say(
        f"iterations: {document['iteration']}, generations: {document['generation']}, "
        f"{document['structures']} structures proposed, {duration(document['elapsed'])}"
    )
    if folder is not None:
        say(f"results: {folder} (CIF, POSCAR, extended XYZ, energy.png, summary.md)")


def _list_searches(documents: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        keys = ("formula", "state", "reason", "iteration", "generation", "reference_calls")
        rows = [
            {"search": doc["_id"], **{key: doc[key] for key in keys}, "created": doc["created"]}
            for doc in documents
        ]
        print_document({"searches": rows})
        return
    from aga.report.tables import searches_table

    console().print(searches_table(documents))


def _print_best(search: str, found: list[Found], state: str) -> None:
    from aga.report.tables import structures_table

    if not found:
        say(f"search {search} ({state}) has no structure with a reference energy yet")
        return
    final = found[0].stage == "result"
    what = "structures found by" if final else "best structures so far of"
    screen = console()
    title = f"{what} {search}"
    screen.print(structures_table(found, title=title, width=screen.width))
    if not final:
        say("not yet relaxed by the reference method")
