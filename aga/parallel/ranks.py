"""Ranks: processes that run the same program, each with its share, and add up what they find."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["Alone", "Ranks", "gather_rows", "share"]

FloatArray = npt.NDArray[np.float64]


class Ranks(Protocol):
    """What a program that runs on several ranks knows of the others.

    Every rank has to make the same calls in the same order. Arrays are float64 and have the
    same shape on every rank; a result is a new array.
    """

    @property
    def rank(self) -> int:
        """Number of this rank, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many ranks there are."""
        ...

    def sum(self, values: FloatArray) -> FloatArray:
        """Add up the arrays of all ranks, element by element.

        The bits are the same on every rank, and each time for an equal number of ranks.
        """
        ...

    def broadcast(self, values: FloatArray) -> FloatArray:
        """Give the array of rank 0 on every rank."""
        ...

    def barrier(self) -> None:
        """Wait until every rank has come here."""
        ...


class Alone:
    """The one rank of a program that runs by itself: sums are its own values."""

    rank = 0
    size = 1

    def sum(self, values: FloatArray) -> FloatArray:
        """Give the values."""
        return np.array(values, dtype=np.float64)

    def broadcast(self, values: FloatArray) -> FloatArray:
        """Give the values."""
        return np.array(values, dtype=np.float64)

    def barrier(self) -> None:
        """Go on: there is nobody to wait for."""


def share(count: int, ranks: Ranks) -> slice:
    """Give this rank's share of ``count`` things: every ``size``-th, beginning with ``rank``.

    Neighbours in a list are often alike in cost; dealt out like this every rank gets some of
    each. The shares of all ranks together are everything, once; some are empty where there are
    more ranks than things.
    """
    return slice(ranks.rank, count, ranks.size)


def gather_rows(
    values: FloatArray, places: slice | Sequence[int], count: int, ranks: Ranks
) -> FloatArray:
    """Put the rows of all ranks together in their order, on every rank, by one sum.

    Parameters
    ----------
    values
        (n_local, …) rows of this rank; a rank without rows gives (0, …).
    places
        Where they belong among all rows, e.g. by :func:`share`. No two ranks have the same.
    count
        How many rows there are in all.
    ranks
        The ranks.

    Returns
    -------
    ndarray
        (count, …); zero where no rank had a row.

    Raises
    ------
    ValueError
        There are not as many rows as places.
    """
    rows = np.zeros((count, *values.shape[1:]))
    chosen = np.arange(count)[places if isinstance(places, slice) else np.array(places, dtype=int)]
    if len(chosen) != len(values):  # numpy would repeat a single row
        raise ValueError(f"{len(values)} rows for {len(chosen)} places")
    rows[chosen] = values
    return ranks.sum(rows)
