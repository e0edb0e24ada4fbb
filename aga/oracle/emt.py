"""Effective medium theory for close-packed metals and their alloys.

K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surf. Sci. 366, 394 (1996), as implemented by ASE.
Energies count from the metals in their fcc cells as the theory has them: 0 up to hundredths of an
eV per atom. Never taken by ``auto``: who searches a metal mostly means to search it by DFT.
"""

from __future__ import annotations

from typing import ClassVar

from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from aga.oracle.ase_engine import AseEngine

__all__ = ["Emt"]


class Emt(AseEngine):
    """Effective medium theory; exact in cells smaller than its cutoff."""

    name = "emt"
    known: ClassVar[frozenset[str] | None] = frozenset({"Ag", "Al", "Au", "Cu", "Ni", "Pd", "Pt"})

    def calculator(self) -> Calculator:
        """Give ASE's calculator with the published parameters."""
        return EMT()
