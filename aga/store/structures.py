"""Structures: every candidate of a search, from proposal to result.

A structure moves through its stages in one direction (proposed → relaxed → picked → labelled,
or failed). A write that comes late, from a step done twice, never moves one back and never
changes a geometry that has been sent to the reference method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from pymongo import ASCENDING, UpdateOne

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
from aga.store.reader import ANY_NUMBER, Reader
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Label, Relaxed

__all__ = ["EARLY_STAGES", "Stage", "Structures"]

EARLY_STAGES: tuple[Stage, ...] = ("proposed", "relaxed")
"""Stages in which the geometry may still change."""


class Structures(Reader):
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
            For a name: ``space_group`` and ``space_group_strict`` ({number, symbol}) and
            ``fingerprint`` (floats).
        """
        self.put_candidates(search_id, iteration, [item.candidate for item in relaxed])
        updates = []
        for item in relaxed:
            known = (extras or {}).get(item.candidate.name, {})
            change = geometry(item.candidate) | {
                "stage": "relaxed",
                "committee": committee_part(version, item),
                "space_group": plain(known.get("space_group")),
                "space_group_strict": plain(known.get("space_group_strict")),
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
        query = {key: {"$in": v} if isinstance(v, list) else v for key, v in filters.items()}
        query |= {} if iteration is None else {"iteration": iteration}
        found = self.find("structures", query | {"search_id": search_id}, [("_id", ASCENDING)])
        # An index knows nothing of these two conditions, and few structures fail them.
        return [
            relaxed_from(document)
            for document in found
            if (said := document["committee"]) is not None
            and said["energy"] is not None
            and said["enthalpy"] is not None
        ]

    def sightings(self, search_id: str, iteration: int) -> list[Document]:
        """Give what tells the structures bred and relaxed in an iteration from others.

        Returns
        -------
        list
            Of each ``name``, ``iteration``, ``generation``, ``lineage`` and ``fingerprint``, by
            name. Structures that were only relaxed anew, on a newer committee, are left out.
        """
        query = {"search_id": search_id, "iteration": iteration}
        keys = ("name", "iteration", "generation", "lineage", "fingerprint", "stage")
        source = self.collection("structures")
        found = self.read(lambda: list(source.find(query, dict.fromkeys(keys, 1))))
        # An index knows nothing of these conditions, and few structures fail them.
        bred = [
            doc
            for doc in found
            if doc["fingerprint"] is not None
            and doc["stage"] != "result"
            and doc["lineage"]["operator"] != "relaxation"
        ]
        return sorted(bred, key=itemgetter("name"))

    def geometries(self, search_id: str, names: Sequence[str]) -> dict[str, Candidate]:
        """Give the structures of these names; those that are not stored are left out."""
        query = {"_id": {"$in": [f"{search_id}/{name}" for name in names]}}
        return {doc["name"]: Candidate.from_dict(doc) for doc in self.find("structures", query)}

    def lowest_relaxed(
        self, search_id: str, iteration: int, number: int
    ) -> list[tuple[Relaxed, FloatArray]]:
        """Give the lowest structures relaxed in an iteration that nobody has sent anywhere.

        Returns
        -------
        list
            At most ``number`` pairs of structure and fingerprint, by predicted enthalpy per atom.
        """
        query = {
            "search_id": search_id,
            "iteration": iteration,
            "stage": "relaxed",
            "committee.enthalpy_per_atom": dict(ANY_NUMBER),
        }
        order = [("committee.enthalpy_per_atom", ASCENDING), ("_id", ASCENDING)]
        source = self.collection("structures")
        found = self.read(lambda: list(source.find(query, sort=order, limit=number)))
        return [
            (relaxed_from(doc), np.array(doc["fingerprint"]))
            for doc in found
            if doc["fingerprint"] is not None
        ]

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
        """Let structures that were chosen and never sent anywhere stand as they did before."""
        query = {"_id": {"$in": [f"{search_id}/{name}" for name in names]}, "stage": "picked"}
        target = self.collection("structures")
        new = (query | {"committee": None}, {"$set": {"stage": "proposed", "pick": None}})
        bred = (query, {"$set": {"stage": "relaxed", "pick": None}})
        for which, change in (new, bred) if names else ():
            self.write(lambda which=which, change=change: target.update_many(which, change))  # type: ignore[misc] # defaults bind the loop variables

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
        kept = {document["_id"] for document in documents}
        stored = self.find("structures", {"search_id": search_id, "stage": "result"})
        old = {"_id": {"$in": [one["_id"] for one in stored if one["_id"] not in kept]}}
        self.write(lambda: target.delete_many(old))
