"""How the numerical kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

__all__ = ["compiled", "vectorised"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile on first call, keep the machine code on disk; IEEE arithmetic."""
    return cast("F", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def vectorised(function: F) -> F:
    """Compile like :func:`compiled`, but allow sums in another order, so that they vectorise.

    NaN and infinity keep their meaning; the order depends on the length alone, so equal input
    gives equal bits.
    """
    flags = {"contract", "reassoc", "nsz"}
    return cast(
        "F", numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=flags)(function)
    )
