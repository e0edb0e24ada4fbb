"""Watching a search from outside: what was relaxed twice, and where the time went."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from aga.config import SearchSettings
from aga.search.population import DUPLICATE_ENTHALPY
from aga.structure.fingerprint import Shelf, fingerprint
from aga.structure.protocols import Relaxed

__all__ = ["SOUND", "Clock", "Duplicates"]

SOUND = ("converged", "step_limit")
"""Ends of a relaxation after which its energy means something."""


class Clock:
    """Processor time of a run by what it was spent on; the rest is the search's own.

    A machine that is busy with other work makes a run longer, but not its processor time. The
    parts are ``reference``, ``relaxation``, ``training`` and ``potential``, and ``watching``
    for the benchmark itself.
    """

    def __init__(self) -> None:
        self.begun, self._busy = time.perf_counter(), time.process_time()
        self.parts: defaultdict[str, float] = defaultdict(float)
        self._inside: list[str] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside; what is inside another part counts there."""
        begun = time.process_time()
        self._inside.append(name)
        try:
            yield
        finally:
            self._inside.pop()
            if not self._inside:
                self.parts[name] += time.process_time() - begun

    @property
    def seconds(self) -> float:
        """Since the beginning, by the clock on the wall."""
        return time.perf_counter() - self.begun

    @property
    def own(self) -> float:
        """Seconds that no part has taken: the search's own."""
        return time.process_time() - self._busy - sum(self.parts.values())


class Duplicates:
    """Counts relaxed structures, and those that an earlier relaxation of the run had found.

    Parameters
    ----------
    search
        Its ``fingerprint_tolerance`` says when two structures are one.

    Attributes
    ----------
    relaxed, known
        Sound relaxations, and how many of them were known.
    """

    def __init__(self, search: SearchSettings) -> None:
        self._tolerance = search.fingerprint_tolerance
        self._prints = Shelf()
        self._enthalpies: list[float] = []
        self.relaxed = self.known = 0

    def see(self, found: Sequence[Relaxed]) -> None:
        """Take over what was relaxed."""
        for one in found:
            if one.reason not in SOUND or not np.isfinite(one.enthalpy):
                continue
            own = fingerprint(one.candidate)
            near = self._prints.distances(own) < self._tolerance
            gaps = np.abs(np.array(self._enthalpies) - one.enthalpy_per_atom)
            self.relaxed += 1
            if np.any(near & (gaps < DUPLICATE_ENTHALPY)):
                self.known += 1
            else:
                self._prints.add(own)
                self._enthalpies.append(one.enthalpy_per_atom)

    @property
    def rate(self) -> float | None:
        """Share of the relaxed structures that were known; None where nothing was relaxed."""
        return self.known / self.relaxed if self.relaxed else None
