"""The committee that the options of a command name: model files, or one of a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import check_device, open_handle

if TYPE_CHECKING:
    from aga.potential.kinds import AnyCommittee

__all__ = ["ForceOption", "IterationOption", "ModelOption", "Place", "open_committee"]

ModelOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="FILE",
        help="Model file of a member; give one for each. Else the committee of a search.",
        show_default=False,
    ),
]
IterationOption = Annotated[
    int | None,
    typer.Option(
        "--iteration",
        "-i",
        min=0,
        help="The search's committee trained in this iteration; the newest where left out.",
        show_default=False,
    ),
]

ForceOption = Annotated[bool, typer.Option("--force", help="Replace existing files.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a search is: the options of the command."""

    search: str | None
    database: str | None
    launchpad: Path | None
    site: Path | None


def open_committee(
    models: Sequence[Path] | None,
    place: Place,
    iteration: int | None = None,
    device: str | None = "cpu",
) -> AnyCommittee:
    """Open model files, or else a committee of a search, to be computed on a device.

    Raises
    ------
    aga.errors.InputError
        Both are named; a file or the search is not there, or has no such committee.
    aga.errors.ModelError
        A file that can't be read, or members that do not fit together.
    aga.errors.DatabaseUnavailableError
        The database does not answer.
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    from aga.errors import InputError, NotFoundError
    from aga.potential.calculator import read_committee

    where = check_device(device or "auto")
    if models:
        if place.search is not None or iteration is not None:
            raise InputError("name either model files or a search, not both")
        return read_committee(models, device=where)
    from aga.tasks.steps.learn import load_committee

    with open_handle(place.search, place.database, place.launchpad, place.site) as handle:
        latest = handle.repository.latest_committee(handle.id)
        if latest is None:
            raise NotFoundError(
                f"search {handle.id} has no committee yet",
                remedy="wait for its first training, or name model files with --model",
                search=handle.id,
            )
        version = latest["version"] if iteration is None else iteration
        committee = load_committee(handle.repository, handle.id, version, device=where)
        committee.version = f"{handle.id}/{committee.version}"
        return committee
