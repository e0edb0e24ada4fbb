"""The descriptor: symmetry functions of packed structures, and their derivatives.

Signs and shapes, once for all: N atoms of B structures, D functions. A *gradient* is ∂E/∂R, so
forces are its negative. ε deforms atoms and cell together, r → (1 + ε) r; ∂E/∂ε is symmetric,
its trace part positive where E grows with volume, and stress = (∂E/∂ε)/V in ASE's sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from aga.potential.batch import Batch
from aga.potential.neighbours import Pairs, find_pairs
from aga.potential.symmetry import kernels, tangents, triplet_tangents, triplets
from aga.potential.symmetry.functions import FunctionSet
from aga.potential.symmetry.plan import Plan, make_plan
from aga.potential.symmetry.triplet_plan import TripletPlan, make_triplet_plan
from aga.potential.threads import Threads, dealt
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Descriptor", "Moments"]

Moments = tuple[FloatArray, ...]
"""What :meth:`Descriptor.values_and_moments` leaves for the derivatives; opaque."""


@dataclass(frozen=True, slots=True)
class _Centre:
    """Central elements, by their places, that have the same functions."""

    species: tuple[int, ...]
    plan: Plan | None
    """Radial functions and angular ones by moments."""
    triplets: TripletPlan | None
    """The other angular functions."""
    every: bool
    """No other elements are in the set."""

    def atoms(self, pairs: Pairs) -> IntArray:
        """Give the atoms of these elements."""
        if self.every:
            return np.arange(len(pairs.species))
        return np.flatnonzero(np.isin(pairs.species, self.species))


def _centre(functions: FunctionSet, species: tuple[int, ...], *, every: bool) -> _Centre:
    symbol = functions.elements[species[0]]
    plan = make_plan(functions, symbol)
    return _Centre(
        species,
        plan if len(plan.cutoffs) else None,
        make_triplet_plan(functions, symbol),
        every=every,
    )


def _values(
    centre: _Centre, pairs: Pairs, arrays: tuple[IntArray, FloatArray, FloatArray], part: slice
) -> None:
    """Write the rows of G of some atoms of a kind, and their moments."""
    atoms, moments, G = arrays
    if centre.plan is not None:
        kernels.values(centre.plan, pairs.arrays, atoms[part], G, moments[part])
    if centre.triplets is not None:
        triplets.values(centre.triplets, pairs.arrays, atoms[part], G)


def _pull(
    centre: _Centre, pairs: Pairs, arrays: tuple[IntArray, FloatArray, FloatArray], part: slice
) -> tuple[FloatArray, FloatArray]:
    """Give what some atoms of a kind add to gradient (M, N, 3) and strain (M, B, 3, 3)."""
    atoms, moments, stack = arrays
    gradient = np.zeros((len(stack), len(pairs.starts), 3))
    strain = np.zeros((len(stack), pairs.structures, 3, 3))
    if centre.plan is not None:
        A = moments[part]
        kernels.vjp(centre.plan, pairs.arrays, atoms[part], A, stack, gradient, strain)
    if centre.triplets is not None:
        triplets.vjp(centre.triplets, pairs.arrays, atoms[part], stack, gradient, strain)
    return gradient, strain


class Descriptor:
    """Symmetry functions G (N, D) of a batch, with exact derivatives.

    Parameters
    ----------
    functions
        The set; its order is the order of the columns of G.
    threads
        Who works on the values and on their pull-back; one thread where None.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def __init__(self, functions: FunctionSet, threads: Threads | None = None) -> None:
        self.functions = functions
        self._threads = threads or Threads()
        self._size, self._numbers = functions.size, functions.numbers
        shared: dict[tuple[object, ...], list[int]] = {}
        for species, symbol in enumerate(functions.elements):
            shared.setdefault(functions.of(symbol), []).append(species)
        self._centres = [
            _centre(functions, tuple(species), every=len(shared) == 1)
            for species in shared.values()
        ]

    @property
    def size(self) -> int:
        """Number of functions per atom, D."""
        return self._size

    def pairs(self, batch: Batch) -> Pairs:
        """List the neighbours within the cutoff.

        Raises
        ------
        aga.errors.StructureError
            An element is not in the set (named), two atoms stand closer than 1e−3 Å, a number
            is not finite or the cell has collapsed; ``facts["index"]`` is the structure's place.
        """
        return find_pairs(batch, self.functions.cutoff, self._numbers)

    def values(self, pairs: Pairs) -> FloatArray:
        """Give G (N, D)."""
        return self.values_and_moments(pairs)[0]

    def values_and_moments(self, pairs: Pairs) -> tuple[FloatArray, Moments]:
        """Give G (N, D), and the moments, which spare the derivatives half their work."""
        G = np.zeros((len(pairs.starts), self.size))
        moments = []
        for centre in self._centres:
            atoms = centre.atoms(pairs)
            A = self._room(centre.plan, len(atoms))
            self._threads.map(partial(_values, centre, pairs, (atoms, A, G)), self._deal(atoms))
            moments.append(A)
        return G, tuple(moments)

    def _deal(self, atoms: IntArray) -> list[slice]:
        return dealt(len(atoms), self._threads.count)

    def _room(self, plan: Plan | None, atoms: int) -> FloatArray:
        elements = len(self.functions.elements)
        if plan is None:
            return np.empty((0, elements, 0, 0))
        return np.empty((atoms, elements, len(plan.channels), len(plan.weights) + 1))

    def vjp(
        self, pairs: Pairs, adjoints: FloatArray, moments: Moments | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Pull ∂E/∂G back to positions and strain.

        Parameters
        ----------
        pairs
            Neighbours of the batch.
        adjoints
            (N, D) ∂E/∂G, or (M, N, D) for M energies at once: the neighbourhoods are worked out
            once for all M. The forces of a mean energy need only the mean adjoint.
        moments
            Those of :meth:`values_and_moments`; computed again where None.

        Returns
        -------
        gradient, strain
            ∂E/∂R (N, 3) or (M, N, 3), and ∂E/∂ε (B, 3, 3) or (M, B, 3, 3), symmetric.
        """
        if moments is None:
            moments = self.values_and_moments(pairs)[1]
        stack = np.ascontiguousarray(adjoints, dtype=np.float64).reshape(-1, *adjoints.shape[-2:])
        gradient: FloatArray = np.zeros((len(stack), len(pairs.starts), 3))
        strain: FloatArray = np.zeros((len(stack), pairs.structures, 3, 3))
        for centre, A in zip(self._centres, moments, strict=True):
            atoms = centre.atoms(pairs)
            parts = self._threads.map(
                partial(_pull, centre, pairs, (atoms, A, stack)), self._deal(atoms)
            )
            for slope, squeeze in parts:
                gradient += slope
                strain += squeeze
        strain = 0.5 * (strain + np.swapaxes(strain, -1, -2))
        return (gradient[0], strain[0]) if adjoints.ndim == 2 else (gradient, strain)

    def jvp(
        self,
        pairs: Pairs,
        displacements: FloatArray,
        strains: FloatArray | None = None,
        moments: Moments | None = None,
    ) -> FloatArray:
        """Give dG (N, D) for displacements dR (N, 3) in Å and strains dε (B, 3, 3).

        The transpose of :meth:`vjp`: Σ g·jvp(dR, dε) = Σ gradient·dR + Σ strain·dε; an
        antisymmetric part of dε is a rotation and changes nothing.
        """
        if moments is None:
            moments = self.values_and_moments(pairs)[1]
        first = pairs.first
        steps = displacements[pairs.second] - displacements[first]
        if strains is not None:
            steps = steps + np.einsum("pab,pb->pa", strains[pairs.owners[first]], pairs.vectors)
        dG = np.zeros((len(pairs.starts), self.size))
        for centre, A in zip(self._centres, moments, strict=True):
            atoms = centre.atoms(pairs)
            if centre.plan is not None:
                tangents.jvp(centre.plan, pairs.arrays, atoms, A, steps, dG)
            if centre.triplets is not None:
                triplet_tangents.jvp(centre.triplets, pairs.arrays, atoms, steps, dG)
        return dG

    def jacobian(self, pairs: Pairs, moments: Moments | None = None) -> list[FloatArray]:
        """Give dG/d(R, ε), dense, for each structure: for training on small cells.

        Returns
        -------
        list of arrays (n, D, 3n + 6)
            Column 3j + a is ∂/∂R_ja; the last six are the strains in Voigt order (xx, yy, zz,
            yz, xz, xy), shears counted as one component of a symmetric ε: contracted with ∂E/∂G
            over the first two axes they give the stress times the volume.
        """
        if moments is None:
            moments = self.values_and_moments(pairs)[1]
        bounds = np.searchsorted(pairs.owners, np.arange(pairs.structures + 1))
        result = [np.zeros((b - a, self.size, 3 * (b - a) + 6)) for a, b in pairwise(bounds)]
        for centre, A in zip(self._centres, moments, strict=True):
            atoms = centre.atoms(pairs)
            places = np.searchsorted(atoms, bounds)
            for begin, (a, b), out in zip(bounds[:-1], pairwise(places), result, strict=True):
                own = atoms[a:b]
                if centre.plan is not None:
                    tangents.jacobian(centre.plan, pairs.arrays, own, begin, A[a:b], out)
                if centre.triplets is not None:
                    triplet_tangents.jacobian(centre.triplets, pairs.arrays, own, begin, out)
        return result
