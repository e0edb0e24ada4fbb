"""The genetic algorithm alone, on a pair potential of a few lines: no committee, no reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from matscipy.neighbours import neighbour_list
from scipy.optimize import minimize

from aga.config import SearchSettings
from aga.rng import stream
from aga.search.individual import describe
from aga.search.initial import initial_structures
from aga.search.operators import OPERATORS
from aga.search.population import Population, merge
from aga.search.propose import propose
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.geometry import DistanceLimits
from aga.structure.protocols import Relaxed
from aga.structure.random_crystal import random_atoms
from aga.structure.symmetry import space_group

CUTOFF = 6.0
DEPTH, WIDTH = 0.3, 1.4
LENGTHS = {(13, 13): 2.8, (13, 28): 2.5, (28, 28): 2.6}
"""Å; unlike atoms are the closest and (below) bound twice as strongly: an ordering alloy."""


class Morse:
    """Relaxes by L-BFGS on a Morse potential D[(1 − exp(−a(r − r₀)))² − 1], cut off smoothly."""

    def energy(self, candidate: Candidate) -> tuple[float, FloatArray, FloatArray]:
        """Give energy (eV), forces (n, 3) and the virial −dE/dε (3, 3)."""
        i, j, d, vector = neighbour_list(
            "ijdD",
            cutoff=CUTOFF,
            positions=np.array(candidate.positions),
            cell=np.array(candidate.cell),
            pbc=np.ones(3, dtype=bool),
        )
        z = np.sort(np.stack([candidate.numbers[i], candidate.numbers[j]]), axis=0)
        length = np.array([LENGTHS[int(a), int(b)] for a, b in z.T])
        depth = DEPTH * np.where(z[0] == z[1], 1.0, 2.0)
        wave = np.exp(-WIDTH * (d - length))
        pair = depth * ((1 - wave) ** 2 - 1)
        slope = 2 * depth * WIDTH * wave * (1 - wave)
        cut = (1 - (d / CUTOFF) ** 2) ** 2
        cut_slope = -4 * d / CUTOFF**2 * (1 - (d / CUTOFF) ** 2)
        pull = (slope * cut + pair * cut_slope)[:, None] * vector / d[:, None]
        forces = np.zeros((len(candidate), 3))
        np.add.at(forces, i, pull)
        return 0.5 * float(pair @ cut), forces, -0.5 * vector.T @ pull

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        return [self._relax(one) for one in candidates]

    def _relax(self, one: Candidate) -> Relaxed:
        size = len(one)

        def shaped(x: FloatArray) -> tuple[Candidate, FloatArray]:
            # atoms first move in the undeformed cell, then everything is deformed
            stretch = np.eye(3) + x[3 * size :].reshape(3, 3)
            places = one.positions + x[: 3 * size].reshape(size, 3)
            return one.moved(places @ stretch, one.cell @ stretch), stretch

        def target(x: FloatArray) -> tuple[float, FloatArray]:
            moved, stretch = shaped(x)
            energy, forces, virial = self.energy(moved)
            by_stretch = -np.linalg.inv(stretch) @ virial
            return energy, np.concatenate([(-forces @ stretch.T).ravel(), by_stretch.ravel()])

        found = minimize(
            target, np.zeros(3 * size + 9), jac=True, method="L-BFGS-B", options={"maxiter": 80}
        )
        relaxed, _ = shaped(found.x)
        forces = self.energy(relaxed)[1]
        return Relaxed(
            candidate=relaxed,
            energy=float(found.fun),
            enthalpy=float(found.fun),
            energy_spread=0.0,
            force_spread=0.0,
            max_force=float(np.linalg.norm(forces, axis=1).max()),
            steps=int(found.nit),
            reason="converged",
        )


def evolve(
    first: Sequence[Candidate], settings: SearchSettings, generations: int
) -> list[Population]:
    """Give the population after each generation, the merged first structures at the start."""
    relaxer = Morse()
    start = [describe(one, settings) for one in relaxer.relax(first)]
    history = [merge(Population(), start, settings)]
    for generation in range(1, generations + 1):
        bred = propose(history[-1], settings, generation=generation)
        new = [describe(one, settings) for one in relaxer.relax(bred.candidates)]
        history.append(merge(history[-1], new, settings))
    return history


def best(population: Population) -> float:
    return population.individuals[0].enthalpy_per_atom


def ideal(atoms: Atoms) -> float:
    return Morse().relax([Candidate.from_ase(atoms, name="ideal")])[0].energy_per_atom


def test_the_relaxers_gradient_is_right() -> None:
    # the stand-in must itself be sound
    settings = SearchSettings(composition="NiAl", initial_structures=2)
    one = initial_structures(settings)[0]
    energy, forces, virial = Morse().energy(one)
    step = 1e-5
    for atom, axis in [(0, 0), (2, 1)]:
        moved = np.array(one.positions)
        moved[atom, axis] += step
        slope = (Morse().energy(one.moved(moved))[0] - energy) / step
        assert slope == pytest.approx(-forces[atom, axis], rel=1e-3, abs=1e-3)
    stretch = np.eye(3)
    stretch[0, 1] += step
    strained = one.moved(one.positions @ stretch, one.cell @ stretch)
    slope = (Morse().energy(strained)[0] - energy) / step
    assert slope == pytest.approx(-virial[0, 1], rel=1e-3, abs=1e-3)


def test_breeding_alone_lowers_the_energy_down_to_the_ordered_alloy() -> None:
    # no immigrants and no symmetry to start from: only the operators can find the order
    settings = SearchSettings(
        composition="NiAl",
        formula_units=4,
        seed=1,
        population_size=8,
        offspring=8,
        operators={"random": 0.0},
    )
    limits = DistanceLimits.from_settings(settings)
    first = [
        random_atoms(
            settings.atom_counts(),
            stream(settings.seed, "first", k),
            volume=100.0,
            limits=limits,
            name=f"i000-{k:03d}",
        )
        for k in range(3)
    ]
    history = evolve(first, settings, 3)
    energies = [best(population) for population in history]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < energies[0] - 0.01
    caesium_chloride = ideal(bulk("NiAl", "cesiumchloride", a=2.9))
    assert energies[-1] == pytest.approx(caesium_chloride, abs=0.002)
    assert space_group(history[-1].individuals[0].candidate, 0.05).number == 221
    assert history[-1].individuals[0].candidate.lineage.operator in OPERATORS
    assert 2 <= len(history[-1]) <= 8


def test_one_seed_one_history() -> None:
    settings = SearchSettings(
        composition="Al4", initial_structures=4, offspring=5, population_size=4, seed=1
    )
    first = initial_structures(settings)
    one, again = (evolve(first, settings, 2)[-1] for _ in range(2))
    assert [i.name for i in one.individuals] == [i.name for i in again.individuals]
    assert best(one) == best(again)
    close_packed = ideal(bulk("Al", "fcc", a=4.0))
    assert best(one) <= close_packed + 0.002
