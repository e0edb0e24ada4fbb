"""How the commands that only read open a search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aga.store.handle import SearchHandle

__all__ = ["glance_at"]


@contextmanager
def glance_at(
    search: str | None, database: str | None, launchpad: Path | None, site: Path | None
) -> Iterator[SearchHandle]:
    """Open the search that the options name, for reading.

    As :func:`aga.cli.common.open_handle`, without loading what changes searches and without
    looking after indexes.

    Raises
    ------
    aga.errors.DatabaseUnavailableError, aga.errors.InputError
        The database does not answer, or has no such search.
    """
    from aga.store.glance import glance

    if site is not None and database is None and launchpad is None:
        from aga.config.load import load_site

        machine = load_site(site)
        database, named = machine.get("database"), machine.get("launchpad")
        launchpad = None if named is None else Path(named)
    with glance(database, launchpad, search) as handle:
        yield handle
