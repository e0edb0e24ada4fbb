"""Named random streams: the same seed and names give the same numbers, in any process."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["derive_seed", "stream"]


def derive_seed(seed: int, *names: str | int) -> int:
    """Give a 63-bit seed that depends on the search seed and the names alone."""
    text = "\x1f".join([str(seed), *(str(n) for n in names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Open the random stream of one purpose.

    Parameters
    ----------
    seed
        Seed of the search.
    *names
        What the numbers are for, e.g. ``(generation, "crossover", 7)``.

    Returns
    -------
    numpy.random.Generator
        Independent of every stream with other names.
    """
    return np.random.default_rng(derive_seed(seed, *names))
