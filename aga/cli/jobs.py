"""`aga jobs`: the jobs of the queue, their output, their files, and why they ended."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aga.cli.common import (
    DatabaseOption,
    JsonOption,
    LaunchpadOption,
    SiteOption,
    open_repository,
)
from aga.cli.console import console, print_document, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aga.store.jobs import Job
    from aga.store.repository import Repository

__all__ = ["register"]

RECENT = timedelta(days=1)
"""Ended jobs that `aga jobs list` shows without --all."""

JobArgument = Annotated[str, typer.Argument(metavar="ID", help="SLURM's number of the job.")]
JobsOfOption = Annotated[
    str | None,
    typer.Option(
        "--search", "-s", metavar="ID", help="Jobs of this search alone.", show_default=False
    ),
]
KindOption = Annotated[
    str | None,
    typer.Option("--kind", metavar="NAME", help="ga, oracle or train.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Jobs of the queue: states, logs, causes.")
    group.command("list")(list_)
    group.command("log")(log)
    group.command("files")(files)
    group.command("why")(why)
    group.command("cancel")(cancel)
    app.add_typer(group, name="jobs")


def list_(  # noqa: PLR0913 - each is an option of the command
    *,
    search: JobsOfOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Those too that ended more than a day ago.")
    ] = False,
    kind: KindOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs with their states and how long they waited."""
    from aga.store.documents import utcnow

    with open_repository(database, launchpad, site) as repository:
        chosen = repository.list_jobs(
            repository.resolve_search(search) if search else None,
            kind=_known(kind),
            since=None if every else utcnow() - RECENT,
        )
        jobs, trouble = _current(repository, chosen)
    if as_json:
        print_document({"jobs": [_document(job) for job in jobs], "queue": trouble})
        return
    if not jobs:
        say("no jobs" if every else "no jobs; --all lists those that ended more than a day ago")
        return
    from aga.report.jobs_table import jobs_table

    console().print(jobs_table(jobs))


def log(
    job: JobArgument,
    *,
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="Last lines.")] = 50,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the end of a job's output and of its error output."""
    from aga.slurm.logs import tail

    with open_repository(database, launchpad, site) as repository:
        found = repository.get_job(job)
    outputs = {path: tail(Path(path), number) for path in (found.stdout, found.stderr) if path}
    if as_json:
        print_document({"job": job, "output": outputs})
        return
    for path, lines in outputs.items():
        missing = "" if Path(path).exists() else " (not there yet, or not on this machine)"
        say(f"--- {path}{missing}")
        for line in lines:
            say(line)


def files(
    job: JobArgument,
    *,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell where a job's script, output and run directories are."""
    with open_repository(database, launchpad, site) as repository:
        found = repository.get_job(job)
        named = {
            "folder": found.folder,
            "script": found.script,
            "output": found.stdout,
            "error": found.stderr,
        }
        steps = _run_dirs(repository, found)
    if as_json:
        print_document({"job": job, **named, "steps": steps})
        return
    for key, path in named.items():
        if path is not None:
            say(f"{key:>7}  {path}{'' if Path(path).exists() else '  (not there)'}")
    for path in steps:
        say(f"   step  {path}")


def why(
    job: JobArgument,
    *,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell why a job ended, what became of its step, and what to do."""
    from aga.tasks.causes import explain

    with open_repository(database, launchpad, site) as repository:
        (found,), _ = _current(repository, [repository.get_job(job)])
        cause = explain(repository, found)
    if as_json:
        print_document(cause.to_dict())
        return
    say(f"job {found.id} ({found.name}, {found.kind}) is {found.state}: {cause.cause}")
    for step in cause.steps:
        say(f"  {step['step']}: {step['state']}, {step['now']}")
    say(f"what to do: {cause.remedy}")
    if cause.log:
        say("the end of its output:")
        for line in cause.log:
            say(f"  {line}")


def cancel(  # noqa: PLR0913 - each is an option of the command
    jobs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="SLURM's numbers.", show_default=False),
    ] = None,
    *,
    search: JobsOfOption = None,
    kind: KindOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say which would be cancelled; change nothing.")
    ] = False,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel jobs; steps in their hands are given back and handed out again."""
    from aga.slurm.queue import cancel as scancel

    with open_repository(database, launchpad, site) as repository:
        wanted = _wanted(repository, jobs or [], search, _known(kind))
        if wanted and not dry_run:
            scancel([job.id for job in wanted])
    ids = [job.id for job in wanted]
    if as_json:
        print_document({"cancelled": [] if dry_run else ids, "would_cancel": ids})
        return
    verb = "would cancel" if dry_run else "cancelled"
    for job in wanted:
        say(f"{verb} {job.id}  {job.name}  ({job.state})")
    if not wanted:
        say("no such job waits or runs")


def _wanted(
    repository: Repository, ids: Sequence[str], search: str | None, kind: str | None
) -> list[Job]:
    """Give the live jobs that are meant; only ones of this database."""
    from aga.errors import InputError
    from aga.slurm.states import ENDED

    if not ids and search is None:
        raise InputError(
            "no job is named", remedy="name jobs, or --search ID for all jobs of a search"
        )
    if ids:
        chosen = [repository.get_job(item) for item in ids]
    else:
        name = repository.resolve_search(search)
        chosen = repository.list_jobs(name, kind=kind, settled=False)
        chosen = [job for job in chosen if job.search_id == name]
    return [job for job in chosen if job.state not in ENDED]


def _current(repository: Repository, jobs: list[Job]) -> tuple[list[Job], str | None]:
    """Bring states up to date; where the queue does not answer tell so, and those known last."""
    from aga.errors import SiteError, UnavailableError
    from aga.tasks.jobs import reconcile

    try:
        return reconcile(repository, jobs), None
    except (SiteError, UnavailableError) as error:
        sys.stderr.write(f"{error.message}; states are those known last\n")
        return jobs, error.message


def _known(kind: str | None) -> str | None:
    from aga.errors import InputError
    from aga.store.documents import CATEGORIES

    known = sorted(set(CATEGORIES.values()))
    if kind is not None and kind not in known:
        raise InputError(f"there is no kind {kind}", remedy=f"use {', '.join(known)}")
    return kind


def _document(job: Job) -> dict[str, Any]:
    hidden = ("_id", "schema", "settled", "seen")
    values = {key: value for key, value in job.to_dict().items() if key not in hidden}
    return {"id": job.id, **values, "wait": job.wait}


def _run_dirs(repository: Repository, job: Job) -> list[str]:
    """Give the run directories of the steps that the job has performed, where they exist."""
    found: list[str] = []
    roots: dict[str, Path] = {}
    for step in repository.list_steps(job.search_id, **{"worker.job": job.id}):
        if step.search_id not in roots:
            machine = repository.get_search(step.search_id)["settings"]["machine"]
            roots[step.search_id] = Path(machine["run_dir"]) / step.search_id / "steps"
        pattern = f"{step.kind}-{step.iteration:03d}-{step.key}-*"
        found += [str(path) for path in sorted(roots[step.search_id].glob(pattern))]
    return found
