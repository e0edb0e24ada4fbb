"""Collections whose ``find_one_and_…`` are right, and fast, on every server of the protocol.

FireWorks claims, locks and stores by MongoDB's ``findAndModify``. Servers other than MongoDB may
return a document that another client has changed in between, and may read the whole collection for
it although there is an index. Finding first and then changing that very document, on condition
that it still is as it was found, says the same with operations that are atomic and indexed
everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo.collection import Collection

__all__ = ["CarefulCollection", "fits", "is_plain"]

Document = dict[str, Any]

KEYS = ("fw_id", "launch_id", "nodes")
"""Fields that name a document and have an index."""

TRIES = 1000
"""At documents that others take in the moment between the look and the change."""


class CarefulCollection:
    """One of FireWorks' collections; everything else is the collection's own.

    Parameters
    ----------
    collection
        The collection.
    """

    def __init__(self, collection: Collection[Document]) -> None:
        self._collection = collection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the collection has
        """Give what is not replaced here."""
        return getattr(self._collection, name)

    def find_one_and_update(
        self,
        filter: Mapping[str, Any],  # noqa: A002 - the driver's name
        update: Mapping[str, Any],
        sort: Sequence[tuple[str, int]] | None = None,
    ) -> Document | None:
        """Change one document that matches; give it as it was, None where none matches."""
        for _ in range(TRIES):
            found = self._collection.find_one(filter, sort=sort)
            if found is None:
                return None
            if self._collection.update_one(_the_same(found, filter), update).matched_count:
                return found
        return None

    def find_one_and_replace(
        self,
        filter: Mapping[str, Any],  # noqa: A002 - the driver's name
        replacement: Mapping[str, Any],
        *,
        upsert: bool = False,
    ) -> None:
        """Replace the document of a name, or insert it.

        What was there before is not given: FireWorks does not look at it.
        """
        self._collection.replace_one(filter, replacement, upsert=upsert)

    def update_one(
        self,
        filter: Mapping[str, Any],  # noqa: A002 - the driver's name
        update: Mapping[str, Any],
        *,
        upsert: bool = False,
    ) -> Any:  # noqa: ANN401 - the driver's result
        """Change one document that matches, found by its name first where more is asked of it."""
        key = {name: filter[name] for name in KEYS if name in filter}
        if not key or upsert or len(key) == len(filter):
            return self._collection.update_one(filter, update, upsert=upsert)
        found = self._collection.find_one(key, {"_id": 1})
        return self._collection.update_one(_the_same(found or {"_id": None}, filter), update)


def _the_same(found: Document, filter_: Mapping[str, Any]) -> Document:
    """Give the filter for a document that was found, as long as what matters has not changed.

    Names never change, and alternatives (``$or``) are asked by FireWorks of what never changes
    either; both keep small servers from looking up the identifier.
    """
    conditions = {
        key: value
        for key, value in filter_.items()
        if not key.startswith("$") and key not in KEYS and key != "_id"
    }
    return {"_id": found["_id"], **conditions}


def is_plain(query: Mapping[str, Any]) -> bool:
    """Say whether :func:`fits` understands a worker's query.

    It does equalities, ``$in``, and FireWorks' alternatives for fireworks that are bound to a
    worker.
    """
    return all(
        all(set(one) == {"spec._fworker"} for one in wanted)
        if key == "$or"
        else not key.startswith("$") and (not isinstance(wanted, Mapping) or set(wanted) == {"$in"})
        for key, wanted in query.items()
    )


def fits(document: Document, query: Mapping[str, Any]) -> bool:
    """Say whether a firework is what a worker's plain query asks for."""
    for key, wanted in query.items():
        if key == "$or":
            bound = _value(document, "spec._fworker")
            if bound is not None and {"spec._fworker": bound} not in wanted:
                return False
        elif isinstance(wanted, Mapping):
            if _value(document, key) not in wanted["$in"]:
                return False
        elif _value(document, key) != wanted:
            return False
    return True


def _value(document: Document, path: str) -> Any:  # noqa: ANN401 - any value
    found: Any = document
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
