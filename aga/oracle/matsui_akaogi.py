"""The Matsui–Akaogi potential for TiO₂: rigid ions.

M. Matsui and M. Akaogi, Mol. Simul. 6, 239 (1991): partial charges, A exp(−r/ρ) and −C/r⁶,
both lattice sums by Ewald's method. Relaxed rutile −39.80, brookite −39.62, anatase −39.50 eV
per formula unit (against free ions).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from ase.stress import full_3x3_to_voigt_6_stress
from matscipy.neighbours import neighbour_list

from aga.oracle import ewald
from aga.oracle.ase_engine import AseEngine
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["MatsuiAkaogi", "MatsuiAkaogiCalculator"]

SPECIES = (atomic_numbers["Ti"], atomic_numbers["O"])
CHARGES = np.array([2.196, -1.098])  # e
# Matrices over (Ti, O): eV, Å, eV Å⁶.
A = np.array([[31120.1, 16957.5], [16957.5, 11782.7]])
RHO = np.array([[0.1540, 0.1940], [0.1940, 0.2340]])
C = np.array([[5.25, 12.59], [12.59, 30.22]])
# Where the wall begins, Å: well inside the shortest distances of any TiO₂ phase (Ti–O 1.8,
# O–O 2.3, Ti–Ti 2.7 Å under pressure), and where A exp(−r/ρ) still outweighs C/r⁶.
WALL = np.array([[1.6, 1.2], [1.2, 1.5]])
WALL_HEIGHT = 1.0
"""eV in front of (r_w/r − 1)⁴: a steeper divergence than the attraction of Ti and O."""


class MatsuiAkaogiCalculator(Calculator):  # type: ignore[misc] # ASE is untyped here
    """Matsui–Akaogi TiO₂ as an ASE calculator; periodic in three directions, neutral cells.

    Inside the wall distances A exp(−r/ρ) − C/r⁶, which would dive to −∞, is continued by its
    parabola plus a wall K(r_w/r − 1)⁴, so energy, force and force derivative are continuous
    and nothing changes outside.

    Parameters
    ----------
    real_cutoff
        Å, of the pair sums.
    accuracy
        Relative size of the first terms left out of either sum.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(self, real_cutoff: float = 8.0, accuracy: float = 1e-9) -> None:
        super().__init__()
        self.real_cutoff = real_cutoff
        decay = np.sqrt(-np.log(accuracy))
        self.kappa = decay / real_cutoff
        self.k_cutoff = 2 * self.kappa * decay

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
    ) -> None:
        """Fill ``results``: energy (eV), forces (eV/Å), stress (eV/Å³, Voigt).

        Raises
        ------
        ValueError
            Another element than Ti and O, a cell that is not neutral or not periodic.
        """
        super().calculate(atoms, properties, system_changes)
        species = _species(self.atoms)
        cell = np.array(self.atoms.cell)
        positions = self.atoms.get_positions()
        energy, forces, virial = self._pairs(self.atoms, species)
        long = ewald.reciprocal_sum(
            positions, cell, species, (CHARGES, C), kappa=self.kappa, cutoff=self.k_cutoff
        )
        energy += long.energy + ewald.coulomb_self(CHARGES[species], self.kappa)
        energy += ewald.dispersion_self(C[species, species], self.kappa)
        stress = (virial + long.virial) / abs(np.linalg.det(cell))
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces + long.forces,
            "stress": full_3x3_to_voigt_6_stress(stress),
        }

    def _pairs(self, atoms: Atoms, species: IntArray) -> tuple[float, FloatArray, FloatArray]:
        """Sum the pair terms: energy, forces, strain derivative."""
        i, j, r, D = neighbour_list("ijdD", atoms, self.real_cutoff)
        si, sj = species[i], species[j]
        q, dq = ewald.coulomb_pair(r, self.kappa)
        d, dd = ewald.dispersion_pair(r, self.kappa)
        qq = ewald.COULOMB * CHARGES[si] * CHARGES[sj]
        a, rho, c = A[si, sj], RHO[si, sj], C[si, sj]
        repulsion = a * np.exp(-r / rho)
        value = qq * q - c * d + repulsion
        slope = qq * dq - c * dd - repulsion / rho
        near = np.nonzero(r < WALL[si, sj])[0]
        if len(near):
            extra = _wall(r[near], si[near], sj[near])
            value[near] += extra[0]
            slope[near] += extra[1]
        # Each pair stands twice in the list, once from either side.
        pull = slope[:, None] * D / r[:, None]
        forces = np.zeros((len(species), 3))
        np.add.at(forces, i, pull)
        return 0.5 * float(value.sum()), forces, 0.5 * np.einsum("pi,pj->ij", pull, D)


class MatsuiAkaogi(AseEngine):
    """The Matsui–Akaogi potential as reference method for TiO₂."""

    name = "matsui-akaogi"
    known: ClassVar[frozenset[str] | None] = frozenset({"O", "Ti"})

    def calculator(self) -> Calculator:
        """Give the calculator with its default cutoffs."""
        return MatsuiAkaogiCalculator()


def _species(atoms: Atoms) -> IntArray:
    numbers = atoms.get_atomic_numbers()
    unknown = sorted({a.symbol for a in atoms if a.number not in SPECIES})
    if unknown:
        raise ValueError(f"Matsui–Akaogi knows Ti and O, not {', '.join(unknown)}")
    if not atoms.pbc.all():
        raise ValueError("Matsui–Akaogi needs a cell that is periodic in three directions")
    species: IntArray = np.where(numbers == SPECIES[0], 0, 1)
    if abs(CHARGES[species].sum()) > 1e-6:
        raise ValueError(f"{atoms.get_chemical_formula()} is not neutral: two O for each Ti")
    return species


def _wall(r: FloatArray, si: IntArray, sj: IntArray) -> tuple[FloatArray, FloatArray]:
    """Replace A exp(−r/ρ) − C/r⁶ by its parabola at the wall, and add the wall."""
    a, rho, c, wall = A[si, sj], RHO[si, sj], C[si, sj], WALL[si, sj]
    repulsion, dispersion = a * np.exp(-r / rho), c / r**6
    start = a * np.exp(-wall / rho)
    value = start - c / wall**6
    slope = -start / rho + 6 * c / wall**7
    curvature = start / rho**2 - 42 * c / wall**8
    x = r - wall
    y = wall / r - 1
    parabola = value + slope * x + 0.5 * curvature * x**2 + WALL_HEIGHT * y**4
    inclination = slope + curvature * x - 4 * WALL_HEIGHT * y**3 * wall / r**2
    return (
        parabola - (repulsion - dispersion),
        inclination - (-repulsion / rho + 6 * dispersion / r),
    )
