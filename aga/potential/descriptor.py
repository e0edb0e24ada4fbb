"""The descriptor: symmetry functions of packed structures, and their derivatives.

Signs and shapes, once for all: N atoms of B structures, D functions. A *gradient* is ∂E/∂R, so
forces are its negative. ε deforms atoms and cell together, r → (1 + ε) r; ∂E/∂ε is symmetric,
its trace part positive where E grows with volume, and stress = (∂E/∂ε)/V in ASE's sign.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from aga.potential import kernels, tangents
from aga.potential.batch import Batch
from aga.potential.functions import FunctionSet
from aga.potential.neighbours import Pairs, find_pairs
from aga.potential.plan import make_plan
from aga.structure.candidate import FloatArray

__all__ = ["Descriptor"]


class Descriptor:
    """Symmetry functions G (N, D) of a batch, with exact derivatives.

    Parameters
    ----------
    functions
        The set; its order is the order of the columns of G.

    References
    ----------
    J. Behler, J. Chem. Phys. 134, 074106 (2011).
    """

    def __init__(self, functions: FunctionSet) -> None:
        self.functions = functions
        self._plan = make_plan(functions)

    @property
    def size(self) -> int:
        """Number of functions per atom, D."""
        return self.functions.size

    def pairs(self, batch: Batch) -> Pairs:
        """List the neighbours within the cutoff.

        Raises
        ------
        aga.errors.StructureError
            An element is not in the set (named), two atoms stand closer than 1e−3 Å, a number
            is not finite or the cell has collapsed; ``facts["index"]`` is the structure's place.
        """
        return find_pairs(batch, self.functions.cutoff, self.functions.numbers)

    def values(self, pairs: Pairs) -> FloatArray:
        """Give G (N, D)."""
        return self.values_and_moments(pairs)[0]

    def values_and_moments(self, pairs: Pairs) -> tuple[FloatArray, FloatArray]:
        """Give G (N, D), and the moments, which spare the derivatives half their work."""
        plan = self._plan
        atoms, elements = len(pairs.starts), len(self.functions.elements)
        G = np.zeros((atoms, self.size))
        moments = np.empty((atoms, elements, len(plan.etas), len(plan.weights) + 1))
        kernels.values(plan, pairs.arrays, G, moments)
        return G, moments

    def vjp(
        self, pairs: Pairs, adjoints: FloatArray, moments: FloatArray | None = None
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
        gradient = np.zeros((len(stack), len(pairs.starts), 3))
        strain = np.zeros((len(stack), pairs.structures, 3, 3))
        kernels.vjp(self._plan, pairs.arrays, moments, stack, gradient, strain)
        strain = 0.5 * (strain + np.swapaxes(strain, -1, -2))
        return (gradient[0], strain[0]) if adjoints.ndim == 2 else (gradient, strain)

    def jvp(
        self,
        pairs: Pairs,
        displacements: FloatArray,
        strains: FloatArray | None = None,
        moments: FloatArray | None = None,
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
        tangents.jvp(self._plan, pairs.arrays, moments, steps, dG)
        return dG

    def jacobian(self, pairs: Pairs, moments: FloatArray | None = None) -> list[FloatArray]:
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
        result = []
        for a, b in pairwise(bounds):
            out = np.zeros((b - a, self.size, 3 * (b - a) + 6))
            tangents.jacobian(self._plan, pairs.arrays, a, moments, out)
            result.append(out)
        return result
