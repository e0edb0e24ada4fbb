"""Read one search from Python: where it stands and what it found."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Self

from aga.store.found import Found
from aga.store.query import parse_sort, parse_where

if TYPE_CHECKING:  # a list of structures is printed without them
    from aga.store.repository import Repository

__all__ = ["SCHEMA", "Found", "SearchHandle", "open_search"]

SCHEMA = 1
"""Version of the JSON documents."""

_COUNT_SHARE = 20.0
"""How many times as long as it took a count of structures is kept."""


def open_search(uri: str | None = None, search_id: str | None = None) -> SearchHandle:
    """Open one search of a database for reading.

    Parameters
    ----------
    uri
        ``mongodb://…`` address; where None, the environment variable ``AGA_DATABASE`` or the
        embedded server.
    search_id
        Identifier of the search or its beginning; the newest search where None.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        The database does not answer.
    aga.errors.NotFoundError
        There is no such search.
    """
    from aga.store.connect import connect  # noqa: PLC0415 - a handle may be on another's connection
    from aga.store.repository import Repository  # noqa: PLC0415 - heavy

    repository = Repository.from_database(connect(uri))
    return SearchHandle(repository, repository.resolve_search(search_id))


class SearchHandle:
    """One search, for reading.

    Parameters
    ----------
    repository
        Where it is stored.
    search_id
        Its identifier.
    """

    def __init__(self, repository: Repository, search_id: str) -> None:
        self.repository = repository
        self.id = search_id
        self._stages: dict[str, int] = {}
        self._stages_last_until = 0.0

    def __repr__(self) -> str:
        """Name the search."""
        return f"SearchHandle({self.id!r})"

    def best(self, n: int = 10) -> list[Found]:
        """Give the best structures, lowest enthalpy first, with energies of the reference method.

        The results, relaxed by the reference method, once the search has them; before, the
        structures that it has labelled so far, first crystals in larger cells among them.
        """
        results = self.repository.find_structures(self.id, {"stage": "result"})
        results = sorted(results, key=itemgetter("rank"))[:n]  # few, and an index knows them all
        if not results:
            order = [("reference.enthalpy_per_atom", 1)]
            results = self.repository.find_structures(
                self.id, {"stage": "labelled"}, sort=order, limit=n
            )
        return [Found.from_document(document) for document in results]

    def structures(self, where: str = "", sort: str = "", limit: int | None = None) -> list[Found]:
        """Give structures of the search.

        Parameters
        ----------
        where
            Filter, such as ``energy_per_atom < -4.5 and space_group == 227``; see
            :func:`aga.store.query.parse_where`.
        sort
            Order, such as ``energy`` or ``-generation``; see
            :func:`aga.store.query.parse_sort`.
        limit
            At most so many.

        Raises
        ------
        aga.errors.InputError
            The filter or the order can't be read.
        """
        found = self.repository.find_structures(
            self.id, parse_where(where), sort=parse_sort(sort), limit=limit
        )
        return [Found.from_document(document) for document in found]

    def structure(self, name: str) -> Found:
        """Give one structure by its name or full identifier.

        Raises
        ------
        aga.errors.NotFoundError
            There is none.
        """
        short = name.removeprefix(f"{self.id}/")
        return Found.from_document(self.repository.get_structure(self.id, short))

    def ancestry(self, name: str) -> list[Found]:
        """Give a structure and its ancestors, nearest first."""
        short = name.removeprefix(f"{self.id}/")
        return [Found.from_document(doc) for doc in self.repository.ancestry(self.id, short)]

    def best_document(self, n: int = 10) -> dict[str, Any]:
        """Give :meth:`best` as one JSON document of schema 1."""
        found = [item.to_dict() for item in self.best(n)]
        return {"schema": SCHEMA, "search": self.id, "structures": found}

    def status(self) -> dict[str, Any]:
        """Tell where the search stands, as one JSON document of schema 1.

        Energies in eV/atom, times in ISO 8601 (UTC), ``elapsed`` in seconds. ``structures``
        counts those proposed, ``best`` is the first of :meth:`best`, ``spread`` the
        committee's standard deviation for it, ``steps`` counts by kind and state,
        ``unfinished_relaxations`` names the final ones that ended before they were at rest.
        """
        from aga.store.documents import plain, utcnow  # noqa: PLC0415 - loads NumPy

        search = self.repository.get_search(self.id)
        steps: dict[str, Counter[str]] = {}
        unfinished = []
        for step in self.repository.list_steps(self.id):
            steps.setdefault(step.kind, Counter())[step.state] += 1
            if step.kind == "refine" and not (step.result or {}).get("converged", True):
                unfinished.append(step.key)
        stages = self._count_stages()
        best = next(iter(self.best(1)), None)
        copied = ("formula", "state", "reason", "verdict", "phase", "generation", "iteration")
        counts = ("reference_calls", "refine_calls")
        ended: datetime | None = search["finished"]
        elapsed = (ended or utcnow()) - search["created"]
        document = {
            "schema": SCHEMA,
            "search": self.id,
            **{key: search[key] for key in (*copied, *counts)},
            "unfinished_relaxations": unfinished,
            "remedy": search.get("remedy"),
            "budget": search["settings"]["search"]["budget"],
            "structures": sum(n for stage, n in stages.items() if stage != "result"),
            "structures_by_stage": stages,
            "steps": {kind: dict(states) for kind, states in steps.items()},
            "best_energy_per_atom": None if best is None else best.energy_per_atom,
            "best": None if best is None else best.to_dict(),
            "spread": self._spread(best),
            "started": search["created"].isoformat(),
            "updated": search["updated"].isoformat(),
            "finished": None if ended is None else ended.isoformat(),
            "elapsed": elapsed.total_seconds(),
        }
        return dict(plain(document))

    def close(self) -> None:
        """Close the connection."""
        self.repository.close()

    def __enter__(self) -> Self:
        """Use as a context manager that closes the connection."""
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _count_stages(self) -> dict[str, int]:
        """Count the structures by stage; a count that took long is kept for a while.

        The embedded server reads every structure to count them, and a search that is watched
        is asked twice a second.
        """
        began = time.monotonic()
        if began >= self._stages_last_until:
            self._stages = self.repository.count_stages(self.id)
            now = time.monotonic()
            self._stages_last_until = now + _COUNT_SHARE * (now - began)
        return self._stages

    def _spread(self, best: Found | None) -> float | None:
        """Give the committee's spread for a structure, for a result that of its origin."""
        if best is None or best.energy_spread is not None or best.stage != "result":
            return None if best is None else best.energy_spread
        return next((item.energy_spread for item in self.ancestry(best.name)[1:]), None)
