"""Options that several commands share, and the database they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ase import Atoms

    from aga.config.schema import Settings
    from aga.errors import Problem
    from aga.potential.device.choice import Device
    from aga.store.handle import SearchHandle
    from aga.store.repository import Repository

__all__ = [
    "CountOption",
    "DatabaseOption",
    "DeviceOption",
    "JsonOption",
    "LaunchpadOption",
    "SearchOption",
    "SiteOption",
    "check_device",
    "check_engine",
    "check_optimizer",
    "check_start",
    "open_handle",
    "open_repository",
    "read_settings",
    "read_structures",
]

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        "-d",
        metavar="URI",
        help="Database, mongodb://host:port/name; else AGA_DATABASE, else the embedded server.",
        show_default=False,
    ),
]
LaunchpadOption = Annotated[
    Path | None,
    typer.Option(
        "--launchpad",
        "-l",
        metavar="FILE",
        help="FireWorks' my_launchpad.yaml that names the database.",
        show_default=False,
    ),
]
SiteOption = Annotated[
    Path | None,
    typer.Option(
        "--site",
        metavar="FILE",
        help="File with the `machine` settings of this site.",
        show_default=False,
    ),
]
SearchOption = Annotated[
    str | None,
    typer.Option(
        "--search",
        "-s",
        metavar="ID",
        help="The search, or the beginning of its name; the newest where left out.",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="Where the committee is evaluated: cpu, cuda, or auto (a GPU where there is one).",
        show_default=False,
    ),
]
CountOption = Annotated[int, typer.Option("-n", "--number", min=1, help="How many at most.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def open_repository(database: str | None, launchpad: Path | None, site: Path | None) -> Repository:
    """Connect to the database that the options name.

    ``--database`` wins over ``--launchpad``, both over the site file; then the environment
    variable ``AGA_DATABASE`` and the embedded server.

    Raises
    ------
    aga.errors.DatabaseUnavailableError, aga.errors.InputError
        As :meth:`aga.store.repository.Repository.open`.
    """
    from aga.store.repository import Repository

    if site is not None and database is None and launchpad is None:
        from aga.config.load import load_site

        machine = load_site(site)
        database, named = machine.get("database"), machine.get("launchpad")
        launchpad = None if named is None else Path(named)
    return Repository.open(database, launchpad=launchpad)


@contextmanager
def open_handle(
    search: str | None, database: str | None, launchpad: Path | None, site: Path | None
) -> Iterator[SearchHandle]:
    """Open the search that the options name.

    Raises
    ------
    aga.errors.DatabaseUnavailableError, aga.errors.InputError
        The database does not answer, or has no such search.
    """
    from aga.store.handle import SearchHandle

    with open_repository(database, launchpad, site) as repository:
        yield SearchHandle(repository, repository.resolve_search(search))


def check_device(wanted: str) -> Device:
    """Refuse a device that does not exist, or that this machine lacks.

    Raises
    ------
    aga.errors.InputError
        No device has this name.
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    from typing import cast, get_args

    from aga.errors import InputError
    from aga.potential.device.choice import Device, choose_device

    if wanted not in get_args(Device):
        known = ", ".join(get_args(Device))
        raise InputError(f"no device is called {wanted!r}", remedy=f"use one of {known}")
    device = cast("Device", wanted)
    choose_device(device)
    return device


def check_engine(settings: Settings) -> list[Problem]:
    """Give every problem the reference method would have with the settings."""
    from aga.oracle.registry import check_oracle

    return check_oracle(settings.oracle, settings.machine, settings.search.atom_counts())


def check_optimizer(settings: Settings) -> list[Problem]:
    """Give the problem that the optimizer would have with its options."""
    from aga.errors import InputError, Problem

    if not settings.training.optimizer_options:
        return []
    from aga.training.methods.registry import make_method
    from aga.training.recipe import Recipe

    try:
        make_method(Recipe.of_search(settings).optimizer, settings.training)
    except InputError as error:
        message = error.message.removeprefix("training.optimizer_options: ")
        return [Problem(key="training.optimizer_options", message=message, hint=error.remedy)]
    return []


def check_start(settings: Settings) -> list[Problem]:
    """Give every problem that the search would have with its composition, limits and seeds."""
    from aga.search.feasible import check_search

    return check_search(settings)


def read_settings(path: Path, site: Path | None = None) -> Settings:
    """Read settings; check them with the reference method they name, and that they can be met.

    Raises
    ------
    aga.errors.InputError, aga.errors.SettingsError
        As :func:`aga.config.load.load_settings`.
    """
    from aga.config.load import load_settings

    return load_settings(path, site, checks=[check_engine, check_optimizer, check_start])


def read_structures(path: Path) -> list[Atoms]:
    """Read structures in any format that ASE knows.

    Raises
    ------
    aga.errors.InputError
        The file can't be read or holds no structure.
    """
    from ase.io import iread

    from aga.errors import InputError

    images: list[Atoms] = []
    try:
        images.extend(iread(str(path), index=":"))
    except Exception as error:  # a parser of free text raises whatever it likes
        what = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(
            f"{path}: cannot read structure {len(images)}: {what}",
            remedy="give a file in a format that ASE reads",
            file=str(path),
        ) from error
    if not images:
        raise InputError(f"{path}: holds no structure", file=str(path))
    return images
