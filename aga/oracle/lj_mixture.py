"""Mixtures of Lennard-Jones particles: parameters for each pair of elements.

4ε[(σ/r)¹² − (σ/r)⁶], cut at a multiple of σ and shifted in energy and force, so that both are
continuous there (Stoddard & Ford, Phys. Rev. A 8, 1504, 1973).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Annotated, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.data import atomic_numbers
from ase.stress import full_3x3_to_voigt_6_stress
from matscipy.neighbours import neighbour_list
from pydantic import Field

from aga.config.base import Positive
from aga.config.composition import ElementPair
from aga.config.schema import MachineSettings
from aga.errors import Problem
from aga.oracle.ase_engine import AseEngine
from aga.oracle.base import EngineOptions
from aga.structure.candidate import FloatArray

__all__ = ["LjCalculator", "LjMixture", "LjMixtureOptions"]

Pair = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]


class LjMixtureOptions(EngineOptions):
    """Parameters of the pairs."""

    pairs: dict[ElementPair, Pair] = Field(
        default_factory=dict,
        description="ε in eV and σ in Å of each pair, e.g. {Ar-Ar: [0.0103, 3.405]}",
    )
    cutoff: Positive = Field(3.0, description="in σ of the pair")

    def table(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Give the parameters by pair of elements in alphabetical order."""
        return {_ordered(*key.split("-")): value for key, value in self.pairs.items()}


class LjCalculator(Calculator):  # type: ignore[misc] # ASE is untyped here
    """Lennard-Jones between any elements as an ASE calculator.

    Parameters
    ----------
    pairs
        ε in eV and σ in Å by pair of elements in alphabetical order.
    cutoff
        In σ of each pair.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces", "stress"]

    def __init__(
        self, pairs: Mapping[tuple[str, str], tuple[float, float]], cutoff: float = 3.0
    ) -> None:
        super().__init__()
        self.elements = sorted({element for pair in pairs for element in pair})
        size = len(self.elements)
        self.epsilon, self.sigma = np.zeros((size, size)), np.ones((size, size))
        for (a, b), (epsilon, sigma) in pairs.items():
            i, j = self.elements.index(a), self.elements.index(b)
            self.epsilon[[i, j], [j, i]] = epsilon
            self.sigma[[i, j], [j, i]] = sigma
        self.cutoff = cutoff
        self.index = np.zeros(120, dtype=np.int64)
        self.index[[atomic_numbers[el] for el in self.elements]] = np.arange(size)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
    ) -> None:
        """Fill ``results``: energy (eV), forces (eV/Å), stress (eV/Å³, Voigt)."""
        super().calculate(atoms, properties, system_changes)
        kinds = self.index[self.atoms.get_atomic_numbers()]
        i, j, r, D = neighbour_list("ijdD", self.atoms, float(self.cutoff * self.sigma.max()))
        near = r < self.cutoff * self.sigma[kinds[i], kinds[j]]
        i, j, r, D = i[near], j[near], r[near], D[near]
        value, slope = self._pair(
            r, self.epsilon[kinds[i], kinds[j]], self.sigma[kinds[i], kinds[j]]
        )
        # Each pair stands twice in the list, once from either side.
        pull = slope[:, None] * D / r[:, None]
        forces = np.zeros((len(kinds), 3))
        np.add.at(forces, i, pull)
        energy = 0.5 * float(value.sum())
        stress = 0.5 * np.einsum("pi,pj->ij", pull, D) / self.atoms.get_volume()
        self.results = {
            "energy": energy,
            "free_energy": energy,
            "forces": forces,
            "stress": full_3x3_to_voigt_6_stress(stress),
        }

    def _pair(
        self, r: FloatArray, epsilon: FloatArray, sigma: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Give energy (eV) and slope (eV/Å) of pairs at distances ``r`` (Å)."""
        end = self.cutoff * sigma
        value, slope = _plain(r, epsilon, sigma)
        last, last_slope = _plain(end, epsilon, sigma)
        return value - last - (r - end) * last_slope, slope - last_slope


class LjMixture(AseEngine):
    """Lennard-Jones potentials with the parameters of the options."""

    name = "lj-mixture"
    Options: ClassVar[type[EngineOptions]] = LjMixtureOptions

    @classmethod
    def check(
        cls,
        options: Any,  # noqa: ANN401 - LjMixtureOptions
        machine: MachineSettings,
        composition: Mapping[str, int],
    ) -> list[Problem]:
        """Say which pairs of elements have no parameters."""
        del machine
        known = options.table()
        pairs = combinations_with_replacement(sorted(composition), 2)
        missing = [f"{a}-{b}" for a, b in pairs if (a, b) not in known]
        if not missing:
            return []
        return [
            Problem(
                key="oracle.options.pairs",
                message=f"lj-mixture has no parameters for {', '.join(missing)}",
                hint=f"write the well's depth in eV and σ in Å, e.g. {missing[0]}: [0.0103, 3.405]",
            )
        ]

    def calculator(self) -> Calculator:
        """Give the calculator with the parameters of the options."""
        return LjCalculator(self.options.table(), self.options.cutoff)


def _ordered(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first <= second else (second, first)


def _plain(r: FloatArray, epsilon: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give 4ε[(σ/r)¹² − (σ/r)⁶] and its slope."""
    x = (sigma / r) ** 6
    return 4 * epsilon * (x * x - x), 24 * epsilon * (x - 2 * x * x) / r
