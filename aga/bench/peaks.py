"""What one core of this machine can do at best, to say what limits the kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

from aga.bench.timing import interleave
from aga.structure.candidate import FloatArray

__all__ = ["measure_peaks"]

LENGTH = 1024
"""Numbers in an array: 8 KiB, so a few of them stay in the first-level cache."""

SWEEPS = 200
"""Passes over the arrays in one measured call."""

FACTORS = 64
"""Multiply-adds on each number while it is in a register."""

_EXP = np.array([1.0 / math.factorial(n) for n in range(14)])
_POWERS_OF_TWO = 2.0 ** -np.arange(1023.0)


def _compiled(function: Callable[..., None]) -> Any:  # noqa: ANN401 - numba is untyped
    # not kept on disk: a second to compile once per benchmark
    return numba.njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")(function)


def _exponentials(x: FloatArray, out: FloatArray) -> None:
    """Write exp(x) for x ≤ 0: range reduction and a polynomial of degree 13, vectorised."""
    for _ in range(SWEEPS):
        for j in range(len(x)):
            t = max(x[j], -700.0)
            k = math.floor(t * 1.4426950408889634 + 0.5)
            f = (t - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10
            p = _EXP[13]
            for n in range(13):
                p = p * f + _EXP[12 - n]
            out[j] = p * _POWERS_OF_TWO[np.int32(-k)]


def _library_exponentials(x: FloatArray, out: FloatArray) -> None:
    for _ in range(SWEEPS):
        for j in range(len(x)):
            out[j] = math.exp(x[j])


def _multiply_adds(x: FloatArray, out: FloatArray) -> None:
    """Iterate out ← out·x + 1 in registers: no memory is needed but for the first and last."""
    for _ in range(SWEEPS):
        for j in range(len(x)):
            y, t = out[j], x[j]
            for _ in range(FACTORS):
                y = y * t + 1.0
            out[j] = y


def _sums(x: FloatArray, out: FloatArray) -> None:
    """Sum products of two arrays in the cache: two loads for each multiply-add."""
    for sweep in range(SWEEPS):
        total = 0.0
        for j in range(len(x)):
            total += x[j] * out[j]
        x[sweep] = -1e-3 * total


_KERNELS: dict[str, tuple[Callable[..., None], int]] = {
    "exponentials_per_s": (_exponentials, LENGTH * SWEEPS),
    "library_exponentials_per_s": (_library_exponentials, LENGTH * SWEEPS),
    "multiply_adds_per_s": (_multiply_adds, LENGTH * SWEEPS * FACTORS),
    "sums_of_products_per_s": (_sums, LENGTH * SWEEPS),
}


def measure_peaks(rounds: int = 5) -> dict[str, float]:
    """Measure the rates of one core, each per second, in float64.

    ``exponentials_per_s`` with the polynomial that the potential uses, vectorised;
    ``library_exponentials_per_s`` those of the C library one by one; ``multiply_adds_per_s`` in
    registers; ``sums_of_products_per_s`` multiply-adds on arrays in the first-level cache.
    """
    calls: dict[str, Callable[[], object]] = {}
    for name, (function, _) in _KERNELS.items():
        x, out = -np.linspace(0.001, 0.9, LENGTH), np.ones(LENGTH)
        calls[name] = partial(_compiled(function), x, out)
    samples = interleave(calls, rounds)
    return {name: work / samples.median(name) for name, (_, work) in _KERNELS.items()}
