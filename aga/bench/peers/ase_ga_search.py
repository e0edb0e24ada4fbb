"""The genetic algorithm of ase-ga, with its own operators, on our relaxation and our counting.

M. Van den Bossche, H. Grönbeck, B. Hammer, J. Chem. Theory Comput. 14, 2797 (2018); the set-up is
that of its tutorial for crystals. An optional dependency, ``pip install aga[bench]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import niggli_reduce
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers

from aga.errors import GenerationError
from aga.rng import derive_seed
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Relaxed

__all__ = ["AseGaOptions", "search_with_ase_ga"]

BOUNDS: dict[str, list[float]] = {
    **{name: [35.0, 145.0] for name in ("phi", "chi", "psi")},
    **{name: [1.5, 50.0] for name in ("a", "b", "c")},
}
"""Of cells, degrees and Å; the tutorial's, but for shorter edges, which small atoms need."""

REJECTED = -1e9
"""Raw score of a structure whose cell is out of bounds or whose relaxation exploded."""

VOLUME_EVERY = 10
"""Candidates after which the operators learn the volume of the best anew."""

TRIES = 500
"""Offspring that operators may fail to breed before the search is given up."""

START_CELLS, START_POSITIONS = 50, 20_000
"""Cells tried for a random structure, and positions for its atoms in each."""

Relax = Callable[[Candidate], Relaxed]


@dataclass(frozen=True, slots=True, kw_only=True)
class AseGaOptions:
    """What the search is about.

    ``counts`` atoms of each element; ``volume`` of the first cells in Å³; ``distance_factor``
    shortest distance in sums of covalent radii; ``population`` its size and the number of random
    structures at the start; ``seed``; ``folder`` for the database.
    """

    counts: dict[str, int]
    volume: float
    distance_factor: float
    population: int
    seed: int
    folder: Path


def search_with_ase_ga(options: AseGaOptions, relax: Relax) -> None:
    """Search until ``relax`` ends it by an exception.

    Parameters
    ----------
    options
        What is searched.
    relax
        Relaxes one structure; what it raises ends the search.

    Raises
    ------
    aga.errors.GenerationError
        It finds no structures to relax.
    """
    from ase_ga.data import DataConnection, PrepareDB  # noqa: PLC0415 - optional
    from ase_ga.population import Population  # noqa: PLC0415 - optional

    tools = _Tools(options)
    path = str(options.folder / "ase-ga.db")
    database = PrepareDB(db_file_name=path, simulation_cell=tools.slab, stoichiometry=tools.numbers)
    for _ in range(options.population):
        database.add_unrelaxed_candidate(tools.first())
    connection = DataConnection(path)
    while connection.get_number_of_unrelaxed_candidates() > 0:
        _relaxed(connection, connection.get_an_unrelaxed_candidate(), relax, tools)
    population = Population(
        data_connection=connection,
        population_size=options.population,
        comparator=tools.comparator(),
        rng=tools.rng,
    )
    step = 0
    while True:
        if step % VOLUME_EVERY == 0:
            tools.learn_volume(population.get_current_population(), first=step == 0)
        step += 1
        child = _child(population, tools)
        connection.add_unrelaxed_candidate(*child)
        _relaxed(connection, child[0], relax, tools)
        population.update()


class _Tools:
    """Operators, start generator and comparator, all with one random stream."""

    def __init__(self, options: AseGaOptions) -> None:
        from ase_ga import startgenerator, utilities  # noqa: PLC0415 - optional

        self.numbers = [
            atomic_numbers[el] for el, n in sorted(options.counts.items()) for _ in range(n)
        ]
        # ase-ga asks for randint, which numpy's new generators don't have.
        seed = derive_seed(options.seed, "ase-ga") % 2**32
        self.rng = np.random.RandomState(seed)
        self.slab = Atoms("", pbc=True)
        kinds = sorted(set(self.numbers))
        shortest = utilities.closest_distances_generator(kinds, options.distance_factor)
        self.bounds = utilities.CellBounds(BOUNDS)
        self.start = startgenerator.StartGenerator(
            self.slab,
            self.numbers,
            shortest,
            box_volume=options.volume,
            number_of_variable_cell_vectors=3,
            cellbounds=self.bounds,
            splits={(2,): 1, (1,): 1},
            rng=self.rng,
        )
        self.cells: list[Any] = []
        self.operators = self._operators(kinds, shortest)

    def _operators(self, kinds: list[int], shortest: dict[tuple[int, int], float]) -> Any:  # noqa: ANN401 - ase-ga is untyped
        """Give the tutorial's operators and shares; with several elements permutations too."""
        from ase_ga import (  # noqa: PLC0415 - optional
            cutandsplicepairing,
            offspring_creator,
            soft_mutation,
            standardmutations,
            utilities,
        )

        cell = {"number_of_variable_cell_vectors": 3, "cellbounds": self.bounds, "rng": self.rng}
        top = len(self.numbers)
        pairing = cutandsplicepairing.CutAndSplicePairing(
            self.slab, top, shortest, p1=1.0, p2=0.0, minfrac=0.15, **cell
        )
        strain = standardmutations.StrainMutation(shortest, stddev=0.7, **cell)
        soft = soft_mutation.SoftMutation(
            utilities.closest_distances_generator(kinds, 0.1),
            bounds=[2.0, 5.0],
            used_modes_file=None,
        )
        rattle = standardmutations.RattleMutation(shortest, top, rng=self.rng)
        self.cells = [pairing, strain]
        shares, chosen = [4.0, 3.0, 3.0, 1.0], [pairing, soft, strain, rattle]
        if len(kinds) > 1:
            swap = standardmutations.PermutationMutation(top, blmin=shortest, rng=self.rng)
            both = standardmutations.PermuStrainMutation(swap, strain)
            shares, chosen = [*shares, 1.5, 1.5], [*chosen, swap, both]
        return offspring_creator.OperationSelector(shares, chosen, rng=self.rng)

    def first(self) -> Atoms:
        """Give a random structure.

        Raises
        ------
        aga.errors.GenerationError
            The atoms don't fit.
        """
        for _ in range(START_CELLS):
            try:
                atoms = self.start.get_new_candidate(maxiter=START_POSITIONS)
            except AssertionError:  # its repeated boxes may bring atoms too close
                continue
            if atoms is not None:
                return atoms
        raise GenerationError(f"ase-ga found no random structure in {START_CELLS} cells")

    def comparator(self) -> Any:  # noqa: ANN401 - ase-ga is untyped
        """Give its fingerprint comparator as the tutorial has it."""
        from ase_ga.ofp_comparator import OFPComparator  # noqa: PLC0415 - optional

        return OFPComparator(
            n_top=len(self.numbers),
            dE=1.0,
            cos_dist_max=1e-3,
            rcut=10.0,
            binwidth=0.05,
            pbc=[True, True, True],
            sigma=0.05,
            nsigma=4,
            recalculate=False,
        )

    def learn_volume(self, population: list[Atoms], *, first: bool) -> None:
        """Let the operators that make cells aim at the volume of the best."""
        for operator in self.cells:
            operator.update_scaling_volume(population, w_adapt=1.0 if first else 0.5, n_adapt=4)


def _child(population: Any, tools: _Tools) -> tuple[Atoms, str]:  # noqa: ANN401 - ase-ga is untyped
    """Breed one candidate; operators that find none are tried again, as in the tutorial.

    Raises
    ------
    aga.errors.GenerationError
        None of :data:`TRIES` gave a candidate, or there are no two parents.
    """
    for _ in range(TRIES):
        parents = population.get_two_candidates()
        if parents is None:
            break
        try:
            child, description = tools.operators.get_new_individual(parents)
        except IndexError:  # the soft mutation has used up the modes of this parent
            continue
        if child is not None:
            return child, description
    raise GenerationError(f"ase-ga found no offspring in {TRIES} tries")


def _relaxed(connection: Any, atoms: Atoms, relax: Relax, tools: _Tools) -> None:  # noqa: ANN401 - ase-ga is untyped
    """Relax a candidate and hand it back with its score."""
    candidate = Candidate.from_ase(
        atoms, name=f"a{atoms.info['confid']:05d}", lineage=Lineage(operator="ase-ga")
    )
    found = relax(candidate)
    atoms.set_cell(found.candidate.cell, scale_atoms=False)
    atoms.set_positions(found.candidate.positions)
    good = found.reason != "exploded" and np.isfinite(found.enthalpy)
    if not tools.bounds.is_within_bounds(atoms.get_cell()):
        niggli_reduce(atoms)
        good = good and tools.bounds.is_within_bounds(atoms.get_cell())
    atoms.wrap()
    energy = found.enthalpy if good else -REJECTED
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((len(atoms), 3)))
    atoms.info.setdefault("key_value_pairs", {})["raw_score"] = -energy
    connection.add_relaxed_step(atoms)
