"""When a relaxation ends, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aga.config import SearchSettings
from aga.errors import InputError
from aga.structure.volume import target_volume_per_atom

__all__ = ["Limits", "RelaxTimings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a relaxation ends.

    Parameters
    ----------
    max_steps
        Evaluations after the first.
    max_force
        eV/Å; converged when no force on an atom is larger and no component of ∂H/∂ε per atom
        is larger than this times 1 Å (0.16 GPa for 0.02 at 20 Å³/atom).
    spread_limit
        eV/atom; untrusted when the committee's spread is above, after a grace of ten
        evaluations; None: never.
    volume_per_atom
        Å³ that ``volume_range`` counts in; the structure's own at the start where None.
    volume_range
        A volume outside means exploded. A start outside only widens the range to itself.
    batch_size
        Structures evaluated together.
    """

    max_steps: int = 200
    max_force: float = 0.02
    spread_limit: float | None = None
    volume_per_atom: float | None = None
    volume_range: tuple[float, float] = (0.3, 3.0)
    batch_size: int = 64

    @classmethod
    def from_settings(cls, search: SearchSettings) -> Self:
        """Take the limits from the settings of a search."""
        return cls(
            max_steps=search.relax_steps,
            max_force=search.relax_force,
            spread_limit=search.acquisition.relax_spread_max,
            volume_per_atom=target_volume_per_atom(search),
            volume_range=search.volume_range,
        )

    def __post_init__(self) -> None:
        low, high = self.volume_range
        if not (self.max_steps >= 0 and self.max_force > 0 and self.batch_size > 0):
            raise InputError("relaxation: steps, force and batch size must be positive")
        if not 0 < low < high:
            raise InputError(f"relaxation: no volume is between {low} and {high} times another")

    def volumes(self, atoms: int, volume: float) -> tuple[float, float]:
        """Give the smallest and largest volume in Å³ of a structure that starts at a volume."""
        unit = (self.volume_per_atom or 0.0) * atoms or volume
        low, high = self.volume_range
        return min(low * unit, 0.999 * volume), max(high * unit, 1.001 * volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaxTimings:
    """Where the time of a relaxation went.

    ``seconds`` in all, ``evaluator_seconds`` of them in the energy model; ``steps`` evaluations
    of a structure, summed over the structures; ``batches`` evaluations of a batch.
    """

    seconds: float = 0.0
    evaluator_seconds: float = 0.0
    steps: int = 0
    batches: int = 0

    @property
    def optimizer_share(self) -> float:
        """Share of the time that was not the energy model's."""
        return 1.0 - self.evaluator_seconds / self.seconds if self.seconds else 0.0
