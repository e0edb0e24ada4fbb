"""Several cores for one batch: the kernels need no interpreter, so plain threads will do.

Structures are dealt out to the threads; where there are fewer structures than threads, the
central atoms of each are. What a structure gets does not depend on how the others are dealt
out; only if its own atoms are, its sums are taken in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Lock
from typing import TypeVar

import numpy as np

from aga.errors import InputError, StructureError
from aga.potential.batch import Batch, Evaluation

__all__ = ["Threads", "dealt", "evaluate_parts", "shares"]

T = TypeVar("T")
R = TypeVar("R")

FEWEST_ATOMS = 16
"""Atoms that are worth a thread: starting one costs about as much as five atoms."""


class Threads:
    """A number of threads, started when they are first needed.

    Parameters
    ----------
    count
        At least 1; with 1 everything is done by the caller. So it is while the threads are at
        work: what they do is not dealt out again.

    Raises
    ------
    aga.errors.InputError
        The count is below 1.
    """

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise InputError(f"a committee needs at least one thread, not {count}")
        self.count = count
        self._pool: ThreadPoolExecutor | None = None
        self._idle = Lock()

    def __reduce__(self) -> tuple[type[Threads], tuple[int]]:
        """Copy the number alone: a copy, also in another process, starts threads of its own."""
        return Threads, (self.count,)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """Apply the function to each item, in their order; the first error is raised."""
        if self.count == 1 or len(items) < 2 or not self._idle.acquire(blocking=False):
            return [function(item) for item in items]
        try:
            return self._together(function, items)
        finally:
            self._idle.release()

    def _together(self, function: Callable[[T], R], items: Sequence[T]) -> list[R]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="aga-potential")
        # the caller works too: one hand-over less
        later = [self._pool.submit(function, item) for item in items[1:]]
        first = function(items[0])
        return [first, *(future.result() for future in later)]


def dealt(atoms: int, threads: int) -> list[slice]:
    """Split a number of central atoms into as many runs as there are threads and enough atoms."""
    parts = min(threads, max(atoms // FEWEST_ATOMS, 1))
    edges = [atoms * k // parts for k in range(parts + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def shares(batch: Batch, threads: int) -> list[tuple[int, int]]:
    """Give first and last structure of each thread's share, of about equal cost.

    The cost of a structure is its number of pairs, by its density.
    """
    if threads < 2 or len(batch) < 2 * threads:
        return [(0, len(batch))]
    with np.errstate(divide="ignore"):  # a collapsed cell is refused later, by name
        cost = batch.counts * (20.0 + batch.counts / batch.volumes * 1000.0)
    total = np.cumsum(np.minimum(cost, 1e9))
    bounds = np.searchsorted(total, total[-1] * np.arange(1, threads) / threads) + 1
    edges = sorted({0, *(int(b) for b in bounds), len(batch)})
    return list(pairwise(edges))


def evaluate_parts(
    evaluate: Callable[[Batch], Evaluation], batch: Batch, threads: Threads
) -> Evaluation:
    """Evaluate the shares of a batch in threads and put the answers together.

    Raises
    ------
    aga.errors.StructureError
        As the evaluation; ``facts["index"]`` is the structure's place in the whole batch.
    """

    def part(share: tuple[int, int]) -> Evaluation:
        first, last = share
        try:
            return evaluate(batch.part(first, last))
        except StructureError as error:
            if isinstance(error.facts.get("index"), int):
                error.facts["index"] += first
            raise

    said = threads.map(part, shares(batch, threads.count))
    if len(said) == 1:
        return said[0]
    return Evaluation(
        energies=np.concatenate([one.energies for one in said]),
        energy_spread=np.concatenate([one.energy_spread for one in said]),
        gradient=np.concatenate([one.gradient for one in said]),
        strain=np.concatenate([one.strain for one in said]),
    )
