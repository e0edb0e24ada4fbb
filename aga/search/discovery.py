"""How often a search found its results, and when each was found first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from aga.search.individual import Individual
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.fingerprint import cosine_distances
from aga.structure.matching import NEAR, CloseCalls

__all__ = ["Census", "Discovery", "Geometries", "Shape", "Sighting", "sightings"]

MOST_CALLS = 400
"""Close calls that one census may have decided atom by atom, about 10 ms each."""

Geometries = Callable[[Sequence[str]], Mapping[str, Candidate]]
"""Gives the structures of these names; asked only for those that fingerprints leave open."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """One form in which a result was seen: as it ended, or before its final relaxation."""

    candidate: Candidate
    fingerprint: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sighting:
    """A candidate that was relaxed in the search."""

    name: str
    iteration: int
    generation: int
    operator: str
    fingerprint: FloatArray


def sightings(relaxed: Iterable[Individual], iteration: int) -> list[Sighting]:
    """Give those that count: bred in the iteration, with a sound relaxation.

    A structure that is relaxed anew, on a newer committee, is not found again.
    """
    return [
        Sighting(
            name=one.name,
            iteration=iteration,
            generation=one.candidate.lineage.generation,
            operator=one.candidate.lineage.operator,
            fingerprint=one.fingerprint,
        )
        for one in relaxed
        if one.fingerprint.size and one.candidate.lineage.operator != "relaxation"
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """How a result was found.

    ``times`` relaxed candidates of the whole search are this structure; ``first`` is the name of
    the earliest, with its ``iteration``, ``generation`` and ``operator``; ``reference_calls`` had
    been spent when it was bred, None where that is not known.
    """

    times: int
    first: str
    iteration: int
    generation: int
    operator: str
    reference_calls: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return asdict(self)


class Census:
    """Counts, candidate by candidate, which result each of them is.

    A candidate is the result with the nearest fingerprint within the tolerance whose atoms match
    (:func:`aga.structure.matching.same_structure`); a verdict holds for all candidates of the
    same fingerprint, so the comparisons atom by atom stay few however many candidates there are.

    Parameters
    ----------
    results
        The shapes of each result.
    tolerance
        Cosine distance of fingerprints.
    """

    def __init__(self, results: Sequence[Sequence[Shape]], tolerance: float) -> None:
        self._shapes = [shape for shapes in results for shape in shapes]
        self._owners = [k for k, shapes in enumerate(results) for _ in shapes]
        self._calls = CloseCalls(tolerance, MOST_CALLS)
        self._decided: list[tuple[FloatArray, int | None]] = []
        self._found: list[list[Sighting]] = [[] for _ in results]
        self._times = [0 for _ in results]

    def add(self, sightings: Sequence[Sighting], geometries: Geometries) -> None:
        """Count some candidates, in any number of parts."""
        if not self._shapes or not sightings:
            return
        prints = [one.fingerprint for one in sightings]
        apart = np.stack([cosine_distances(s.fingerprint, prints) for s in self._shapes], axis=1)
        nearest = apart.min(axis=1)
        near = NEAR * self._calls.tolerance
        for k in np.flatnonzero(nearest < near).tolist():
            self._count(sightings[k], self._owners[int(apart[k].argmin())])
        close = np.flatnonzero((nearest >= near) & (nearest < self._calls.tolerance)).tolist()
        for k, owner in zip(
            close,
            self._decide([sightings[k] for k in close], apart[close], geometries),
            strict=True,
        ):
            if owner is not None:
                self._count(sightings[k], owner)

    def discoveries(self, calls: Mapping[int, int] | None = None) -> list[Discovery | None]:
        """Give for each result how it was found; None for one that no candidate was.

        Parameters
        ----------
        calls
            Reference calls spent at the end of each iteration.
        """
        return [
            None if not seen else _discovery(seen[0], times, calls or {})
            for seen, times in zip(self._found, self._times, strict=True)
        ]

    def _count(self, one: Sighting, owner: int) -> None:
        """Count it, and remember it where it is the earliest."""
        self._times[owner] += 1
        self._found[owner] = sorted([*self._found[owner], one], key=_when)[:1]

    def _decide(
        self, sightings: Sequence[Sighting], apart: FloatArray, geometries: Geometries
    ) -> list[int | None]:
        """Give the owner of each candidate that is close to a shape."""
        known = [self._verdict(one) for one in sightings]
        open_ = [one.name for one, verdict in zip(sightings, known, strict=True) if not verdict]
        candidates = geometries(open_) if open_ else {}
        owners: list[int | None] = []
        for one, distances in zip(sightings, apart, strict=True):
            verdict = self._verdict(one)  # one of this part may have decided it
            if not verdict:
                verdict = [self._owner(candidates[one.name], distances)]
                if self._calls.made < MOST_CALLS:  # beyond, fingerprints decide anyway
                    self._decided.append((one.fingerprint, verdict[0]))
            owners.append(verdict[0])
        return owners

    def _verdict(self, one: Sighting) -> list[int | None]:
        """Give what was decided of this fingerprint before; nothing where nothing was."""
        apart = cosine_distances(one.fingerprint, [print_ for print_, _ in self._decided])
        if apart.size and apart.min() < NEAR * self._calls.tolerance:
            return [self._decided[int(apart.argmin())][1]]
        return []

    def _owner(self, candidate: Candidate, apart: FloatArray) -> int | None:
        for k in np.argsort(apart, kind="stable").tolist():
            if apart[k] >= self._calls.tolerance:
                break
            if self._calls.same(self._shapes[k].candidate, candidate, float(apart[k])):
                return int(self._owners[k])
        return None


def _when(one: Sighting) -> tuple[int, int, str]:
    return one.iteration, one.generation, one.name


def _discovery(first: Sighting, times: int, calls: Mapping[int, int]) -> Discovery:
    return Discovery(
        times=times,
        first=first.name,
        iteration=first.iteration,
        generation=first.generation,
        operator=first.operator,
        reference_calls=calls.get(first.iteration - 1),
    )
