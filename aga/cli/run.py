"""Commands that make a search happen: run, worker, workflow, recover."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import (
    DatabaseOption,
    DeviceOption,
    JsonOption,
    LaunchpadOption,
    SearchOption,
    SiteOption,
    check_device,
    read_settings,
)
from aga.cli.console import print_document, say

if TYPE_CHECKING:
    from aga.config import Settings

__all__ = ["register"]

SettingsFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="Settings file; `aga init Si8` writes one.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (run, worker, workflow, recover):
        app.command(rich_help_panel="Searches")(command)


def run(  # noqa: PLR0913 - each is an option of the command
    file: SettingsFile,
    *,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", help="Worker processes.", min=1)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the results."),
    ] = None,
    device: DeviceOption = None,
    site: SiteOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run a search to its end on this machine, or go on with it after an interruption."""
    from aga.cli.local import LocalRun

    settings = _on_this_machine(read_settings(file, site), database, launchpad, device)
    search = LocalRun(
        settings=settings,
        workers=workers or settings.machine.workers,
        output=output,
        as_json=as_json,
    )
    if not dry_run:
        search.execute()
    elif as_json:
        print_document(search.describe())
    else:
        for key, value in search.describe().items():
            say(f"{key:>10}  {value}")


def _on_this_machine(
    settings: Settings, database: str | None, launchpad: Path | None, device: str | None
) -> Settings:
    """Put the options and the run directory's full path into the machine settings."""
    from aga.config.load import settings_from_dict

    change: dict[str, object] = {"run_dir": str(settings.machine.run_dir.expanduser().resolve())}
    if database is not None:
        change["database"] = database
    if launchpad is not None:
        change["launchpad"] = str(launchpad.resolve())
    if device is not None:
        change["device"] = check_device(device)
    elif settings.machine.device == "cuda":
        check_device("cuda")
    tree = settings.model_dump(mode="json")
    return settings_from_dict({**tree, "machine": {**tree["machine"], **change}})


def worker(  # noqa: PLR0913 - each is an option of the command
    *,
    category: Annotated[
        list[str] | None,
        typer.Option("--category", "-c", help="Serve ga, oracle or train only; may be repeated."),
    ] = None,
    search: SearchOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    max_idle: Annotated[
        float | None,
        typer.Option("--max-idle", help="End after this many seconds without work.", min=0),
    ] = None,
    patience: Annotated[
        float,
        typer.Option("--patience", help="Seconds to wait for space on a full disk.", min=0),
    ] = 600.0,
    walltime: Annotated[
        float | None,
        typer.Option(
            "--walltime",
            help="Seconds that the worker may take; in a job of SLURM those of the job.",
            min=0,
            show_default=False,
        ),
    ] = None,
    margin: Annotated[
        float,
        typer.Option("--margin", help="Begin no step so shortly before the end.", min=0),
    ] = 60.0,
    launch_dir: Annotated[
        Path, typer.Option("--launch-dir", help="Folder of FireWorks' launch files.")
    ] = Path("aga-runs/launches"),
    follow_parent: Annotated[
        bool, typer.Option("--follow-parent", hidden=True, help="End with the parent process.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take steps of searches from the database and perform them."""
    from aga.cli.local import serve
    from aga.errors import InputError
    from aga.store.documents import CATEGORIES

    known = sorted(set(CATEGORIES.values()))
    if wrong := sorted(set(category or []) - set(known)):
        raise InputError(
            f"there is no category {', '.join(wrong)}", remedy=f"use {', '.join(known)}"
        )
    done = serve(
        categories=category or [],
        search=search,
        database=database,
        launchpad=launchpad,
        max_idle=max_idle,
        patience=patience,
        launch_dir=launch_dir,
        follow_parent=follow_parent,
        walltime=walltime,
        margin=margin,
    )
    if as_json:
        print_document({"steps": done})
    else:
        say(f"{done} steps performed")


def workflow(
    file: SettingsFile,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="Workflow file, for `lpad add`."),
    ] = Path("wf.yaml"),
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the FireWorks workflow that starts this search."""
    from aga.tasks.workflows import start_workflow

    settings = read_settings(file, site)
    start_workflow(settings).to_file(str(output))
    if as_json:
        print_document({"workflow": str(output), "search": settings.search_id()})
        return
    say(f"{output} starts search {settings.search_id()}; next: lpad add {output}")
    if not settings.machine.run_dir.is_absolute():
        say(
            f"run directories will be in {settings.machine.run_dir} below the folder of the first "
            "launch; machine.run_dir with a full path puts them where you like"
        )


def recover(
    *,
    search: SearchOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Give failed steps of failed searches a new chance.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Repair what a crash left: take steps from dead workers, hand lost ones out again."""
    from aga.cli.local import repair
    from aga.tasks.session import open_session

    document = repair(open_session(database, launchpad), search=search, retry=retry)
    if as_json:
        print_document(document)
        return
    if not document["searches"]:
        say("no search is running")
    for item in document["searches"]:
        say(
            f"{item['search']}: {len(item['released'])} steps taken from dead workers, "
            f"{len(item['handed_out_again'])} handed out again, {item['planned']} planned"
        )
