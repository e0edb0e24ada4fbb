"""The committee: M networks that share their descriptors and vote.

Mean of the members is the prediction; their standard deviation is the uncertainty
(query by committee: Seung, Opper, Sompolinsky, COLT 1992).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aga.errors import ModelError
from aga.potential.batch import Batch, Evaluation
from aga.potential.descriptors import make_descriptor
from aga.potential.guard import repelled
from aga.potential.model import Model
from aga.potential.neighbours import Pairs
from aga.potential.network import Layer, Weights
from aga.potential.network_kernel import evaluate_stack, pack_stack
from aga.potential.threads import Threads, evaluate_parts
from aga.potential.votes import Votes, predictions, totals
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Prediction

__all__ = ["NetworkCommittee"]


class NetworkCommittee:
    """M members evaluated together; standard deviations divide by M.

    Parameters
    ----------
    models
        The members: same functions, layers and activation.
    version
        Name of the committee, for provenance.
    threads
        Cores that work on a batch.

    Raises
    ------
    aga.errors.ModelError
        No member, or members that do not fit together.
    """

    def __init__(self, models: Sequence[Model], version: str = "", *, threads: int = 1) -> None:
        if not models:
            raise ModelError("a committee needs at least one member")
        first = models[0]
        for number, model in enumerate(models):
            if _kind(model) != _kind(first):
                raise ModelError(
                    f"member {number} does not fit the first: functions, layers, activation and "
                    "repulsion of all members must be the same",
                    member=number,
                )
        self.models = tuple(models)
        self.version = version
        self.threads = Threads(threads)
        self.descriptor = make_descriptor(first.functions, self.threads)
        self.repulsion = first.repulsion
        self._weights = [_stack(self.models, symbol) for symbol in first.functions.elements]
        self._stack = pack_stack(self._weights, first.activation)

    def __len__(self) -> int:
        """Give the number of members."""
        return len(self.models)

    def evaluate(self, batch: Batch) -> Evaluation:
        """Give mean energies, their spread and the derivatives of the mean.

        The forces of the mean need the mean adjoint alone, so this costs about as much as one
        member; :meth:`predict` gives the spread of the forces too.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        return evaluate_parts(self._evaluate, batch, self.threads)

    def _evaluate(self, batch: Batch) -> Evaluation:
        pairs = self.descriptor.pairs(batch)
        G, moments = self.descriptor.values_and_moments(pairs)
        atomic, adjoints = self._networks(G, pairs, mean=True)
        energies = totals(atomic, batch)
        extra, push, squeeze, _ = repelled(self.repulsion, batch, pairs)
        gradient, strain = self.descriptor.vjp(pairs, adjoints[0], moments)
        return Evaluation(
            energies=energies.mean(axis=0) + extra,
            energy_spread=energies.std(axis=0) / batch.counts,
            gradient=gradient + push,
            strain=strain + squeeze,
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
        pairs = self.descriptor.pairs(batch)
        G, moments = self.descriptor.values_and_moments(pairs)
        atomic, adjoints = self._networks(G, pairs)
        gradients, strains = self.descriptor.vjp(pairs, adjoints, moments)
        votes = Votes(atomic, gradients, strains)
        return predictions(batch, votes, repelled(self.repulsion, batch, pairs))

    def member_energies(self, candidates: Sequence[Candidate]) -> FloatArray:
        """Give (M, B) total energies in eV, one row per member."""
        batch = Batch.pack(candidates)
        pairs = self.descriptor.pairs(batch)
        atomic, _ = self._networks(self.descriptor.values(pairs), pairs)
        total: FloatArray = totals(atomic, batch)
        total += repelled(self.repulsion, batch, pairs).energies
        return total

    def _networks(
        self, G: FloatArray, pairs: Pairs, *, mean: bool = False
    ) -> tuple[FloatArray, FloatArray]:
        """Give atomic energies (M, N) in eV and their gradients (M or 1, N, D) for raw G."""
        return evaluate_stack(self._stack, G, pairs.species, mean=mean)


def _kind(model: Model) -> tuple[object, ...]:
    return model.functions, model.hidden, model.activation, model.repulsion


def _stack(models: Sequence[Model], symbol: str) -> Weights:
    """Stack the networks of one element, standardisation and energy scale folded in."""
    members = [_folded(model, symbol) for model in models]
    return tuple(
        (
            torch.cat([layer[0] for layer in layers]).contiguous(),
            torch.cat([layer[1] for layer in layers]).contiguous(),
        )
        for layers in zip(*members, strict=True)
    )


def _folded(model: Model, symbol: str) -> list[Layer]:
    element = model.functions.elements.index(symbol)
    mean = torch.from_numpy(np.array(model.mean[element]))
    scale = torch.from_numpy(np.array(model.scale[element]))
    layers = list(model.weights[symbol])
    matrix, bias = layers[0]
    matrix = matrix / scale.unsqueeze(-1)
    layers[0] = (matrix, bias - mean @ matrix)
    matrix, bias = layers[-1]
    s = model.energy_scale
    layers[-1] = (matrix * s, bias * s + float(model.reference_energies[element]))
    return layers
