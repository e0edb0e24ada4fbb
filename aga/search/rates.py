"""Rates that adapt: operators whose offspring enter the population get more of the offspring.

With the weights of the settings as shares p_o (Σ p_o = 1), and of each operator the offspring
made m_o and entered e_o, both with exponential forgetting,

    s_o = (e_o + k s̄) / (m_o + k),    s̄ = Σ e_o / Σ m_o,    q_o = p_o s_o / Σ p_i s_i,

s_o the success rate, drawn towards the mean s̄ by k offspring that nobody made (Laplace's
smoothing); q_o is limited to B p_o, and what that leaves over is spread in proportion to p. The
share in force is

    w_o = f p_o + (1 − f) q_o.

So every operator keeps the fraction f of its own weight, however badly it does, and none gets
more than B + 1 times its own.

References
----------
Bushlanov, Blatov & Oganov, Comput. Phys. Commun. 236, 1 (2019): variation operators tuned by the
success of their offspring; Lonie & Zurek, Comput. Phys. Commun. 182, 372 (2011); Liu, Comput. Phys.
Commun. 185, 1893 (2014): competition between operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["OperatorRecord", "shares"]

FORGETTING = 0.8
"""Weight of the record in the next generation: it remembers about five generations."""

PRIOR = 6.0
"""Offspring of average success that every operator is credited with (k)."""

FLOOR = 0.3
"""Fraction of its own weight that every operator keeps (f)."""

BOUND = 3.0
"""Largest success share in shares by weight (B)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRecord:
    """What became of the offspring of each operator, older generations counting less.

    ``made`` offspring and ``entered``, those of them that entered the population, by name of the
    operator; without unit, not whole numbers.
    """

    made: Mapping[str, float] = field(default_factory=dict)
    entered: Mapping[str, float] = field(default_factory=dict)

    def after(self, made: Mapping[str, int], entered: Mapping[str, int]) -> OperatorRecord:
        """Give the record with one generation more."""
        return OperatorRecord(
            made=_later(self.made, made),
            entered=_later(self.entered, entered),
        )

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {"made": dict(self.made), "entered": dict(self.entered)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`; names and numbers as they were."""
        made, entered = (
            {name: float(n) for name, n in data.get(key, {}).items()} for key in ("made", "entered")
        )
        return cls(made=made, entered=entered)


def shares(
    weights: Mapping[str, float], names: Iterable[str], record: OperatorRecord | None
) -> dict[str, float]:
    """Give the share of the offspring that each operator is drawn with.

    Parameters
    ----------
    weights
        Of the settings, by name of the operator.
    names
        The operators that can be applied now; the others' shares are spread over these.
    record
        What became of earlier offspring; None: the weights alone decide.

    Returns
    -------
    dict
        By name in the order given; they add up to 1. Empty where all weights are 0.
    """
    own = {name: weights[name] for name in names if weights[name] > 0}
    plain = _normalised(own)
    if record is None or not plain:
        return plain
    everything = sum(record.made.values())
    if everything <= 0:
        return plain
    mean = sum(record.entered.values()) / everything
    rates = {
        name: (record.entered.get(name, 0.0) + PRIOR * mean) / (record.made.get(name, 0.0) + PRIOR)
        for name in plain
    }
    earned = _normalised({name: plain[name] * rate for name, rate in rates.items()})
    if not earned:  # nothing has entered for long: no operator is better than another
        return plain
    capped = {name: min(share, BOUND * plain[name]) for name, share in earned.items()}
    over = 1.0 - sum(capped.values())
    return {
        name: FLOOR * plain[name] + (1.0 - FLOOR) * (capped[name] + over * plain[name])
        for name in plain
    }


def _later(before: Mapping[str, float], new: Mapping[str, int]) -> dict[str, float]:
    names = sorted({*before, *new})
    return {name: FORGETTING * before.get(name, 0.0) + new.get(name, 0) for name in names}


def _normalised(values: Mapping[str, float]) -> dict[str, float]:
    total = sum(values.values())
    return {name: value / total for name, value in values.items()} if total > 0 else {}
