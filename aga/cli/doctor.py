"""`aga doctor`: whether this machine is fit for a search."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import DatabaseOption, JsonOption, LaunchpadOption, SiteOption
from aga.cli.console import console, print_document, say

if TYPE_CHECKING:
    from aga.config.schema import Settings
    from aga.tasks.doctor.finding import Context

__all__ = ["register"]

UNFIT = 3
"""Exit code where something that is needed is not there, as of ``SiteError``."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    *,
    settings: Annotated[
        Path | None,
        typer.Option(
            "--settings", metavar="FILE", help="Look at what these settings need, and need it."
        ),
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", "-s", metavar="ID", help="The same for a search of the database."),
    ] = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at everything a search needs from this machine: one line each, with the remedy."""
    from aga.report.doctor_table import doctor_table, doctor_verdict
    from aga.tasks.doctor.examine import examine

    context = _context(_settings(settings, search, database, launchpad, site), site)
    context = _at(context, database, launchpad)
    findings = [finding.to_dict() for finding in examine(context)]
    fit = all(one["state"] != "fail" for one in findings)
    if as_json:
        print_document({"ok": fit, "findings": findings})
    else:
        console().print(doctor_table(findings))
        say(doctor_verdict(findings))
    if not fit:
        raise typer.Exit(UNFIT)


def _settings(
    file: Path | None,
    search: str | None,
    database: str | None,
    launchpad: Path | None,
    site: Path | None,
) -> Settings | None:
    """Read the settings of a file or of a stored search."""
    from aga.config.load import load_settings, settings_from_dict
    from aga.errors import InputError

    if file is not None and search is not None:
        raise InputError("--settings and --search name two searches", remedy="give one of them")
    if file is not None:
        return load_settings(file, site)
    if search is None:
        return None
    from aga.cli.common import open_handle

    with open_handle(search, database, launchpad, site) as handle:
        return settings_from_dict(handle.repository.get_search(handle.id)["settings"])


def _context(settings: Settings | None, site: Path | None) -> Context:
    """Take the machine from the settings, else from the site file, else as it is by default."""
    from aga.config.load import load_site
    from aga.config.machine import MachineSettings
    from aga.tasks.doctor.finding import Context

    if settings is not None:
        return Context(machine=settings.machine, settings=settings)
    known = {} if site is None else load_site(site)
    return Context(machine=MachineSettings.model_validate(known))


def _at(context: Context, database: str | None, launchpad: Path | None) -> Context:
    """Let the options name the database, else the machine settings."""
    from dataclasses import replace

    if database is None and launchpad is None:
        database, launchpad = context.machine.database, context.machine.launchpad
    return replace(context, uri=database, launchpad=launchpad)
