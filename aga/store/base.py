"""What the parts of the repository share: collections, retries, indexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any, ClassVar, TypeVar

from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING, UpdateOne, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import OperationFailure

from aga.store.diagnose import INTERNAL_ERROR, internal_failure
from aga.store.documents import Document, chunks
from aga.store.retry import READ_PATIENCE, WRITE_PATIENCE, call

__all__ = ["DURABLE", "Store"]

T = TypeVar("T")

DURABLE = WriteConcern(w="majority", j=True)
"""A write counts once a majority of the servers has it in its journal."""

_TIMES_IN_UTC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
_BATCH = 500

Index = tuple[str, Sequence[tuple[str, int]]]


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
        ("aga_searches", (("created", DESCENDING),)),
        ("aga_steps", (("search_id", ASCENDING), ("state", ASCENDING), ("kind", ASCENDING))),
        ("aga_steps", (("search_id", ASCENDING), ("iteration", ASCENDING))),
        ("aga_structures", (("search_id", ASCENDING), ("stage", ASCENDING))),
        ("aga_structures", (("search_id", ASCENDING), ("reference.enthalpy_per_atom", ASCENDING))),
        ("aga_structures", (("search_id", ASCENDING), ("generation", ASCENDING))),
        ("aga_steps", (("search_id", ASCENDING), ("kind", ASCENDING), ("iteration", ASCENDING))),
        ("aga_steps", (("search_id", ASCENDING), ("kind", ASCENDING), ("generation", ASCENDING))),
        ("aga_frames", (("search_id", ASCENDING), ("pending", ASCENDING))),
        ("aga_populations", (("search_id", ASCENDING), ("generation", DESCENDING))),
        ("aga_committees", (("search_id", ASCENDING), ("version", DESCENDING))),
        ("aga_datasets", (("search_id", ASCENDING), ("version", DESCENDING))),
        ("aga_events", (("search_id", ASCENDING), ("_id", ASCENDING))),
        ("aga_jobs", (("search_id", ASCENDING), ("submitted", ASCENDING))),
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
        """Create the indexes; those that exist stay as they are."""
        for collection, keys in self.indexes:
            target, wanted = self.collection(collection.removeprefix("aga_")), list(keys)
            self.write(lambda target=target, wanted=wanted: target.create_index(wanted))  # type: ignore[misc] # defaults bind the loop variables

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
        for batch in chunks(updates, _BATCH):
            requests = list(batch)
            outcome = self.write(
                lambda requests=requests: target.bulk_write(requests, ordered=False)  # type: ignore[misc] # the default binds the loop variable
            )
            inserted += outcome.upserted_count
        return inserted

    def _call(self, operation: Callable[[], T], patience: float) -> T:
        try:
            return call(operation, patience=patience)
        except OperationFailure as error:
            if error.code != INTERNAL_ERROR:
                raise
            raise internal_failure(error, self.database.client.nodes) from error
