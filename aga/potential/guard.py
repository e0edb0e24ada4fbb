"""Short-range repulsion, so that a relaxation can't fall into a hole between two nuclei.

No labelled structure has atoms closer than some distance, so below it a network says anything.
There the universal screened Coulomb repulsion of nuclei takes over. It is switched off smoothly
from 0.55 to 0.75 sums of covalent radii, inside every bond of a crystal (Ti–O 1.24 … 1.70 Å
against bonds of 1.8 Å and more, Si–Si 1.22 … 1.67 Å against 2.3 Å), and is a part of the model:
added to predictions, and subtracted from energies, forces and stresses before training.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from aga.errors import InputError
from aga.potential.batch import Batch
from aga.potential.jit import compiled
from aga.potential.neighbours import PairArrays, Pairs
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["INNER", "OUTER", "Repelled", "Repulsion", "repelled"]

INNER, OUTER = 0.55, 0.75
"""Sums of covalent radii: below the first the repulsion is whole, above the second zero."""

_COULOMB = 14.399645478425668
"""e²/(4π ε₀) in eV Å."""

_BOHR = 0.529177210903
_SHARE = np.array([0.18175, 0.50986, 0.28022, 0.02817])
_DECAY = np.array([3.19980, 0.94229, 0.40290, 0.20162])


class _Tables(NamedTuple):
    """(E, E) for each pair of elements: Z Z' e² in eV Å, screening length and switch in Å."""

    charge: FloatArray
    screening: FloatArray
    inner: FloatArray
    outer: FloatArray


class Repelled(NamedTuple):
    """Repulsion of a batch: (B,) eV, (N, 3) ∂E/∂R in eV/Å, (B, 3, 3) ∂E/∂ε in eV.

    ``atomic`` (N,) eV: half of each pair's for either atom.
    """

    energies: FloatArray
    gradient: FloatArray
    strain: FloatArray
    atomic: FloatArray


@dataclass(frozen=True, slots=True)
class Repulsion:
    """Universal screened repulsion of nuclei, switched off inside the bond lengths.

    Parameters
    ----------
    elements
        Element symbols, in the order that numbered the pairs' species (alphabetical).
    inner, outer
        Sums of covalent radii: below the first the repulsion is whole, above the second zero.

    References
    ----------
    J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Solids
    (Pergamon, 1985); covalent radii of B. Cordero et al., Dalton Trans. 2832 (2008).
    """

    elements: tuple[str, ...]
    inner: float = INNER
    outer: float = OUTER

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        unknown = [symbol for symbol in self.elements if symbol not in atomic_numbers]
        if unknown or not 0.0 <= self.inner < self.outer:
            raise InputError(
                f"repulsion: elements {', '.join(self.elements)}, from {self.outer} to "
                f"{self.inner} sums of radii, make no sense"
            )

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "kind": "zbl",
            "elements": list(self.elements),
            "inner": self.inner,
            "outer": self.outer,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`.

        Raises
        ------
        aga.errors.InputError
            Another kind of repulsion.
        """
        if data["kind"] != "zbl":
            raise InputError(f"repulsion: no kind is called {data['kind']!r}; there is zbl")
        return cls(tuple(data["elements"]), float(data["inner"]), float(data["outer"]))

    @property
    def reach(self) -> float:
        """Distance in Å beyond which no pair repels."""
        return float(_tables(self).outer.max())

    def reach_of(self, first: str, second: str) -> float:
        """Distance in Å beyond which nuclei of these two elements do not repel."""
        s, t = self.elements.index(first), self.elements.index(second)
        return float(_tables(self).outer[s, t])

    def of_pair(
        self, first: str, second: str, distances: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Give energies in eV, and their slopes dE/dR in eV/Å, of two nuclei at distances in Å."""
        s, t = self.elements.index(first), self.elements.index(second)
        tables, outer = _tables(self), self.reach_of(first, second)
        values = [_pair(tables, s, t, r) if r < outer else (0.0, 0.0) for r in distances.tolist()]
        energies, slopes = np.array(values).reshape(-1, 2).T
        return energies, slopes

    def evaluate(self, batch: Batch, pairs: Pairs) -> Repelled:
        """Give the repulsion of every structure: energies, gradient (minus the forces), strain.

        Raises
        ------
        aga.errors.InputError
            The pairs end before the repulsion does.
        """
        if pairs.cutoff < self.reach:
            raise InputError(
                f"the cutoff of {pairs.cutoff} Å is below the reach of the repulsion, "
                f"{self.reach:.2f} Å, for {', '.join(self.elements)}",
                remedy=f"use a cutoff of at least {self.reach:.2f} Å",
            )
        atomic = np.zeros(len(pairs.starts))
        gradient = np.zeros((len(pairs.starts), 3))
        strain = np.zeros((pairs.structures, 3, 3))
        _evaluate(_tables(self), pairs.arrays, pairs.species, atomic, gradient, strain)
        return Repelled(batch.sum(atomic), gradient, strain, atomic)


def repelled(repulsion: Repulsion | None, batch: Batch, pairs: Pairs) -> Repelled:
    """Give the repulsion of every structure; zeros where there is none."""
    if repulsion is not None:
        return repulsion.evaluate(batch, pairs)
    structures, atoms = pairs.structures, len(pairs.starts)
    return Repelled(
        energies=np.zeros(structures),
        gradient=np.zeros((atoms, 3)),
        strain=np.zeros((structures, 3, 3)),
        atomic=np.zeros(atoms),
    )


@lru_cache(maxsize=64)
def _tables(repulsion: Repulsion) -> _Tables:
    Z = np.array([atomic_numbers[symbol] for symbol in repulsion.elements])
    bonds = covalent_radii[Z][:, None] + covalent_radii[Z][None, :]
    power = Z.astype(np.float64) ** 0.23
    return _Tables(
        charge=_COULOMB * np.outer(Z, Z).astype(np.float64),
        screening=0.8854 * _BOHR / (power[:, None] + power[None, :]),
        inner=repulsion.inner * bonds,
        outer=repulsion.outer * bonds,
    )


@compiled
def _pair(tables: _Tables, s: int, t: int, r: float) -> tuple[float, float]:
    """Give energy in eV and its slope in eV/Å of two nuclei."""
    a = tables.screening[s, t]
    screen, slope = 0.0, 0.0
    for n in range(4):
        term = _SHARE[n] * np.exp(-_DECAY[n] * r / a)
        screen += term
        slope -= _DECAY[n] / a * term
    coulomb = tables.charge[s, t] / r
    energy, derivative = coulomb * screen, coulomb * (slope - screen / r)
    inner, outer = tables.inner[s, t], tables.outer[s, t]
    if r > inner:  # a quintic with two continuous derivatives at both ends
        x = (r - inner) / (outer - inner)
        switch = 1.0 - x * x * x * (10.0 - x * (15.0 - 6.0 * x))
        fall = -30.0 * x * x * (1.0 - x) * (1.0 - x) / (outer - inner)
        derivative = derivative * switch + energy * fall
        energy *= switch
    return energy, derivative


@compiled
def _evaluate(
    tables: _Tables,
    pairs: PairArrays,
    species: IntArray,
    atomic: FloatArray,
    gradient: FloatArray,
    strain: FloatArray,
) -> None:
    """Add half of each pair's share, for every pair is listed from both sides."""
    for i in range(len(pairs.starts)):
        for p in range(pairs.starts[i, 0], pairs.starts[i, -1]):
            j = pairs.second[p]
            vector = pairs.vectors[p]
            r = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
            if r >= tables.outer[species[i], species[j]]:
                continue
            energy, slope = _pair(tables, species[i], species[j], r)
            atomic[i] += 0.5 * energy
            for a in range(3):
                f = 0.5 * slope * vector[a] / r
                gradient[i, a] -= f
                gradient[j, a] += f
                for b in range(3):
                    strain[pairs.owners[i], a, b] += f * vector[b]
