"""`aga submit`: jobs of the queue for a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import (
    DatabaseOption,
    JsonOption,
    LaunchpadOption,
    SiteOption,
    read_settings,
)
from aga.cli.console import print_document, say

if TYPE_CHECKING:
    from aga.config import Settings
    from aga.tasks.session import Session
    from aga.tasks.submit import Submission

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(submit)


def submit(  # noqa: PLR0913 - each is an option of the command
    search: Annotated[
        str | None,
        typer.Argument(
            metavar="[SEARCH]",
            help="The search, the beginning of its name, or a settings file, which starts it; "
            "the newest where left out.",
            show_default=False,
        ),
    ] = None,
    *,
    ga: Annotated[int, typer.Option("--ga", help="Jobs that breed and choose.", min=0)] = 0,
    oracle: Annotated[
        int, typer.Option("--oracle", help="Jobs of the reference method.", min=0)
    ] = 0,
    train: Annotated[int, typer.Option("--train", help="Jobs that fit members.", min=0)] = 0,
    files: Annotated[
        Path | None,
        typer.Option(
            "--files",
            metavar="FOLDER",
            help="Queue adapters and fworkers; else machine.queue_dir of the search.",
            show_default=False,
        ),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Write these files, to be edited, and end.")
    ] = False,
    site: SiteOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print and check the scripts; submit nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write jobs for a search and hand them to SLURM."""
    if init:
        _write(files or Path("hpc/slurm"), as_json=as_json)
        return
    session, settings, name = _find(
        search, site, database=database, launchpad=launchpad, create=not dry_run
    )
    from aga.tasks.submit import Submission

    submission = Submission(
        search_id=name,
        settings=settings,
        counts={"ga": ga, "oracle": oracle, "train": train},
        folder=files or settings.machine.queue_dir.expanduser(),
        database=settings.machine.database,
        launchpad=None if settings.machine.database else settings.machine.launchpad,
    )
    if dry_run:
        _rehearse(submission, as_json=as_json)
    else:
        _submit(session, submission, as_json=as_json)


def _write(folder: Path, *, as_json: bool) -> None:
    from aga.tasks.adapter import write_files

    written = write_files(folder)
    if as_json:
        print_document({"files": [str(path) for path in written]})
        return
    for path in written:
        say(f"{path}")
    say("edit the settings at the top of ga.yaml, oracle.yaml and train.yaml; then `aga submit`")


def _find(
    search: str | None,
    site: Path | None,
    *,
    database: str | None,
    launchpad: Path | None,
    create: bool,
) -> tuple[Session, Settings, str]:
    """Open the database; find the search or start the one of a settings file."""
    from aga.config.load import load_site
    from aga.tasks.perform import start
    from aga.tasks.session import open_session

    if search is not None and Path(search).is_file():
        settings = read_settings(Path(search), site)
        machine = settings.machine
        if database is None and launchpad is None:
            database, launchpad = machine.database, machine.launchpad
        session = open_session(database, launchpad)
        if create:
            start(settings.model_dump(mode="json"), session.launchpad)
        name = settings.search_id()
        if name in [found["_id"] for found in session.repository.list_searches()]:
            settings = _open_for_work(session, name)
    else:
        if site is not None and database is None and launchpad is None:
            named = load_site(site)
            database = named.get("database")
            launchpad = Path(named["launchpad"]) if named.get("launchpad") else None
        session = open_session(database, launchpad)
        name = session.repository.resolve_search(search)
        settings = _open_for_work(session, name)
    # What is stored with a search has no password: the jobs reach the database as we did.
    place = {"database": database, "launchpad": launchpad}
    machine = settings.machine.model_copy(update=place)
    return session, settings.model_copy(update={"machine": machine}), name


def _open_for_work(session: Session, name: str) -> Settings:
    """Give the settings of a search that jobs can do something for."""
    from aga.errors import InputError
    from aga.tasks.dispatch import search_settings

    found = session.repository.get_search(name)
    if found["state"] != "running":
        mend = f"`aga recover --search {name} --retry` lets it go on"
        raise InputError(
            f"search {name} is {found['state']}: jobs would find nothing to do",
            remedy=mend if found["state"] == "failed" else "`aga best` shows what it found",
            search=name,
        )
    return search_settings(found)


def _rehearse(submission: Submission, *, as_json: bool) -> None:
    import tempfile

    kinds = submission.kinds()
    notes = submission.check(kinds)
    scripts = submission.scripts(kinds)
    with tempfile.TemporaryDirectory() as scratch:
        said = submission.rehearse(kinds, Path(scratch))
    counts = {kind.name: submission.counts[kind.name] for kind in kinds}
    if as_json:
        print_document(
            {
                "search": submission.search_id,
                "counts": counts,
                "scripts": scripts,
                "slurm": said,
                "notes": notes,
            }
        )
        return
    for kind, text in zip(kinds, scripts.values(), strict=True):
        say(f"--- {kind.name}: {counts[kind.name]} × {kind.file}")
        say(text.rstrip())
    say("---")
    for line in said:
        say(f"SLURM says: {line}")
    for note in notes:
        say(f"note: {note}")
    say("nothing was submitted")


def _submit(session: Session, submission: Submission, *, as_json: bool) -> None:
    kinds = submission.kinds()
    notes = submission.check(kinds)
    jobs = submission.submit(session, kinds)
    if as_json:
        print_document(
            {
                "search": submission.search_id,
                "jobs": [
                    {"id": j.id, "kind": j.kind, "name": j.name, "folder": j.folder} for j in jobs
                ],
                "notes": notes,
            }
        )
        return
    for job in jobs:
        say(f"job {job.id}  {job.kind:6}  {job.folder}")
    for note in notes:
        say(f"note: {note}")
    say(f"{len(jobs)} jobs submitted for {submission.search_id}; `aga jobs list` shows them")
