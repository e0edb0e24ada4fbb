"""The symmetrised cell of a final structure, where symmetrising it costs no energy."""

from __future__ import annotations

import numpy as np

from aga.structure.candidate import Candidate
from aga.structure.protocols import Label
from aga.structure.symmetry import STRICT, standardised
from aga.structure.symmetry_operations import symmetrised

__all__ = ["energy_of_moving", "standard_cell"]

UNCHANGED = 0.001
"""eV/atom that symmetrising may cost by the estimate."""

STIFFNESS = 50.0
"""eV/Å² of an atom against its neighbours: more than in silicon (28), less than in diamond (78)."""

MODULUS = 1.9
"""eV/Å³, 300 GPa: elastic constants of hard oxides."""

_EXACT = 1e-3
"""Å; what has been symmetrised is symmetric within rounding."""


def standard_cell(candidate: Candidate, label: Label, tolerance: float) -> Candidate | None:
    """Give the conventional cell, symmetrised exactly, in the standard setting of spglib.

    Atoms and lattice are moved onto the symmetry found within the tolerance in Å, or else within
    :data:`aga.structure.symmetry.STRICT` of it, whichever first costs less than
    :data:`UNCHANGED` by :func:`energy_of_moving`; None where neither does, or there is none.

    Parameters
    ----------
    candidate
        The relaxed structure, which stays what has been computed.
    label
        What the reference method says of it.
    tolerance
        Å.
    """
    for within in (tolerance, STRICT * tolerance):
        moved, operations = symmetrised(candidate, within)
        if len(operations) > 1 and energy_of_moving(candidate, moved, label) < UNCHANGED:
            return standardised(moved, _EXACT)
    return None


def energy_of_moving(candidate: Candidate, moved: Candidate, label: Label) -> float:
    """Estimate how much the energy changes, in eV/atom: from above, without another calculation.

    Forces and stress give the first order, |Σ F·u| + V |σ:ε|; the second, ½K Σu² + ½V M Σε², is
    that of a stiff crystal (:data:`STIFFNESS`, :data:`MODULUS`).

    Parameters
    ----------
    candidate, moved
        The structure before and after, with the same order of atoms and no rotation.
    label
        Forces (eV/Å) and stress (eV/Å³) before.
    """
    change = np.linalg.solve(candidate.cell, moved.cell)  # x → x @ change
    strain = 0.5 * (change + change.T) - np.eye(3)
    shift = moved.positions - candidate.positions @ change
    shift = shift - shift.mean(axis=0)
    volume = candidate.volume
    energy = abs(float((label.forces * shift).sum())) + 0.5 * STIFFNESS * float((shift**2).sum())
    energy += 0.5 * volume * MODULUS * float((strain**2).sum())
    if label.stress is not None:
        xx, yy, zz, yz, xz, xy = label.stress
        stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        energy += volume * abs(float((stress * strain).sum()))
    return energy / len(candidate)
