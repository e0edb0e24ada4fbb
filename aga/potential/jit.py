"""How the numerical kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

__all__ = ["compiled", "fused", "lanes_of", "vectorised"]

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile on first call, keep the machine code on disk; IEEE arithmetic.

    That is said aloud: left open, a function would get the arithmetic of whichever caller made
    it compile first, and keep it on disk for all others.
    """
    jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)
    return cast("F", _fresh(jit(function)))


def fused(function: F) -> F:
    """Compile like :func:`compiled`, but a product and a sum may be rounded once, together."""
    jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
    return cast("F", _fresh(jit(function)))


def vectorised(function: F) -> F:
    """Compile like :func:`compiled`, but allow sums in another order, so that they vectorise.

    NaN and infinity keep their meaning; the order depends on the length alone, so equal input
    gives equal bits.
    """
    flags = {"contract", "reassoc", "nsz"}
    jit = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=flags)
    return cast("F", _fresh(jit(function)))


@numba.extending.register_jitable  # type: ignore[untyped-decorator] # numba is untyped
def lanes_of(start: int, stop: int) -> range:
    """Give range(start, stop) to index arrays with, none of them negative.

    Unsigned, so that numba needs no wrap-around of negative indices, which keeps loops that
    don't begin at zero from being vectorised.
    """
    return range(np.uint64(start), np.uint64(stop))


def _fresh(dispatcher: Any) -> Any:  # noqa: ANN401 - numba is untyped
    """Make the code on disk depend on all files of this room, besides the function's own.

    numba looks only at the file of the function itself, and would go on using machine code with
    an old version of a function inlined from another file. It has no public way to say more;
    where its inner names change, its own rule holds again.
    """
    file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if hasattr(file, "_source_stamp"):
        file._source_stamp = (file._source_stamp, _stamp())  # noqa: SLF001 - see above
    return dispatcher


@cache
def _stamp() -> tuple[tuple[str, int, int], ...]:
    found = ((path, path.stat()) for path in sorted(Path(__file__).parent.rglob("*.py")))
    return tuple((path.name, stat.st_mtime_ns, stat.st_size) for path, stat in found)
