"""Searches: one document each, with its settings and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pymongo import DESCENDING

import aga
from aga.config.schema import Settings
from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.documents import SCHEMA, Document, plain, utcnow
from aga.store.retry import redact

__all__ = ["Searches"]


class Searches(Store):
    """The collection ``aga_searches``."""

    def create_search(self, settings: Settings) -> bool:
        """Add a search; one with the same identifier stays as it is.

        The user and password of a database address are not stored.

        Returns
        -------
        bool
            True if the search is new.
        """
        return self.insert_new("searches", [_document(settings)]) == 1

    def put_machine(self, settings: Settings) -> bool:
        """Let a search go on with new settings of the machine; False if there is no such search.

        They decide nothing about the results, and a mistake in them can be mended midway.
        """
        machine = _tree(settings)["machine"]
        return self.update_search(settings.search_id(), {"settings.machine": machine})

    def get_search(self, search_id: str) -> Document:
        """Give a search.

        Raises
        ------
        aga.errors.NotFoundError
            There is none; the message names the nearest.
        """
        found = self.get("searches", search_id)
        if found is None:
            raise self._unknown(search_id)
        return found

    def list_searches(self) -> list[Document]:
        """Give all searches, newest first, without their settings."""
        source = self.collection("searches")
        order = [("created", DESCENDING), ("_id", DESCENDING)]
        return self.read(lambda: list(source.find({}, {"settings": 0}, sort=order)))

    def resolve_search(self, text: str | None = None) -> str:
        """Give the identifier meant by a full identifier, its beginning, or nothing.

        Parameters
        ----------
        text
            None means the newest search of the database.

        Raises
        ------
        aga.errors.NotFoundError
            No search is meant, or several are.
        """
        names = [doc["_id"] for doc in self.list_searches()]
        if not names:
            raise NotFoundError(
                "the database holds no search yet", remedy="`aga run FILE` starts one"
            )
        if text is None:
            return str(names[0])
        if text in names:
            return text
        meant = [name for name in names if name.startswith(text)]
        if len(meant) == 1:
            return str(meant[0])
        if meant:
            raise NotFoundError(
                f"{text!r} could be {', '.join(sorted(meant)[:5])}",
                remedy="write more of the identifier",
                candidates=sorted(meant),
            )
        raise self._unknown(text)

    def update_search(
        self, search_id: str, fields: Mapping[str, Any], *, expect: Mapping[str, Any] | None = None
    ) -> bool:
        """Change state fields of a search if they still are what is expected.

        Parameters
        ----------
        search_id
            The search.
        fields
            New values.
        expect
            Values that the search must have now; otherwise nothing is changed.

        Returns
        -------
        bool
            True if the search has the new values; False if it was not as expected.
        """
        target, change = self.collection("searches"), plain(dict(fields)) | {"updated": utcnow()}
        query = {"_id": search_id, **(expect or {})}
        return self.write(lambda: target.update_one(query, {"$set": change})).matched_count == 1

    def reopen(self, search_id: str) -> list[str]:
        """Let a failed or stopped search go on: its failed steps are planned again.

        Steps of the reference method stay failed: they cost one candidate each, which is
        marked with the reason.

        Returns
        -------
        list of str
            Identifiers of the steps that are planned again.
        """
        steps = self.collection("steps")
        query = {
            "search_id": search_id,
            "state": "failed",
            "kind": {"$nin": ["label", "refine"]},
        }
        failed = [str(doc["_id"]) for doc in self.find("steps", query)]
        change = {"state": "planned", "attempts": 0, "fw_id": None, "ended_at": None}
        self.write(lambda: steps.update_many(query, {"$set": change}))
        fields = {"state": "running", "reason": None, "remedy": None, "finished": None}
        self.update_search(search_id, fields, expect={"state": {"$in": ["failed", "stopped"]}})
        return failed

    def count_reference(self, search_id: str) -> int:
        """Count the reference method's evaluations and store both counts with the search.

        Counted from the ended steps, so that counting twice changes nothing: a ``label`` step
        counts the ``evaluations`` of its result (or of its error), 1 where it names none.

        Returns
        -------
        int
            Evaluations of the loop; those of the final relaxations are stored apart.
        """
        query = {
            "search_id": search_id,
            "kind": {"$in": ["label", "refine"]},
            "state": {"$in": ["done", "failed"]},
        }
        counts = {"label": 0, "refine": 0}
        for step in self.find("steps", query):
            outcome = step["result"] or step["error"] or {}
            counts[step["kind"]] += int(outcome.get("evaluations", 1))
        fields = {"reference_calls": counts["label"], "refine_calls": counts["refine"]}
        self.update_search(search_id, fields)
        return counts["label"]

    def _unknown(self, search_id: str) -> NotFoundError:
        names = [str(doc["_id"]) for doc in self.list_searches()]
        near = get_close_matches(search_id, names, n=3, cutoff=0.4)
        hint = f"; the nearest: {', '.join(near)}" if near else ""
        return NotFoundError(
            f"there is no search {search_id!r}{hint}",
            remedy="`aga status --all` lists the searches of the database",
            search=search_id,
            nearest=near,
        )


def _document(settings: Settings) -> Document:
    now = utcnow()
    counts = sorted(settings.search.atom_counts().items())
    return {
        "_id": settings.search_id(),
        "schema": SCHEMA,
        "formula": "".join(f"{el}{n if n > 1 else ''}" for el, n in counts),
        "settings": _tree(settings),
        "digest": settings.digest(),
        "code_version": aga.__version__,
        "state": "running",
        "reason": None,
        "remedy": None,
        "verdict": None,
        "iteration": 0,
        "generation": 0,
        "phase": "seed",
        "reference_calls": 0,
        "refine_calls": 0,
        "created": now,
        "updated": now,
        "finished": None,
    }


def _tree(settings: Settings) -> Document:
    tree = settings.model_dump(mode="json")
    if tree["machine"]["database"]:
        tree["machine"]["database"] = redact(tree["machine"]["database"])
    return dict(plain(tree))
