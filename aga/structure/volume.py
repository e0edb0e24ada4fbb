"""The volume a composition will need, before any structure of it is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from math import exp

from aga.config import SearchSettings
from aga.errors import CompositionError
from aga.structure.candidate import Candidate

__all__ = ["estimated_volume_per_atom", "target_volume_per_atom", "volume_allowed"]

TRANSFER_SHRINKAGE = 0.36
"""How fast an atom shrinks with the electronegativity difference to its partners.

Fitted to the experimental volumes of 60 compounds from LiF to YBa2Cu3O7 and CsPbBr3: root mean
square error of the logarithm 0.14.
"""


@lru_cache(maxsize=1)
def _elements() -> dict[str, tuple[float, float | None]]:
    """Volume of one atom in Å³ and Pauling electronegativity of each element.

    Volumes are those of the solid element at ambient conditions; for those that are molecules
    there (H, N, O, F, P, Cl) the volume they take in their compounds.
    """
    text = files("aga.structure").joinpath("elements.json").read_text(encoding="utf-8")
    return {symbol: (volume, chi) for symbol, (volume, chi) in json.loads(text).items()}


def estimated_volume_per_atom(counts: Mapping[str, int]) -> float:
    """Estimate the volume per atom in Å³ of a solid with these atoms at no pressure.

    Every atom takes the volume v it has in its element, times exp(−a·Δχ), where Δχ is the mean
    over its partners of how much more electronegative (Pauling) they are: a cation loses its
    valence shell. Typical error 15 %.

    Parameters
    ----------
    counts
        Atoms of each element.

    Raises
    ------
    aga.errors.CompositionError
        An element is not in the table, or there are no atoms.
    """
    table = _elements()
    unknown = sorted(set(counts) - set(table))
    total = sum(counts.values())
    if unknown or total <= 0:
        raise CompositionError(
            f"no atomic volume is known for {', '.join(unknown) or 'an empty composition'}",
            remedy="give search.volume_per_atom in Å³",
        )
    volume = 0.0
    for symbol, number in counts.items():
        atomic_volume, chi = table[symbol]
        transfer = 0.0
        if chi is not None and total > number:
            for partner, partners in counts.items():
                transfer += partners * max(0.0, (table[partner][1] or 0.0) - chi)
            transfer /= total - number
        volume += number * atomic_volume * exp(-TRANSFER_SHRINKAGE * transfer)
    return volume / total


def target_volume_per_atom(settings: SearchSettings) -> float:
    """Give the user's volume per atom in Å³, or the estimate where none is set."""
    return settings.volume_per_atom or estimated_volume_per_atom(settings.atom_counts())


def volume_allowed(candidate: Candidate, settings: SearchSettings) -> bool:
    """Tell whether the volume lies in ``volume_range`` times the target volume."""
    low, high = settings.volume_range
    ratio = candidate.volume / len(candidate) / target_volume_per_atom(settings)
    return low <= ratio <= high
