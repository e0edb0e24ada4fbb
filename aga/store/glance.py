"""A glance at a search: what `aga best` and `aga structures list` read, and no more.

A command that prints a few lines would take longer to load what a search computes with than to
ask the database. So nothing here needs the potential, the settings, NumPy or ASE.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pymongo.synchronous.monitor as driver

from aga.store.connect import connect
from aga.store.handle import SearchHandle
from aga.store.reader import Reader
from aga.store.searches import Searches
from aga.store.steps import Steps

if TYPE_CHECKING:
    from aga.store.repository import Repository

__all__ = ["Glance", "glance"]


class Glance(Searches, Steps, Reader):
    """The collections that tell where a search stands and what it found; indexes are not made."""

    def close(self) -> None:
        """Close the connection."""
        self.database.client.close()


@contextmanager
def glance(
    uri: str | None = None, launchpad: Path | None = None, search: str | None = None
) -> Iterator[SearchHandle]:
    """Open a search for reading.

    Parameters
    ----------
    uri, launchpad
        Where the database is; see :func:`aga.store.connect.connect`.
    search
        Identifier of the search or its beginning; the newest where None.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        The database does not answer.
    aga.errors.NotFoundError
        There is no such search.
    """
    _end_at_once()
    reader = Glance(connect(uri, launchpad))
    try:
        # A handle asks a repository for nothing that a glance has not.
        repository = cast("Repository", reader)
        yield SearchHandle(repository, reader.resolve_search(search))
    finally:
        reader.close()


def _end_at_once() -> None:
    """Let the process end without waiting for threads of the driver that watch servers.

    They sleep half a second at a time, as long as all the rest of a command takes, and the driver
    waits for them at the end of a process. They are daemons and hold nothing that is lost.
    """
    # An attribute of the driver's own: where another version has none, the end takes longer.
    wait = getattr(driver, "_shutdown_resources", None)
    if wait is not None:
        atexit.unregister(wait)
