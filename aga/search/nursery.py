"""The nursery: offspring and first structures gather here, and the unfit are turned away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from aga.config import SearchSettings
from aga.search.population import Population
from aga.structure.candidate import Candidate
from aga.structure.cell_limits import CellLimits
from aga.structure.fingerprint import Shelf, fingerprint
from aga.structure.geometry import DistanceLimits, too_close
from aga.structure.volume import volume_allowed

__all__ = ["Nursery", "in_words"]


class Nursery:
    """Collects offspring and refuses those that are unphysical or there already.

    ``failed`` counts what was refused by ``operator: reason``, as its users tell it.
    """

    def __init__(self, settings: SearchSettings, population: Population) -> None:
        self.settings = settings
        self.limits = DistanceLimits.from_settings(settings)
        self.shape = CellLimits.from_settings(settings)
        self.population = Shelf(one.fingerprint for one in population.individuals)
        self.bred = Shelf()
        self.candidates: list[Candidate] = []
        self.failed: Counter[str] = Counter()

    def objection(self, candidate: Candidate, *, known_too: bool) -> str | None:
        """Say why a structure can't join; None where it can, and then it does."""
        if not volume_allowed(candidate, self.settings):
            return "volume"
        if too_close(candidate, self.limits):
            return "too_close"
        if not self.shape.allows(candidate):
            return "cell"
        return self.twin(candidate, known_too=known_too)

    def twin(self, candidate: Candidate, *, known_too: bool) -> str | None:
        """Look for a like structure alone; None where there is none, and then it joins.

        For what a user has given, whose volume and cell are as they are meant to be.
        """
        own = fingerprint(candidate)
        for others in (self.bred, self.population) if known_too else (self.bred,):
            if (others.distances(own) < self.settings.fingerprint_tolerance).any():
                return "duplicate"
        self.bred.add(own)
        self.candidates.append(candidate)
        return None


def in_words(counts: Mapping[str, int]) -> str:
    """Give counts as ``name number`` pairs, by name."""
    return ", ".join(f"{key} {n}" for key, n in sorted(counts.items()))
