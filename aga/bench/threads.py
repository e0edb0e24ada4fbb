"""How many threads the libraries use while something is measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

__all__ = ["core_counts", "threads"]


def core_counts() -> tuple[int, ...]:
    """Give the numbers of cores to measure with: one, and two where this process may use two."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed is not None else os.cpu_count() or 1
    return (1, 2) if cores > 1 else (1,)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch and numba use so many threads inside, and as many as before afterwards."""
    torch_before, numba_before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(count)
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        torch.set_num_threads(torch_before)
        numba.set_num_threads(numba_before)
