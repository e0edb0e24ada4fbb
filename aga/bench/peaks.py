"""What one core of this machine can do at best, to say what limits the kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

from aga.bench.timing import interleave
from aga.potential.elementary import gaussians
from aga.potential.lanes import load32, store
from aga.structure.candidate import FloatArray

__all__ = ["measure_peaks"]

LENGTH = 1024
"""Numbers in an array: 8 KiB, so a few of them stay in the first-level cache."""

SWEEPS = 200
"""Passes over the arrays in one measured call."""

FACTORS = 64
"""Multiply-adds on each number while it is in a register."""


def _compiled(function: Callable[..., None]) -> Any:  # noqa: ANN401 - numba is untyped
    # not kept on disk: a second to compile once per benchmark
    return numba.njit(fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")(function)


def _exponentials(x: FloatArray, out: FloatArray) -> None:
    """Write exp(−x²), as vectors."""
    table = np.array([[1.0, 0.0]])
    for _ in range(SWEEPS):
        gaussians(out, x[0], x.shape[1], table)


def _library_exponentials(x: FloatArray, out: FloatArray) -> None:
    for _ in range(SWEEPS):
        for j in range(x.shape[1]):
            out[0, j] = math.exp(-x[0, j])


def _multiply_adds(x: FloatArray, out: FloatArray) -> None:
    """Iterate out ← out·x + 1 in registers, enough chains at once to hide the latency."""
    for _ in range(SWEEPS):
        for k in range(0, x.shape[1], 64):
            s, t = load32(x, 0, k), load32(x, 0, k + 32)
            y, z = load32(out, 0, k), load32(out, 0, k + 32)
            for _ in range(FACTORS):
                y = y * s + 1.0
                z = z * t + 1.0
            store(out, 0, k, y)
            store(out, 0, k + 32, z)


def _sums(x: FloatArray, out: FloatArray) -> None:
    """Sum products of two arrays in the cache: two loads for each multiply-add."""
    for sweep in range(SWEEPS):
        total = 0.0
        for j in range(x.shape[1]):
            total += x[0, j] * out[0, j]
        x[0, sweep] = 1e-3 * total


_KERNELS: dict[str, tuple[Callable[..., None], int]] = {
    "exponentials_per_s": (_exponentials, LENGTH * SWEEPS),
    "library_exponentials_per_s": (_library_exponentials, LENGTH * SWEEPS),
    "multiply_adds_per_s": (_multiply_adds, LENGTH * SWEEPS * FACTORS),
    "sums_of_products_per_s": (_sums, LENGTH * SWEEPS),
}


def measure_peaks(rounds: int = 5) -> dict[str, float]:
    """Measure the rates of one core at best, each per second, in float64.

    ``exponentials_per_s`` with the polynomial that the potential uses, vectorised;
    ``library_exponentials_per_s`` those of the C library one by one; ``multiply_adds_per_s`` in
    registers; ``sums_of_products_per_s`` multiply-adds on arrays in the first-level cache.
    """
    calls: dict[str, Callable[[], object]] = {}
    for name, (function, _) in _KERNELS.items():
        x, out = np.linspace(0.001, 0.9, LENGTH)[None, :].copy(), np.ones((1, LENGTH))
        calls[name] = partial(_compiled(function), x, out)
    samples = interleave(calls, rounds)
    return {name: work / samples.fastest(name) for name, (_, work) in _KERNELS.items()}
