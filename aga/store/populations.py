"""Populations: the structures kept after each generation, with their exact geometries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import DESCENDING

from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.documents import SCHEMA, Document, plain
from aga.structure.protocols import Relaxed

__all__ = ["Populations"]


class Populations(Store):
    """The collection ``aga_populations``."""

    def put_population(
        self,
        search_id: str,
        generation: int,
        iteration: int,
        version: int | None,
        individuals: Sequence[Relaxed],
        operators: Mapping[str, Any] | None = None,
    ) -> bool:
        """Store a population, best first; one that exists stays as it is.

        Parameters
        ----------
        search_id, generation, iteration
            Where it belongs.
        version
            Committee that relaxed it.
        individuals
            Its structures in their order.
        operators
            Record of the operators up to here, plain JSON values.

        Returns
        -------
        bool
            True if it is new.
        """
        document = {
            "_id": f"{search_id}/p{generation:03d}",
            "schema": SCHEMA,
            "search_id": search_id,
            "generation": generation,
            "iteration": iteration,
            "committee": version,
            "operators": plain(dict(operators or {})),
            "individuals": [
                {"name": item.candidate.name, **plain(item.to_dict(), finite=False)}
                for item in individuals
            ],
        }
        return self.insert_new("populations", [document]) == 1

    def get_population(self, search_id: str, generation: int) -> list[Relaxed]:
        """Give a population in its order, every number as it was stored.

        Raises
        ------
        aga.errors.NotFoundError
            There is none of this generation.
        """
        found = self._population(search_id, generation)
        return [Relaxed.from_dict(item) for item in found["individuals"]]

    def population_committee(self, search_id: str, generation: int) -> int | None:
        """Give the version of the committee that relaxed a population.

        Raises
        ------
        aga.errors.NotFoundError
            There is none of this generation.
        """
        version = self._population(search_id, generation)["committee"]
        return None if version is None else int(version)

    def population_operators(self, search_id: str, generation: int) -> dict[str, Any]:
        """Give the record of the operators stored with a population; empty in older documents.

        Raises
        ------
        aga.errors.NotFoundError
            There is none of this generation.
        """
        return dict(self._population(search_id, generation).get("operators", {}))

    def _population(self, search_id: str, generation: int) -> Document:
        found = self.get("populations", f"{search_id}/p{generation:03d}")
        if found is None:
            raise NotFoundError(
                f"search {search_id} has no population of generation {generation}",
                search=search_id,
                generation=generation,
            )
        return found

    def latest_population(self, search_id: str) -> Document | None:
        """Give the document of the newest population, None before the first.

        Its ``generation``, ``iteration`` and ``committee`` say where it belongs;
        :meth:`get_population` gives its structures.
        """
        source, order = self.collection("populations"), [("generation", DESCENDING)]
        return self.read(lambda: source.find_one({"search_id": search_id}, sort=order))
