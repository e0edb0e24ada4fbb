"""The repository: the only code that reads and writes the collections."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pymongo.database import Database

from aga.store.blobs import Blobs
from aga.store.connect import connect
from aga.store.documents import Document
from aga.store.events import Events
from aga.store.jobs import Jobs
from aga.store.learning import Learning
from aga.store.populations import Populations
from aga.store.searches import Searches
from aga.store.steps import Steps
from aga.store.structures import Structures

__all__ = ["Repository"]


class Repository(Searches, Steps, Structures, Learning, Populations, Events, Blobs, Jobs):
    """All collections of one database; made by :meth:`open` or :meth:`from_database`.

    Every write can be repeated: identifiers are made from what a document is, so doing a step
    twice stores it once. Connection failures are ridden out for a minute, then surface as
    :class:`aga.errors.DatabaseUnavailableError`.
    """

    @classmethod
    def open(cls, uri: str | None = None, *, launchpad: Path | None = None) -> Self:
        """Connect to a database and prepare its collections.

        Parameters
        ----------
        uri, launchpad
            Where the database is; see :func:`aga.store.connect.connect`.

        Raises
        ------
        aga.errors.DatabaseUnavailableError
            It does not answer; the message says what to do.
        """
        repository = cls(connect(uri, launchpad))
        repository.ensure_indexes()
        return repository

    @classmethod
    def from_database(cls, database: Database[Document]) -> Self:
        """Take over a database that is connected already."""
        return cls(database)

    def close(self) -> None:
        """Close the connection."""
        self.database.client.close()

    def __enter__(self) -> Self:
        """Use as a context manager that closes the connection."""
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
