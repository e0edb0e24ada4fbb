"""Round numbers for bounds, which people read and write."""

from __future__ import annotations

from math import floor, log10

import numpy as np

from aga.structure.candidate import FloatArray

__all__ = ["round_down", "round_grid"]

_SERIES = ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))
"""Round numbers of a decade, finest first."""

_ROWS = 14
"""Most thresholds of a grid of round numbers."""


def round_grid(values: FloatArray) -> tuple[float, ...]:
    """Give 0 and round numbers up to the largest value.

    They begin below where a twentieth of the values is left away, but not far below a thousandth
    of the largest: forces that vanish by symmetry have a spread of rounding errors.
    """
    finite = values[np.isfinite(values) & (values > 0)]
    if not len(finite):
        return (0.0,)
    high = finite.max()
    low = max(np.quantile(finite, 0.05), high / 1000)
    powers = range(int(np.floor(np.log10(low))), int(np.floor(np.log10(high))) + 1)
    for series in _SERIES:
        numbers = [float(f"{digit}e{power}") for power in powers for digit in series]
        start = max(number for number in numbers if number <= low)
        grid = [number for number in numbers if start <= number <= high]
        if len(grid) < _ROWS:
            break
    return (0.0, *grid[-_ROWS:])


def round_down(value: float) -> float:
    """Round down to two digits."""
    if value <= 0:
        return 0.0
    power = floor(log10(value)) - 1
    return min(value, float(f"{floor(value / 10**power + 1e-9)}e{power}"))
