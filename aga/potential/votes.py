"""What the members of a committee say, put together: the mean, and how far they are apart.

Mean of the members is the prediction; their standard deviation is the uncertainty
(query by committee: Seung, Opper, Sompolinsky, COLT 1992).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from aga.errors import ModelError
from aga.potential.batch import Batch, Evaluation, stress_from_strain
from aga.potential.guard import Repelled, Repulsion
from aga.potential.threads import Threads, evaluate_parts
from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.protocols import Prediction

__all__ = ["Votes", "VotingCommittee", "Want"]

Want = Literal["energies", "mean", "each"]
"""The derivatives that are wanted: none, those of the mean (as M = 1), or each member's."""


class Member(Protocol):
    """What every kind of model has."""

    @property
    def repulsion(self) -> Repulsion | None:
        """The part of the energy that all members share."""
        ...

    @property
    def traits(self) -> tuple[object, ...]:
        """What must be the same for all members of a committee."""
        ...

    def check_numbers(self, numbers: IntArray, name: str) -> None:
        """Refuse an element without a network."""
        ...


M = TypeVar("M", bound=Member)


class Votes(NamedTuple):
    """M members on N atoms of B structures, without the repulsion.

    ``atomic`` (M, N) eV; ``gradient`` (A, N, 3) ∂E/∂R in eV/Å and ``strain`` (A, B, 3, 3) ∂E/∂ε
    in eV, where A is 0, 1 or M as wanted.
    """

    atomic: FloatArray
    gradient: FloatArray
    strain: FloatArray


class VotingCommittee(ABC, Generic[M]):
    """M members evaluated together; standard deviations divide by M.

    Parameters
    ----------
    models
        The members, alike in their traits.
    version
        Name of the committee, for provenance.
    threads
        Cores that work on a batch.

    Raises
    ------
    aga.errors.ModelError
        No member, or members that do not fit together.
    """

    def __init__(self, models: Sequence[M], version: str = "", *, threads: int = 1) -> None:
        if not models:
            raise ModelError("a committee needs at least one member")
        for number, model in enumerate(models):
            if model.traits != models[0].traits:
                raise ModelError(
                    f"member {number} does not fit the first: descriptor, layers, activation and "
                    "repulsion of all members must be the same",
                    member=number,
                )
        self.models = tuple(models)
        self.version = version
        self.threads = Threads(threads)
        self.repulsion = models[0].repulsion

    def __len__(self) -> int:
        """Give the number of members."""
        return len(self.models)

    @abstractmethod
    def votes(self, batch: Batch, want: Want) -> tuple[Votes, Repelled]:
        """Give what every member says, and the repulsion that all share.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """

    def evaluate(self, batch: Batch) -> Evaluation:
        """Give mean energies, their spread and the derivatives of the mean.

        The forces of the mean need the mean adjoint alone, so with shared descriptors this costs
        about as much as one member; :meth:`predict` gives the spread of the forces too.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        return evaluate_parts(self.evaluate_alone, batch, self.threads)

    def evaluate_alone(self, batch: Batch) -> Evaluation:
        """Evaluate without dealing the batch out to threads; see :meth:`evaluate`."""
        votes, repulsion = self.votes(batch, "mean")
        energies = _totals(votes.atomic, batch)
        return Evaluation(
            energies=energies.mean(axis=0) + repulsion.energies,
            energy_spread=energies.std(axis=0) / batch.counts,
            gradient=votes.gradient[0] + repulsion.gradient,
            strain=votes.strain[0] + repulsion.strain,
        )

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        """Give energies, forces, stresses and the spread of each, in the order given.

        Raises
        ------
        aga.errors.ModelError
            An element without a network.
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        for candidate in candidates:
            self.models[0].check_numbers(candidate.numbers, candidate.name)
        if not candidates:
            return []
        batch = Batch.pack(candidates)
        return _predictions(batch, *self.votes(batch, "each"))

    def member_energies(self, candidates: Sequence[Candidate]) -> FloatArray:
        """Give (M, B) total energies in eV, one row per member."""
        batch = Batch.pack(candidates)
        votes, repulsion = self.votes(batch, "energies")
        total: FloatArray = _totals(votes.atomic, batch) + repulsion.energies
        return total


def _totals(atomic: FloatArray, batch: Batch) -> FloatArray:
    """Sum (M, N) energies of atoms to those of structures, (M, B)."""
    sums: FloatArray = np.add.reduceat(atomic, batch.offsets[:-1], axis=1)
    return sums


def _predictions(batch: Batch, votes: Votes, repulsion: Repelled) -> list[Prediction]:
    """Give mean and spread for each structure; standard deviations divide by M."""
    energies = _totals(votes.atomic, batch)
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
