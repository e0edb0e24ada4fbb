"""What the members of a committee say, put together: the mean, and how far they are apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aga.potential.batch import Batch, stress_from_strain
from aga.potential.guard import Repelled
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Prediction

__all__ = ["Votes", "predictions", "totals"]


class Votes(NamedTuple):
    """M members on N atoms of B structures, without the repulsion.

    ``atomic`` (M, N) eV; ``gradient`` (M, N, 3) ∂E/∂R in eV/Å; ``strain`` (M, B, 3, 3) ∂E/∂ε in
    eV.
    """

    atomic: FloatArray
    gradient: FloatArray
    strain: FloatArray


def totals(atomic: FloatArray, batch: Batch) -> FloatArray:
    """Sum (M, N) energies of atoms to those of structures, (M, B)."""
    sums: FloatArray = np.add.reduceat(atomic, batch.offsets[:-1], axis=1)
    return sums


def predictions(batch: Batch, votes: Votes, repulsion: Repelled) -> list[Prediction]:
    """Give mean and spread for each structure; standard deviations divide by M."""
    energies = totals(votes.atomic, batch)
    mean = energies.mean(axis=0) + repulsion.energies
    shares = votes.atomic.mean(axis=0) + repulsion.atomic
    spread = energies.std(axis=0) / batch.counts
    forces = -(votes.gradient.mean(axis=0) + repulsion.gradient)
    deviation = np.linalg.norm(votes.gradient.std(axis=0), axis=1)
    stress = stress_from_strain(votes.strain.mean(axis=0) + repulsion.strain, batch.volumes)
    return [
        Prediction(
            energy=float(mean[b]),
            energies=shares[start:end],
            energy_spread=float(spread[b]),
            forces=forces[start:end],
            forces_spread=deviation[start:end],
            force_spread=float(deviation[start:end].max()),
            stress=stress[b],
        )
        for b, (start, end) in enumerate(zip(batch.offsets[:-1], batch.offsets[1:], strict=True))
    ]
