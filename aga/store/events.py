"""Events: what happened in a search, for its log and its live display."""

from __future__ import annotations

import uuid
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from aga.store.base import Store
from aga.store.documents import SCHEMA, Document, plain, utcnow

__all__ = ["Events"]


class Events(Store):
    """The collection ``aga_events``."""

    def log(
        self,
        search_id: str,
        kind: str,
        message: str,
        **facts: Any,  # noqa: ANN401 - JSON values
    ) -> str:
        """Add an event and give its identifier, which sorts by time.

        Parameters
        ----------
        search_id
            The search.
        kind
            One word for programs, e.g. ``step_failed``.
        message
            One line for people.
        **facts
            Plain JSON values.
        """
        now = utcnow()
        stamp = now.strftime("%Y%m%dT%H%M%S.") + f"{now.microsecond // 1000:03d}"
        document = {
            "_id": f"{search_id}/{stamp}-{uuid.uuid4().hex[:8]}",
            "schema": SCHEMA,
            "search_id": search_id,
            "time": now,
            "kind": kind,
            "message": message,
            "facts": plain(facts),
        }
        target = self.collection("events")

        def insert() -> None:
            try:
                target.insert_one(document)
            except DuplicateKeyError:
                return  # ours: its acknowledgement got lost

        self.write(insert)
        return str(document["_id"])

    def events(
        self, search_id: str, after: str | None = None, *, limit: int | None = None
    ) -> list[Document]:
        """Give events, oldest first.

        Parameters
        ----------
        search_id
            The search.
        after
            Identifier (``_id``) of an event: only later ones.
        limit
            Only so many of the latest.
        """
        query: Document = {"search_id": search_id}
        if after is not None:
            query["_id"] = {"$gt": after}
        if limit is None:
            return self.find("events", query, [("_id", ASCENDING)])
        source, order = self.collection("events"), [("_id", DESCENDING)]
        found = self.read(lambda: list(source.find(query, sort=order, limit=limit)))
        return found[::-1]
