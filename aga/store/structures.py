"""Structures: every candidate of a search, from proposal to result.

A structure moves through its stages in one direction (proposed → relaxed → picked → labelled,
or failed). A write that comes late, from a step done twice, never moves one back and never
changes a geometry that has been sent to the reference method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pymongo import ASCENDING, UpdateOne

from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.documents import Document, ResultDoc, plain
from aga.store.layout import (
    Stage,
    committee_part,
    geometry,
    reference_part,
    relaxed_from,
    result_document,
    structure_document,
)
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label, Relaxed

__all__ = ["EARLY_STAGES", "Stage", "Structures"]

EARLY_STAGES: tuple[Stage, ...] = ("proposed", "relaxed")
"""Stages in which the geometry may still change."""


class Structures(Store):
    """The collection ``aga_structures``."""

    def put_candidates(
        self,
        search_id: str,
        iteration: int,
        candidates: Sequence[Candidate],
        stage: Stage = "proposed",
    ) -> int:
        """Add structures; those that exist stay as they are. Gives the number of new ones."""
        documents = [
            structure_document(search_id, iteration, candidate, stage) for candidate in candidates
        ]
        return self.insert_new("structures", documents)

    def put_relaxed(
        self,
        search_id: str,
        iteration: int,
        version: int,
        relaxed: Sequence[Relaxed],
        extras: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Store relaxed geometries with what the committee says of them.

        Parameters
        ----------
        search_id, iteration
            The search and the iteration that proposed the structures.
        version
            Version of the committee.
        relaxed
            Relaxed structures; those already picked or labelled keep their geometry.
        extras
            For a name: ``space_group`` ({number, symbol}) and ``fingerprint`` (floats).
        """
        self.put_candidates(search_id, iteration, [item.candidate for item in relaxed])
        updates = []
        for item in relaxed:
            known = (extras or {}).get(item.candidate.name, {})
            change = geometry(item.candidate) | {
                "stage": "relaxed",
                "committee": committee_part(version, item),
                "space_group": plain(known.get("space_group")),
                "fingerprint": plain(known.get("fingerprint")),
            }
            query = {
                "_id": f"{search_id}/{item.candidate.name}",
                "stage": {"$in": list(EARLY_STAGES)},
            }
            updates.append(UpdateOne(query, {"$set": change}))
        self.bulk("structures", updates)

    def relaxed_structures(
        self,
        search_id: str,
        iteration: int | None = None,
        **filters: Any,  # noqa: ANN401 - values of fields
    ) -> list[Relaxed]:
        """Give the structures relaxed in an iteration, by name; those with an energy alone.

        Parameters
        ----------
        search_id, iteration
            Which ones; None for every iteration.
        **filters
            Values that other fields must have, such as ``stage``; a list means any of them.
        """
        query: Document = {
            "search_id": search_id,
            "committee.energy": {"$ne": None},
            "committee.enthalpy": {"$ne": None},
        }
        query |= {} if iteration is None else {"iteration": iteration}
        query |= {key: {"$in": v} if isinstance(v, list) else v for key, v in filters.items()}
        found = self.find("structures", query, [("_id", ASCENDING)])
        return [relaxed_from(document) for document in found]

    def mark_picked(self, search_id: str, picks: Mapping[str, Mapping[str, Any]]) -> None:
        """Mark structures as chosen for the reference method.

        Parameters
        ----------
        search_id
            The search.
        picks
            For each name its ``score`` (eV/atom, lower is better) and ``why`` it was chosen.
        """
        updates = []
        for name, pick in picks.items():
            query, change = {"_id": f"{search_id}/{name}"}, {"pick": plain(dict(pick))}
            updates.append(UpdateOne(query, {"$set": change}))
        self.bulk("structures", updates)
        early = {"$in": list(EARLY_STAGES)}
        self.bulk(
            "structures",
            [
                UpdateOne(
                    {"_id": f"{search_id}/{name}", "stage": early}, {"$set": {"stage": "picked"}}
                )
                for name in picks
            ],
        )

    def withdraw_picks(self, search_id: str, names: Sequence[str]) -> None:
        """Let structures that were chosen and never sent to the reference method stand relaxed."""
        query = {"_id": {"$in": [f"{search_id}/{name}" for name in names]}, "stage": "picked"}
        target, change = self.collection("structures"), {"$set": {"stage": "relaxed", "pick": None}}
        if names:
            self.write(lambda: target.update_many(query, change))

    def mark_labelled(
        self, search_id: str, name: str, label: Label, *, engine: str, pressure: float = 0.0
    ) -> None:
        """Store what the reference method says of a structure at its stored geometry.

        Parameters
        ----------
        search_id, name
            The structure.
        label
            Energy in eV, forces in eV/Å.
        engine
            Name of the reference method.
        pressure
            eV/Å³, for the enthalpy E + pV.

        Raises
        ------
        aga.errors.NotFoundError
            There is no such structure.
        """
        stored = self.get_structure(search_id, name)
        reference = reference_part(
            label, engine, stored["n_atoms"], pressure * stored["volume_per_atom"]
        )
        change = {"reference": reference, "stage": "labelled", "failure": None}
        target = self.collection("structures")
        query = {"_id": stored["_id"]}
        self.write(lambda: target.update_one(query, {"$set": change}))

    def mark_failed(self, search_id: str, name: str, reason: str, message: str) -> bool:
        """Drop a structure, saying why; one that has a label keeps it.

        Returns
        -------
        bool
            True if the structure is marked now.
        """
        target = self.collection("structures")
        query = {"_id": f"{search_id}/{name}", "stage": {"$nin": ["labelled", "result"]}}
        change = {"stage": "failed", "failure": {"reason": reason, "message": message}}
        return self.write(lambda: target.update_one(query, {"$set": change})).matched_count == 1

    def forgive(self, search_id: str, names: Sequence[str]) -> None:
        """Take back that structures failed: they stand where the reference method found them."""
        target = self.collection("structures")
        query = {
            "_id": {"$in": [f"{search_id}/{name}" for name in names]},
            "stage": "failed",
        }
        for stage, pick in (("picked", {"$ne": None}), ("proposed", None)):
            change = {"$set": {"stage": stage, "failure": None}}
            self.write(
                lambda pick=pick, change=change: target.update_many({**query, "pick": pick}, change)  # type: ignore[misc] # defaults bind the loop variables
            )

    def put_results(self, search_id: str, results: Sequence[ResultDoc]) -> None:
        """Store the final structures; they replace those of an earlier call."""
        documents = [result_document(search_id, result) for result in results]
        target = self.collection("structures")
        for document in documents:
            query = {"_id": document["_id"]}
            self.write(
                lambda query=query, new=document: target.replace_one(query, new, upsert=True)  # type: ignore[misc] # defaults bind the loop variables
            )
        old = {
            "search_id": search_id,
            "stage": "result",
            "_id": {"$nin": [document["_id"] for document in documents]},
        }
        self.write(lambda: target.delete_many(old))

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
        source = self.collection("structures")
        names = self.read(lambda: source.distinct("name", {"search_id": search_id}))
        near = get_close_matches(name, names, n=3, cutoff=0.5)
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
        parts: list[Mapping[str, Any]] = []
        parts += [{"search_id": search_id}] if search_id is not None else []
        parts += [query] if query else []
        order = [*sort, ("_id", ASCENDING)]
        if not sort:
            return self._some(parts, order, limit)
        path = sort[0][0]
        found = self._some([*parts, {path: {"$ne": None}}], order, limit)
        rest = None if limit is None else limit - len(found)
        if rest == 0:
            return found
        return found + self._some([*parts, {path: None}], order, rest)

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

    def _some(
        self, parts: Sequence[Mapping[str, Any]], order: list[tuple[str, int]], limit: int | None
    ) -> list[Document]:
        source = self.collection("structures")
        query: Document = {}
        for part in parts:
            # One flat document where it can be: small servers use an index only then.
            query = {**query, **part} if not query.keys() & part else {"$and": [query, part]}
        return self.read(lambda: list(source.find(query, sort=order, limit=limit or 0)))
