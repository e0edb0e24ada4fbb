"""What changes in the course of a training: learning rate, prefactors of the loss, γ.

The learning rate falls exponentially, r_l = r_l0 · d_r^(c_s/d_s) with c_s steps done; what has a
start and a limit follows it, p = p_limit (1 − r_l/r_l0) + p_start r_l/r_l0 (Zhang, Han, Wang,
Car, E, Phys. Rev. Lett. 120, 143001, 2018). Methods without a learning rate go the same way by
the ratio alone, a pass being a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Self

from aga.config.training import Pair, TrainingSettings

__all__ = ["Prefactors", "Rates", "Schedule"]

END = 0.01
"""Ratio of the learning rate at the end to that at the start, where no decay steps are set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefactors:
    """Weights of the squared errors: ``energy`` and ``stress`` in 1/eV², ``force`` in Å²/eV²."""

    energy: float
    force: float
    stress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What holds at one step: ``ratio`` of the learning rate to its start, prefactors, γ."""

    ratio: float
    prefactors: Prefactors
    gamma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The course of a training.

    ``decay_rate`` d_r and ``decay_steps`` d_s; ``pairs`` start and limit of the prefactors of
    energy, force and stress; ``gamma`` start and limit of γ.
    """

    decay_rate: float
    decay_steps: float
    pairs: tuple[Pair, Pair, Pair]
    gamma: Pair

    @classmethod
    def of(cls, settings: TrainingSettings, steps: int) -> Self:
        """Give the schedule of a training of so many steps."""
        rate, length = settings.decay_rate, settings.decay_steps
        if length is None:
            length = max(steps, 1) * log(rate) / log(END) if rate < 1 else 1.0
        return cls(
            decay_rate=rate,
            decay_steps=length,
            pairs=settings.prefactors(),
            gamma=settings.gamma(),
        )

    def at(self, step: float) -> Rates:
        """Give what holds after so many steps."""
        ratio = self.decay_rate ** (step / self.decay_steps)
        energy, force, stress = (_between(pair, ratio) for pair in self.pairs)
        return Rates(
            ratio=ratio,
            prefactors=Prefactors(energy=energy, force=force, stress=stress),
            gamma=_between(self.gamma, ratio),
        )

    def limits(self) -> Prefactors:
        """Give the prefactors at the end of all time: those by which passes compare."""
        energy, force, stress = (limit for _, limit in self.pairs)
        return Prefactors(energy=energy, force=force, stress=stress)


def _between(pair: Pair, ratio: float) -> float:
    start, limit = pair
    return limit * (1.0 - ratio) + start * ratio
