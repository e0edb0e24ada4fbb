"""How large documents are: MongoDB takes none of more than 16 MiB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pymongo
from pymongo.database import Database

from aga.store.documents import Document

__all__ = ["LIMIT", "Largest", "drop", "largest_documents"]

LIMIT = 16 * 1024**2
"""Bytes that a document may have."""

_PATIENCE = 3600.0
"""Seconds: every document is read, or removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The largest document of a collection; ``size`` in bytes, ``count`` documents in all."""

    collection: str
    count: int
    id: str
    size: int

    @property
    def share(self) -> float:
        """Its share of what a document may have."""
        return self.size / LIMIT


def largest_documents(database: Database[Document]) -> list[Largest]:
    """Give the largest document of each collection that has one, by the collections' names."""
    steps: list[dict[str, Any]] = [
        {"$project": {"size": {"$bsonSize": "$$ROOT"}}},
        {"$sort": {"size": -1}},
        {"$group": {"_id": None, "count": {"$sum": 1}, "first": {"$first": "$$ROOT"}}},
    ]
    found = []
    for name in sorted(database.list_collection_names()):
        with pymongo.timeout(_PATIENCE):
            told = list(database[name].aggregate(steps))
        for one in told:
            first = one["first"]
            found.append(
                Largest(
                    collection=name,
                    count=int(one["count"]),
                    id=str(first["_id"]),
                    size=int(first["size"]),
                )
            )
    return found


def drop(database: Database[Document]) -> None:
    """Remove a database with all that is in it, however long that takes."""
    with pymongo.timeout(_PATIENCE):
        database.client.drop_database(database.name)
