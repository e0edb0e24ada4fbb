"""Searches: one document each, with its settings and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pymongo import DESCENDING

import aga
from aga.errors import NotFoundError
from aga.store.base import Store
from aga.store.documents import SCHEMA, Document, plain, utcnow
from aga.store.retry import redact

if TYPE_CHECKING:
    from aga.config.schema import Settings

__all__ = ["Searches"]

NOTHING_SETTLED: Document = {"iteration": -1, "calls": 0}
"""Sum of reference calls before the first iteration has ended."""


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

    def count_reference(self, search_id: str, *, refined: bool = True) -> int:
        """Count the reference method's evaluations and store both counts with the search.

        Counted from the ended steps, so that counting twice changes nothing: a ``label`` step
        counts the ``evaluations`` of its result (or of its error), 1 where it names none. The
        sum over iterations in which every step has ended, and to which none is added any more,
        is kept in ``settled``, so that the cost does not grow with the search. Without ``refined``
        only those of the loop are counted.

        Returns
        -------
        int
            Evaluations of the loop; those of the final relaxations are stored apart.
        """
        search = self.get_search(search_id)
        before = search.get("settled") or NOTHING_SETTLED
        steps = self.find(
            "steps",
            {"search_id": search_id, "kind": "label", "iteration": {"$gt": before["iteration"]}},
        )
        calls = before["calls"] + _evaluations(steps)
        fields = {"reference_calls": calls}
        if refined:
            relaxed = self.find("steps", {"search_id": search_id, "kind": "refine"})
            fields["refine_calls"] = _evaluations(relaxed)
        if any(search[key] != value for key, value in fields.items()):
            self.update_search(search_id, fields)
        settled = _settled(before, steps)
        if settled != before:
            self.update_search(
                search_id, {"settled": settled}, expect={"settled": search.get("settled")}
            )
        return int(calls)

    def unsettle(self, search_id: str, iteration: int) -> None:
        """Forget sums that include an iteration: its steps are planned again."""
        if self.get_search(search_id).get("settled", NOTHING_SETTLED)["iteration"] >= iteration:
            self.update_search(search_id, {"settled": NOTHING_SETTLED})

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


def _evaluations(steps: Iterable[Document]) -> int:
    ended = (s for s in steps if s["state"] in {"done", "failed"})
    return sum(int((s["result"] or s["error"] or {}).get("evaluations", 1)) for s in ended)


def _settled(before: Mapping[str, int], steps: Sequence[Document]) -> Document:
    """Move on over iterations that have ended; the newest may still get steps."""
    newest = max((s["iteration"] for s in steps), default=0)
    iteration, calls = before["iteration"], before["calls"]
    while iteration + 1 < newest:
        own = [s for s in steps if s["iteration"] == iteration + 1]
        if any(s["state"] in {"planned", "running"} for s in own):
            break
        iteration, calls = iteration + 1, calls + _evaluations(own)
    return {"iteration": iteration, "calls": calls}


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
        "settled": NOTHING_SETTLED,
        "heads": None,
        "created": now,
        "updated": now,
        "finished": None,
    }


def _tree(settings: Settings) -> Document:
    tree = settings.model_dump(mode="json")
    if tree["machine"]["database"]:
        tree["machine"]["database"] = redact(tree["machine"]["database"])
    return dict(plain(tree))
