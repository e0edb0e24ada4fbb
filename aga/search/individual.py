"""What the search knows of one structure: predicted (Individual) or labelled (Known)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aga.config import SearchSettings
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.fingerprint import fingerprint
from aga.structure.protocols import Frame, Relaxed
from aga.structure.volume import target_volume_per_atom
from aga.units import ev_per_a3_from_gpa

__all__ = ["Individual", "Known", "describe", "known"]

_DENSEST = 0.1
_THINNEST = 20.0
"""Target volumes between which a fingerprint is worth (and cheap enough) computing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Individual:
    """A relaxed candidate with what tells it from others.

    ``fingerprint`` as of :func:`aga.structure.fingerprint.fingerprint`; empty for a relaxation
    that exploded, and so unlike everything.
    """

    relaxed: Relaxed
    fingerprint: FloatArray

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.relaxed.candidate.name

    @property
    def candidate(self) -> Candidate:
        """The relaxed structure."""
        return self.relaxed.candidate

    @property
    def enthalpy_per_atom(self) -> float:
        """Predicted enthalpy in eV/atom."""
        return self.relaxed.enthalpy_per_atom

    @property
    def energy_spread(self) -> float:
        """Standard deviation over the committee in eV/atom."""
        return self.relaxed.energy_spread


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """A structure that the reference method has labelled.

    ``enthalpy_per_atom`` in eV/atom, of the reference method at this very geometry.
    """

    candidate: Candidate
    enthalpy_per_atom: float
    fingerprint: FloatArray

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.candidate.name


def describe(relaxed: Relaxed, settings: SearchSettings) -> Individual:
    """Compute the fingerprint of a relaxed candidate; never raises."""
    candidate = relaxed.candidate
    ratio = candidate.volume / len(candidate) / target_volume_per_atom(settings)
    numbers = (relaxed.enthalpy, relaxed.energy_spread, relaxed.force_spread)
    if (
        relaxed.reason == "exploded"
        or not _DENSEST < ratio < _THINNEST
        or not np.isfinite(numbers).all()
    ):
        return Individual(relaxed=relaxed, fingerprint=np.zeros(0))
    return Individual(relaxed=relaxed, fingerprint=fingerprint(candidate))


def known(frame: Frame, settings: SearchSettings, print_: FloatArray | None = None) -> Known:
    """Take over a labelled frame; its enthalpy is E + pV at the search's pressure.

    ``print_`` is its fingerprint where it is known already.
    """
    candidate = frame.candidate
    enthalpy = frame.energy + ev_per_a3_from_gpa(settings.pressure) * candidate.volume
    return Known(
        candidate=candidate,
        enthalpy_per_atom=enthalpy / len(candidate),
        fingerprint=fingerprint(candidate) if print_ is None else print_,
    )
