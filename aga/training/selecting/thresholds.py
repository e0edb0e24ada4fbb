"""The bounds between which a structure is worth a label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from aga.errors import InputError

__all__ = ["AdaptiveBounds", "Quantity", "Thresholds", "lower_bound", "lower_bounds", "with_lower"]

Quantity = Literal["energy", "force", "novelty"]
"""What a lower bound is set on: the spread of the energy, of the forces, or the novelty."""

_MINIMUM: dict[Quantity, str] = {
    "energy": "energy_spread_min",
    "force": "force_spread_min",
    "novelty": "novelty_min",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """Who is selected; None sets no bound.

    Parameters
    ----------
    energy_spread_min, energy_spread_max
        eV/atom; below the structure is known already, above it is unphysical and never sent.
    force_spread_min, force_spread_max
        eV/Å, the same for the largest spread of the force on an atom. With both lower bounds a
        structure is known where both spreads are below them; with both upper bounds it is
        unphysical where one is above.
    novelty_min
        Least distance to a known structure, in standard deviations of the known ones
        (:func:`aga.training.selecting.structure_descriptors.novelties`).
    energy_window
        eV/atom above the lowest enthalpy.
    number
        Most structures per iteration.
    diversity
        Whether those that pass are ordered by farthest-point sampling, which begins at the known
        structures; else by the spread of the energy, largest first.

    Raises
    ------
    aga.errors.InputError
        A bound below zero or not a number, a lower bound above the upper one, or no place at all.
    """

    energy_spread_min: float | None = None
    energy_spread_max: float | None = None
    force_spread_min: float | None = None
    force_spread_max: float | None = None
    novelty_min: float | None = None
    energy_window: float | None = None
    number: int | None = None
    diversity: bool = False

    def __post_init__(self) -> None:
        bounds = {
            name: getattr(self, name)
            for name in type(self).__dataclass_fields__
            if name not in ("number", "diversity")
        }
        for name, bound in bounds.items():
            if bound is not None and not bound >= 0:
                raise InputError(f"{name} is {bound}", remedy="give a bound of 0 or more")
        for quantity in ("energy_spread", "force_spread"):
            low, high = bounds[f"{quantity}_min"], bounds[f"{quantity}_max"]
            if low is not None and high is not None and low > high:
                raise InputError(
                    f"{quantity}_min {low:g} is above {quantity}_max {high:g}",
                    remedy="give a lower bound below the upper one",
                )
        if self.number is not None and self.number < 1:
            raise InputError(f"number is {self.number}", remedy="let one be selected at least")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveBounds:
    """Bounds that follow the committee: quantiles of a quantity within each iteration.

    A committee that learns disagrees less, so a fixed lower bound selects fewer and fewer; a
    quantile selects the same share of each iteration.

    Parameters
    ----------
    quantity
        What is bounded.
    lower
        Quantile, 0 to 1, of the values of those whom all other bounds let through, below which
        a candidate counts as known: 0.9 selects a tenth.
    upper
        Quantile of the spreads of all candidates above which one counts as unphysical; None
        leaves the upper bound as it is. A novelty has no upper bound.

    Raises
    ------
    aga.errors.InputError
        A quantile outside 0 to 1, or an upper one for the novelty.

    References
    ----------
    Y. Zhang et al., Comput. Phys. Commun. 253, 107206 (2020) (DP-GEN), whose trust levels may be
    adapted so that a given share of the structures lies between them.
    """

    quantity: Quantity = "energy"
    lower: float
    upper: float | None = None

    def __post_init__(self) -> None:
        for name, quantile in (("lower", self.lower), ("upper", self.upper)):
            if quantile is not None and not 0 <= quantile <= 1:
                raise InputError(f"the {name} quantile is {quantile}", remedy="0 to 1 is allowed")
        if self.upper is not None and self.quantity == "novelty":
            raise InputError("novelty has no upper bound", remedy="set one on a spread")


def lower_bounds(thresholds: Thresholds) -> list[tuple[Quantity, float]]:
    """Give the lower bounds that are set."""
    bounds = [(quantity, getattr(thresholds, name)) for quantity, name in _MINIMUM.items()]
    return [(quantity, bound) for quantity, bound in bounds if bound is not None]


def lower_bound(thresholds: Thresholds, quantity: Quantity) -> float:
    """Give the lower bound on a quantity; 0 where there is none."""
    return float(getattr(thresholds, _MINIMUM[quantity]) or 0.0)


def with_lower(thresholds: Thresholds, quantity: Quantity, bound: float) -> Thresholds:
    """Give the thresholds with another lower bound on a quantity."""
    change: dict[str, Any] = {_MINIMUM[quantity]: bound}
    return replace(thresholds, **change)
