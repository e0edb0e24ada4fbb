"""The committee of networks on fixed descriptors, which all members share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aga.potential.batch import Batch
from aga.potential.descriptors import make_descriptor
from aga.potential.guard import Repelled, repelled
from aga.potential.model import Model
from aga.potential.network import Layer, Weights
from aga.potential.network_kernel import evaluate_stack, pack_stack
from aga.potential.votes import Votes, VotingCommittee, Want

__all__ = ["NetworkCommittee"]


class NetworkCommittee(VotingCommittee[Model]):
    """M networks on the same descriptors, evaluated as one stack.

    Parameters and errors are those of :class:`aga.potential.votes.VotingCommittee`.
    """

    def __init__(self, models: Sequence[Model], version: str = "", *, threads: int = 1) -> None:
        super().__init__(models, version, threads=threads)
        functions = self.models[0].functions
        self.descriptor = make_descriptor(functions, self.threads)
        self._weights = [_stack(self.models, symbol) for symbol in functions.elements]
        self.networks = pack_stack(self._weights, self.models[0].activation)

    def votes(self, batch: Batch, want: Want) -> tuple[Votes, Repelled]:
        """Give what every member says; see :meth:`VotingCommittee.votes`."""
        pairs = self.descriptor.pairs(batch)
        G, moments = self.descriptor.values_and_moments(pairs)
        atomic, adjoints = evaluate_stack(self.networks, G, pairs.species, mean=want != "each")
        repulsion = repelled(self.repulsion, batch, pairs)
        if want == "energies":
            return Votes(
                atomic, np.zeros((0, len(G), 3)), np.zeros((0, len(batch), 3, 3))
            ), repulsion
        return Votes(atomic, *self.descriptor.vjp(pairs, adjoints, moments)), repulsion


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
