"""Measuring side by side: every round runs each contestant once, so all see the same machine."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Samples", "interleave"]

SHORTEST = 0.05
"""Seconds that one sample takes at least; quicker calls are repeated."""

SETTLE = 0.1
"""Seconds for which a quick contestant runs before it is measured: threads and processes of the
last one still spin, waiting for more work, and would take a core from it; its own are not awake."""

LONG = 1.0
"""Seconds after which the first call is warm-up enough."""

MOST_CALLS = 200


@dataclass(frozen=True, slots=True)
class Samples:
    """Seconds per call of each contestant in each round."""

    seconds: Mapping[str, Sequence[float]]

    def merged(self) -> Samples:
        """Make one of those with the same name before an @: the quickest of them in each round."""
        rounds: dict[str, list[Sequence[float]]] = {}
        for name, seconds in self.seconds.items():
            rounds.setdefault(name.partition("@")[0], []).append(seconds)
        return Samples(
            {name: [*map(min, zip(*all_, strict=True))] for name, all_ in rounds.items()}
        )

    def median(self, name: str) -> float:
        """Give the median of one contestant in seconds."""
        return statistics.median(self.seconds[name])

    def fastest(self, name: str) -> float:
        """Give the shortest time of one contestant in seconds."""
        return min(self.seconds[name])

    def ratio(self, name: str, base: str) -> float:
        """Give how many times longer ``name`` takes than ``base``: median over the rounds."""
        pairs = zip(self.seconds[name], self.seconds[base], strict=True)
        return statistics.median(a / b for a, b in pairs)


def interleave(calls: Mapping[str, Callable[[], object]], rounds: int) -> Samples:
    """Measure the contestants in turn, ``rounds`` times, after a warm-up of each."""
    alone = {name: _alone(call) for name, call in calls.items()}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    with _no_collector():
        for _ in range(rounds):
            for name, call in calls.items():
                if alone[name] < SETTLE:
                    _settle(call)
                seconds[name].append(_sample(call, _repetitions(alone[name])))
    return Samples(seconds)


def _settle(call: Callable[[], object]) -> None:
    end = time.perf_counter() + SETTLE
    while time.perf_counter() < end:
        call()


def _sample(call: Callable[[], object], repetitions: int) -> float:
    start = time.perf_counter()
    for _ in range(repetitions):
        call()
    return (time.perf_counter() - start) / repetitions


def _alone(call: Callable[[], object]) -> float:
    """Give the seconds of one call that is not the first."""
    once = _sample(call, 1)
    return _sample(call, 1) if once < LONG else once  # it may have compiled, or started threads


def _repetitions(alone: float) -> int:
    return min(max(1, math.ceil(SHORTEST / max(alone, 1e-9))), MOST_CALLS)


@contextmanager
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
