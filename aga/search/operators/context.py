"""What every operator gets, and the type of an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from aga.config import SearchSettings
from aga.structure.candidate import Candidate
from aga.structure.geometry import DistanceLimits
from aga.structure.volume import target_volume_per_atom

__all__ = ["Operator", "OperatorContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorContext:
    """Bounds within which operators work.

    ``counts`` atoms of each element in a cell; ``volume`` target volume of the cell in Å³;
    ``limits`` shortest distances.
    """

    counts: Mapping[str, int]
    volume: float
    limits: DistanceLimits

    @classmethod
    def from_settings(cls, settings: SearchSettings) -> Self:
        """Take the context of a search."""
        counts = settings.atom_counts()
        return cls(
            counts=counts,
            volume=target_volume_per_atom(settings) * sum(counts.values()),
            limits=DistanceLimits.from_settings(settings),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One way of making offspring.

    ``function(parents, rng, context)`` gives a structure of the parents' composition whose
    distances and volume the caller has to check, or raises
    :class:`~aga.errors.GenerationError`; it must draw from ``rng`` alone. ``parents`` is their
    number, ``elements`` the number of elements the composition needs at least, ``atoms`` the
    number of atoms.
    """

    name: str
    function: Callable[[Sequence[Candidate], np.random.Generator, OperatorContext], Candidate]
    parents: int
    elements: int = 1
    atoms: int = 1

    def applicable(self, counts: Mapping[str, int], population: int) -> bool:
        """Tell whether the operator can work on this composition and size of population."""
        return (
            len(counts) >= self.elements
            and sum(counts.values()) >= self.atoms
            and population >= self.parents
        )
