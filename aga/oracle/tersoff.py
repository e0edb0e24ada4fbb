"""The Tersoff potential for silicon, carbon and their compounds.

J. Tersoff, Phys. Rev. B 39, 5566 (1989), as implemented by matscipy. Relaxed diamond silicon:
−4.62960 eV/atom at a = 5.432 Å; hexagonal diamond is degenerate with it.
"""

from __future__ import annotations

from typing import ClassVar

from ase.calculators.calculator import Calculator
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
    Tersoff_PRB_39_5566_Si_C,
)

from aga.oracle.ase_engine import AseEngine

__all__ = ["Tersoff"]


class Tersoff(AseEngine):
    """Tersoff's potential of 1989; exact in cells smaller than its cutoff of 3 Å."""

    name = "tersoff"
    known: ClassVar[frozenset[str] | None] = frozenset({"C", "Si"})

    def calculator(self) -> Calculator:
        """Give matscipy's calculator with the published parameters."""
        return Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
