"""What the Deep Potential descriptors share: from pairs to atoms and structures."""

from __future__ import annotations

import numpy as np

from aga.potential.neighbours import Pairs
from aga.structure.candidate import FloatArray

__all__ = ["distances", "gather_back"]


def distances(pairs: Pairs) -> FloatArray:
    """Give the length (P,) of every pair in Å."""
    lengths: FloatArray = np.sqrt(np.einsum("px,px->p", pairs.vectors, pairs.vectors))
    return lengths


def gather_back(pairs: Pairs, forces: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Turn ∂E/∂(pair vector) into derivatives by positions and strain.

    Parameters
    ----------
    pairs
        P pairs of N atoms in B structures.
    forces
        (M, P, 3) eV/Å, of M energies.

    Returns
    -------
    gradient, strain
        ∂E/∂R (M, N, 3) in eV/Å; ∂E/∂ε (M, B, 3, 3) in eV, symmetric: Σ f ⊗ r over the pairs.
    """
    atoms, first = len(pairs.starts), pairs.first
    structure = pairs.owners[first]
    gradient = np.empty((len(forces), atoms, 3))
    strain = np.empty((len(forces), pairs.structures, 3, 3))
    for member, force in enumerate(forces):
        for a in range(3):
            pull = np.bincount(pairs.second, weights=force[:, a], minlength=atoms)
            push = np.bincount(first, weights=force[:, a], minlength=atoms)
            gradient[member, :, a] = pull - push
            for b in range(3):
                strain[member, :, a, b] = np.bincount(
                    structure, weights=force[:, a] * pairs.vectors[:, b], minlength=pairs.structures
                )
    return gradient, 0.5 * (strain + np.swapaxes(strain, -1, -2))
