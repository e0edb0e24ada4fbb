"""What every operator gets, and the type of an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from aga.config import SearchSettings
from aga.search.operators.vibrations import Forces, Vibrations
from aga.structure.candidate import Candidate
from aga.structure.geometry import DistanceLimits
from aga.structure.random_crystal import DrawOptions
from aga.structure.volume import target_volume_per_atom

__all__ = ["Operator", "OperatorContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorContext:
    """Bounds within which operators work.

    ``counts`` atoms of each element in the largest cell allowed; ``volume`` its target volume in
    Å³; ``limits`` shortest distances; ``units`` the numbers of formula units that a cell may
    have, ascending, the last one that of ``counts``; ``crystals`` what random crystals look like,
    ``subcell_share`` how many immigrants are copies of a smaller cell; ``vibrations`` gives the
    modes of a parent, None where nothing gives forces; ``failed`` counts what operators try in
    vain within themselves, by ``operator: reason``.
    """

    counts: Mapping[str, int]
    volume: float
    limits: DistanceLimits
    units: tuple[int, ...] = (1,)
    crystals: DrawOptions = field(default_factory=DrawOptions)
    subcell_share: float = 0.0
    vibrations: Vibrations | None = None
    failed: Counter[str] = field(default_factory=Counter)

    @classmethod
    def from_settings(cls, settings: SearchSettings, forces: Forces | None = None) -> Self:
        """Take the context of a search; ``forces`` as in :data:`Forces`."""
        counts = settings.atom_counts()
        return cls(
            counts=counts,
            volume=target_volume_per_atom(settings) * sum(counts.values()),
            limits=DistanceLimits.from_settings(settings),
            units=tuple(settings.unit_range()),
            crystals=DrawOptions.from_settings(settings),
            subcell_share=settings.subcell_share,
            vibrations=None if forces is None else Vibrations(forces),
        )

    def counts_of(self, units: int) -> dict[str, int]:
        """Give the atoms of each element in a cell of so many formula units."""
        return {symbol: n * units // self.units[-1] for symbol, n in self.counts.items()}

    def units_of(self, candidate: Candidate) -> int:
        """Give the number of formula units in a cell."""
        return len(candidate) * self.units[-1] // sum(self.counts.values())

    def volume_of(self, atoms: int) -> float:
        """Give the target volume in Å³ of a cell of so many atoms."""
        return self.volume * atoms / sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One way of making offspring.

    ``function(parents, rng, context)`` gives a structure of one of the sizes of the context whose
    distances and volume the caller has to check, or raises
    :class:`~aga.errors.GenerationError`; it must draw from ``rng`` alone. ``parents`` is their
    number, ``elements`` the number of elements the composition needs at least, ``atoms`` the
    number of atoms, ``sizes`` the number of sizes that a cell may have; ``forces`` tells whether
    it needs those of a committee.
    """

    name: str
    function: Callable[[Sequence[Candidate], np.random.Generator, OperatorContext], Candidate]
    parents: int
    elements: int = 1
    atoms: int = 1
    sizes: int = 1
    forces: bool = False

    def applicable(
        self, counts: Mapping[str, int], population: int, *, sizes: int = 1, forces: bool = False
    ) -> bool:
        """Tell whether the operator can work.

        Parameters
        ----------
        counts
            Atoms of each element in the largest cell.
        population
            Number of possible parents.
        sizes
            How many sizes a cell may have.
        forces
            Whether there is a committee to ask.
        """
        return (
            len(counts) >= self.elements
            and sum(counts.values()) >= self.atoms
            and population >= self.parents
            and sizes >= self.sizes
            and (forces or not self.forces)
        )
