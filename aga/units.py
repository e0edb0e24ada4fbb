"""Unit conventions: Å, eV, eV/Å, eV/Å³ inside; GPa only where people read and write.

Stress follows ASE: positive under tension, Voigt order xx, yy, zz, yz, xz, xy.
Energies are total energies unless the name ends in ``_per_atom``.
"""

from __future__ import annotations

__all__ = ["EV_PER_A3_IN_GPA", "ev_per_a3_from_gpa", "gpa_from_ev_per_a3"]

EV_PER_A3_IN_GPA = 160.21766339999998
"""1 eV/Å³ in GPa (CODATA 2018 elementary charge)."""


def gpa_from_ev_per_a3(value: float) -> float:
    """Convert a pressure or stress from eV/Å³ to GPa."""
    return value * EV_PER_A3_IN_GPA


def ev_per_a3_from_gpa(value: float) -> float:
    """Convert a pressure or stress from GPa to eV/Å³."""
    return value / EV_PER_A3_IN_GPA
