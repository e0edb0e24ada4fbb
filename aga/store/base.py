"""What the parts of the repository share: collections, retries, indexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING, UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from aga.store.retry import READ_PATIENCE, WRITE_PATIENCE, call

if TYPE_CHECKING:  # what reads alone need not load it
    from aga.store.documents import Document

__all__ = ["DURABLE", "Index", "Store"]

T = TypeVar("T")

DURABLE = WriteConcern(w="majority", j=True)
"""A write counts once a majority of the servers has it in its journal."""

_TIMES_IN_UTC: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)
_BATCH = 500

_INDEX_PATIENCE = 3600.0
"""Seconds that an index may take where the collection is large already."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index: collection, paths and directions; ``sparse`` leaves out documents without it."""

    collection: str
    keys: Sequence[tuple[str, int]]
    sparse: bool = False


def _up(collection: str, *paths: str, sparse: bool = False) -> Index:
    return Index(collection, [(path, ASCENDING) for path in paths], sparse)


def _newest(collection: str, path: str) -> Index:
    return Index(collection, [("search_id", ASCENDING), (path, DESCENDING)])


class Store:
    """Access to our collections; each part of the repository adds the methods of its own.

    Parameters
    ----------
    database
        The database, shared with FireWorks: its collections stand beside ours.
    patience
        Seconds for which a write is repeated when the database is away.
    """

    indexes: ClassVar[tuple[Index, ...]] = (
        Index("searches", [("created", DESCENDING)]),
        _up("steps", "search_id", "state", "kind"),
        _up("steps", "search_id", "iteration"),
        _up("steps", "search_id", "kind", "iteration"),
        _up("steps", "search_id", "kind", "generation"),
        _up("structures", "search_id", "stage"),
        _up("structures", "search_id", "generation"),
        _up("structures", "search_id", "iteration", "stage", "committee.enthalpy_per_atom"),
        _up("structures", "search_id", "space_group.number"),
        # Few structures have a label: these two stay small, and are led by what is sorted by.
        _up("structures", "reference.energy_per_atom", sparse=True),
        _up("structures", "reference.enthalpy_per_atom", sparse=True),
        _up("structures", "search_id", "committee.energy_per_atom"),
        _up("frames", "search_id", "pending"),
        _newest("populations", "generation"),
        _newest("committees", "version"),
        _newest("datasets", "version"),
        _up("events", "search_id", "_id"),
        _up("jobs", "search_id", "submitted"),
    )

    def __init__(self, database: Database[Document], *, patience: float = WRITE_PATIENCE) -> None:
        self.database = database
        self.patience = patience

    def collection(self, name: str) -> Collection[Document]:
        """Give the collection ``aga_<name>`` with durable writes and times in UTC."""
        return self.database.get_collection(
            f"aga_{name}", codec_options=_TIMES_IN_UTC, write_concern=DURABLE
        )

    def read(self, operation: Callable[[], T]) -> T:
        """Run a read, repeated through short failures."""
        return self._call(operation, min(READ_PATIENCE, self.patience))

    def write(self, operation: Callable[[], T]) -> T:
        """Run a write that is safe to repeat, repeated through failures of up to a minute."""
        return self._call(operation, self.patience)

    def ensure_indexes(self) -> None:
        """Create the indexes that are missing; those that exist stay as they are.

        In a large collection of an older version that takes a while, once.
        """
        for name in dict.fromkeys(index.collection for index in self.indexes):
            target = self.collection(name)
            known = [list(i["key"]) for i in self.read(target.index_information).values()]
            for index in self.indexes:
                if index.collection == name and list(index.keys) not in known:
                    self.write(lambda target=target, index=index: _create(target, index))  # type: ignore[misc] # defaults bind the loop variables

    def find(
        self, name: str, query: Mapping[str, Any], sort: Sequence[tuple[str, int]] = ()
    ) -> list[Document]:
        """Give all documents of a collection that match, sorted."""
        source = self.collection(name)
        return self.read(lambda: list(source.find(query, sort=list(sort) or None)))

    def get(self, name: str, identifier: str) -> Document | None:
        """Give one document, None where there is none."""
        source = self.collection(name)
        return self.read(lambda: source.find_one({"_id": identifier}))

    def insert_new(self, name: str, documents: Sequence[Document]) -> int:
        """Insert the documents whose ``_id`` is new; those that exist stay as they are.

        Returns
        -------
        int
            How many were new.
        """
        updates = [
            UpdateOne(
                {"_id": doc["_id"]},
                {"$setOnInsert": {key: value for key, value in doc.items() if key != "_id"}},
                upsert=True,
            )
            for doc in documents
        ]
        return self.bulk(name, updates)

    def bulk(self, name: str, updates: Sequence[UpdateOne]) -> int:
        """Write updates of separate documents in batches; give the number of inserts."""
        target, inserted = self.collection(name), 0
        for first in range(0, len(updates), _BATCH):
            requests = list(updates[first : first + _BATCH])
            outcome = self.write(
                lambda requests=requests: target.bulk_write(requests, ordered=False)  # type: ignore[misc] # the default binds the loop variable
            )
            inserted += outcome.upserted_count
        return inserted

    def _call(self, operation: Callable[[], T], patience: float) -> T:
        try:
            return call(operation, patience=patience)
        except OperationFailure as error:
            from aga.store.diagnose import (  # noqa: PLC0415 - loads what starts servers
                INTERNAL_ERROR,
                internal_failure,
            )

            if error.code != INTERNAL_ERROR:
                raise
            raise internal_failure(error, self.database.client.nodes) from error


def _create(target: Collection[Document], index: Index) -> None:
    with pymongo.timeout(_INDEX_PATIENCE):  # instead of the connection's own
        target.create_index(list(index.keys), sparse=index.sparse)
