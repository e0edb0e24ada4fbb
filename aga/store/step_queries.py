"""Questions about steps: by identifier, by place, by state."""

from __future__ import annotations

from pymongo import ASCENDING

from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.documents import Document, Step, StepKind, StepState

__all__ = ["StepQueries"]


class StepQueries(Store):
    """Reading the collection ``aga_steps``."""

    def get_step(self, step_id: str) -> Step:
        """Give a step.

        Raises
        ------
        aga.errors.NotFoundError
            There is none.
        """
        found = self.get("steps", step_id)
        if found is None:
            raise NotFoundError(f"there is no step {step_id!r}", step=step_id)
        return Step.from_dict(found)

    def list_steps(self, search_id: str | None = None, **filters: object) -> list[Step]:
        """Give the steps of a search in the order they were planned.

        Parameters
        ----------
        search_id
            None for all searches.
        **filters
            Values of the fields ``kind``, ``state``, ``category``, ``iteration``,
            ``generation``, ``key``, …; a list means any of its values.
        """
        query: Document = {} if search_id is None else {"search_id": search_id}
        for name, value in filters.items():
            many = isinstance(value, (list, tuple, set, frozenset))
            query[name] = {"$in": list(value)} if many else value  # type: ignore[call-overload] # narrowed by `many`
        order = [("planned_at", ASCENDING), ("_id", ASCENDING)]
        return [Step.from_dict(doc) for doc in self.find("steps", query, order)]

    def steps_from(
        self, search_id: str, kind: StepKind, number: int, **filters: object
    ) -> list[Step]:
        """Give the steps of a kind from a number on, ascending.

        Parameters
        ----------
        search_id, kind
            Which ones. The number of a ``breed`` step is its generation, else the iteration.
        number
            The lowest.
        **filters
            Values that fields must have.
        """
        field = "generation" if kind == "breed" else "iteration"
        query = {"search_id": search_id, "kind": kind, field: {"$gte": number}}
        found = self.find("steps", query, [(field, ASCENDING)])
        # Compared here: one more field, and small servers choose an index that reads them all.
        kept = (doc for doc in found if all(doc[key] == value for key, value in filters.items()))
        return [Step.from_dict(doc) for doc in kept]

    def newest_step(
        self, search_id: str, kind: StepKind, *, at_least: int = 0, **filters: object
    ) -> Step | None:
        """Give the step of a kind with the highest number, None where there is none.

        ``at_least`` is a number known to be reached; the nearer, the quicker.
        """
        found = self.steps_from(search_id, kind, at_least, **filters)
        return found[-1] if found else None

    def count_steps(self, search_id: str, *, kind: StepKind, state: StepState) -> int:
        """Count the steps of a kind in a state."""
        source, query = (
            self.collection("steps"),
            {"search_id": search_id, "state": state, "kind": kind},
        )
        return self.read(lambda: source.count_documents(query))
