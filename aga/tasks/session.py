"""A connection to one database: our repository and FireWorks' launchpad side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fireworks.core.launchpad import LaunchPad

from aga.store.connect import database_name, find_uri
from aga.store.repository import Repository
from aga.tasks.launchpad import SearchLaunchPad

__all__ = ["Session", "open_session"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Repository and launchpad of the same database."""

    repository: Repository
    launchpad: SearchLaunchPad


def open_session(uri: str | None = None, launchpad: Path | None = None) -> Session:
    """Connect to the database named by an address or by FireWorks' launchpad file.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        It does not answer; the message says what to do.
    """
    repository = Repository.open(uri, launchpad=launchpad)
    if uri is None and launchpad is not None:
        pad = SearchLaunchPad.of(LaunchPad.from_file(str(launchpad)))
    else:
        address = find_uri(uri)
        pad = SearchLaunchPad(
            host=address, name=database_name(address), uri_mode=True, strm_lvl="CRITICAL"
        )
    pad.ensure_ready()
    return Session(repository=repository, launchpad=pad)
