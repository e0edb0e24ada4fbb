"""Reading structures: one, some in an order, those behind one.

What a server finds by an index it finds among a hundred thousand as fast as among ten. The
embedded server asks more of a query than MongoDB: it uses an index only for a flat query, reads
whole documents until one clause has narrowed them down, and takes the first clause that can. So
queries are flat here, and the most selective clause comes first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pymongo import ASCENDING

from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.fields import FIELDS
from aga.store.query import both

if TYPE_CHECKING:  # loads NumPy and ASE
    from aga.store.documents import Document

__all__ = ["ANY_NUMBER", "Reader"]

ANY_NUMBER: Mapping[str, Any] = {"$gte": -math.inf}
"""True of every number and of nothing else; an index knows it, unlike ``$ne: None``."""

_KINDS = {field.path: field.kind for field in FIELDS.values()}
_GENERATION = re.compile(r"[gi](\d+)-")
_RANGE = {"$gt", "$gte", "$lt", "$lte"}


class Reader(Store):
    """What is read of the collection ``aga_structures``."""

    def get_structure(self, search_id: str, name: str) -> Document:
        """Give a structure.

        Raises
        ------
        aga.errors.NotFoundError
            There is none; the message names the nearest.
        """
        found = self.get("structures", f"{search_id}/{name}")
        if found is not None:
            return found
        near = get_close_matches(name, self._names_like(search_id, name), n=3, cutoff=0.5)
        hint = f"; the nearest: {', '.join(near)}" if near else ""
        raise NotFoundError(
            f"search {search_id} has no structure {name!r}{hint}", structure=name, nearest=near
        )

    def find_structures(
        self,
        search_id: str | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int | None = None,
    ) -> list[Document]:
        """Give structures.

        Parameters
        ----------
        search_id
            None for all searches.
        query
            MongoDB filter, as :func:`aga.store.query.parse_where` gives.
        sort
            Pairs of document path and direction (1, −1); structures without a value of the
            first path come last. Equal ones are ordered by identifier.
        limit
            At most so many.
        """
        chosen = _chosen(search_id, query)
        order = [*sort, ("_id", ASCENDING)]
        if not sort:
            return self._some(chosen, order, limit)
        path = sort[0][0]
        found = self._some(_with_value(chosen, path), order, limit)
        if path in chosen or limit == len(found):  # a comparison is true of no missing value
            return found
        # Those with a value, if there are any, have all been found.
        rest = self._some(chosen, order[1:], None if limit is None else limit + len(found))
        seen = {document["_id"] for document in found}
        found += [document for document in rest if document["_id"] not in seen]
        return found[:limit]

    def count_stages(self, search_id: str) -> dict[str, int]:
        """Count the structures of a search by their stage."""
        source = self.collection("structures")
        steps: list[Document] = [
            {"$match": {"search_id": search_id}},
            {"$group": {"_id": "$stage", "count": {"$sum": 1}}},
        ]
        counts = self.read(lambda: list(source.aggregate(steps)))
        return {doc["_id"]: doc["count"] for doc in sorted(counts, key=lambda doc: doc["_id"])}

    def ancestry(self, search_id: str, name: str) -> list[Document]:
        """Give the structure and its ancestors, each once, nearest first.

        Raises
        ------
        aga.errors.NotFoundError
            There is no such structure.
        """
        found = [self.get_structure(search_id, name)]
        seen, wanted = {name}, list(found[0]["lineage"]["parents"])
        while wanted:
            level = list(dict.fromkeys(parent for parent in wanted if parent not in seen))
            seen.update(level)
            query = {"_id": {"$in": [f"{search_id}/{parent}" for parent in level]}}
            documents = {doc["name"]: doc for doc in self.find("structures", query)}
            ordered = [documents[parent] for parent in level if parent in documents]
            found += ordered
            wanted = [parent for doc in ordered for parent in doc["lineage"]["parents"]]
        return found

    def indexes_used(
        self,
        search_id: str,
        query: Mapping[str, Any] | None = None,
        *,
        sort: Sequence[tuple[str, int]] = (),
    ) -> list[str]:
        """Give the names of the indexes by which :meth:`find_structures` finds the first ones.

        None at all means that the server reads every structure.

        Raises
        ------
        pymongo.errors.OperationFailure
            The server can't tell.
        """
        chosen = _chosen(search_id, query)
        if sort:
            chosen = _with_value(chosen, sort[0][0])
        source, order = self.collection("structures"), [*sort, ("_id", ASCENDING)]
        plan = self.read(lambda: source.find(chosen, sort=order, limit=1).explain())
        return sorted(_index_names(plan["queryPlanner"]["winningPlan"]))

    def _names_like(self, search_id: str, name: str) -> list[str]:
        """Give the names among which to look for a mistyped one: those of its generation."""
        source, query = self.collection("structures"), {"search_id": search_id}
        meant = _GENERATION.match(name)
        same = query if meant is None else query | {"generation": int(meant[1])}
        found = self.read(lambda: list(source.find(same, {"name": 1})))
        return [document["name"] for document in found]

    def _some(
        self, query: Document, order: list[tuple[str, int]], limit: int | None
    ) -> list[Document]:
        source = self.collection("structures")
        return self.read(lambda: list(source.find(query, sort=order, limit=limit or 0)))


def _chosen(search_id: str | None, query: Mapping[str, Any] | None) -> Document:
    """Join filter and search into one query, the search last."""
    return both(query or {}, {} if search_id is None else {"search_id": search_id})


def _with_value(query: Document, path: str) -> Document:
    """Let only structures pass that have a value, that clause first."""
    kind = _KINDS.get(path)
    if path not in query:
        floor = {"number": ANY_NUMBER, "text": {"$gte": ""}}.get(kind or "", {"$ne": None})
        return {path: dict(floor), **query}
    said = query[path]
    ranged = isinstance(said, dict) and said.keys() <= _RANGE
    if ranged and kind == "number" and not said.keys() & {"$gt", "$gte"}:
        # An upper bound alone lets an index begin at the missing values.
        said = {**ANY_NUMBER, **said}
    return {path: said, **{key: value for key, value in query.items() if key != path}}


def _index_names(plan: Mapping[str, Any]) -> set[str]:
    """Collect the names of the indexes in a plan, however deep they stand."""
    names = {plan["indexName"]} if "indexName" in plan else set()
    for part in plan.values():
        for inner in part if isinstance(part, list) else [part]:
            if isinstance(inner, Mapping):
                names |= _index_names(inner)
    return names
