"""One run of one arm: what it works with, and what is written down of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aga.bench.search.ledger import CountedEngine, Ledger
from aga.bench.search.observer import Clock, Duplicates
from aga.bench.search.problems import Problem
from aga.bench.search.relaxing import ReferenceRelaxer
from aga.config import Settings
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed

__all__ = ["Bout", "WatchedRelaxer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bout:
    """A run under way.

    ``settings`` of the arm, with the seed; ``engine`` counts in ``ledger``; ``folder`` is the
    run's own and goes away with it; ``facts`` what only some arms know, for the record, and the
    number of candidates ``proposed``.
    """

    problem: Problem
    settings: Settings
    ledger: Ledger
    engine: CountedEngine
    clock: Clock
    duplicates: Duplicates
    folder: Path
    facts: dict[str, Any]

    def relaxer(self) -> WatchedRelaxer:
        """Give the relaxation directly on the reference method."""
        inner = ReferenceRelaxer(self.engine.calculator(), self.settings.search, self.ledger)
        return WatchedRelaxer(inner, self)


class WatchedRelaxer:
    """Relaxes directly on the reference method, watched; one for all direct arms."""

    def __init__(self, inner: ReferenceRelaxer, bout: Bout) -> None:
        self._inner, self._bout = inner, bout

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        """Relax one after the other.

        Raises
        ------
        aga.bench.search.ledger.Ended
            The answer is found or a cap reached.
        """
        facts = self._bout.facts
        facts["proposed"] = facts.get("proposed", 0) + len(candidates)
        found = []
        for candidate in candidates:
            with self._bout.clock.part("relaxation"):
                found += self._inner.relax([candidate])
            with self._bout.clock.part("watching"):
                self._bout.duplicates.see(found[-1:])
        return found
