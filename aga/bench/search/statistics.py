"""What many runs say together: shares with intervals, medians where not all runs succeed."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

__all__ = ["median_until", "plain_median", "wilson"]

Z95 = 1.959964
"""Standard normal deviate of a two-sided interval of 95 %."""


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Give the 95 % interval of a share by Wilson's score.

    E. B. Wilson, J. Am. Stat. Assoc. 22, 209 (1927). Without trials it is (0, 1).
    """
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z95**2
    centre = share + z2 / (2 * trials)
    spread = Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    scale = 1 + z2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def median_until(costs: Sequence[float | None]) -> float | None:
    """Give the Kaplan–Meier median of what success cost.

    Runs that did not succeed (None) are censored after all others: what they would have cost is
    beyond what any successful one did (they reached the cap, or ended of themselves in another
    structure, which more of the same would not change). The estimate is then the lowest cost at
    which half of all runs have succeeded; None where fewer than half did.

    Kaplan & Meier, J. Am. Stat. Assoc. 53, 457 (1958).
    """
    known = sorted(cost for cost in costs if cost is not None)
    needed = (len(costs) + 1) // 2
    return known[needed - 1] if costs and len(known) >= needed else None


def plain_median(values: Sequence[float | None]) -> float | None:
    """Give the median of the known values; None where there is none."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    middle = len(known) // 2
    return known[middle] if len(known) % 2 else 0.5 * (known[middle - 1] + known[middle])
