"""The committee on a device: the same members, results and errors, computed by PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from aga.errors import ModelError
from aga.potential.batch import Batch, Evaluation
from aga.potential.committee import NetworkCommittee
from aga.potential.device.choice import Precision
from aga.potential.device.descriptor import Pulled, TorchDescriptor
from aga.potential.device.pairs import DevicePairs
from aga.potential.guard import Repelled, repelled
from aga.potential.model import Model
from aga.potential.neighbours import Pairs
from aga.potential.network import evaluate
from aga.potential.symmetry.functions import FunctionSet
from aga.potential.votes import Votes, Want
from aga.structure.candidate import FloatArray

__all__ = ["SMALL", "DeviceCommittee"]

SMALL = 512
"""Atoms below which a batch is left to the processor where the choice is free: starting the 250 or
so operations of a GPU takes 6 ms (NVIDIA H200), in which one core evaluates nearly that many."""


class DeviceCommittee(NetworkCommittee):
    """M members with symmetry functions, evaluated on a device.

    Agrees with :class:`NetworkCommittee` to rounding; the same device gives equal bits for equal
    batches.

    Parameters
    ----------
    models
        The members: same functions, layers and activation.
    version
        Name of the committee, for provenance.
    device
        Where to compute.
    precision
        Of the work per pair and triplet, see :class:`TorchDescriptor`.
    smallest
        Atoms of a batch below which the processor's own kernels are used.
    threads
        Cores that work on such a batch.

    Raises
    ------
    aga.errors.ModelError
        No member, members that do not fit together, or no symmetry functions.
    """

    def __init__(
        self,
        models: Sequence[Model],
        version: str = "",
        *,
        device: torch.device,
        precision: Precision = "float64",
        smallest: int = 0,
        threads: int = 1,
    ) -> None:
        super().__init__(models, version, threads=threads)
        self.smallest = smallest
        functions = self.models[0].functions
        if not isinstance(functions, FunctionSet):
            raise ModelError("on a device only models with symmetry functions can be computed")
        self.on_device = TorchDescriptor(functions, device, precision)
        self._stacked = [
            tuple((matrix.to(device), bias.to(device)) for matrix, bias in layers)
            for layers in self._weights
        ]

    def evaluate(self, batch: Batch) -> Evaluation:
        """Give mean energies, their spread and the derivatives of the mean.

        Raises
        ------
        aga.errors.StructureError
            Nothing can be computed for a structure; ``facts["index"]`` is its place.
        """
        return super().evaluate(batch) if self._few(batch) else self.evaluate_alone(batch)

    def votes(self, batch: Batch, want: Want) -> tuple[Votes, Repelled]:
        """Give what every member says; see :meth:`VotingCommittee.votes`."""
        if self._few(batch):
            return super().votes(batch, want)
        pairs = self.on_device.pairs(batch)
        atomic, pulled = self._run(pairs, {"energies": 0, "mean": 1, "each": len(self)}[want])
        votes = Votes(atomic, pulled.gradient.cpu().numpy(), _strain(pulled, batch))
        return votes, self._repulsion(batch, pairs)

    def _few(self, batch: Batch) -> bool:
        return len(batch.numbers) < self.smallest

    def _run(self, pairs: DevicePairs, sets: int) -> tuple[FloatArray, Pulled]:
        """Give atomic energies (M, N), and the derivatives of the mean (1) or of each (M)."""
        kind = self.models[0].activation
        device = self.on_device.device
        species = torch.from_numpy(pairs.species).to(device)
        atomic = torch.empty(len(self), len(species), dtype=torch.float64, device=device)

        def respond(atoms: Tensor, G: Tensor) -> Tensor | None:
            adjoints = G.new_empty(len(self), *G.shape)
            here = species[atoms]
            for element, weights in enumerate(self._stacked):
                own = (here == element).nonzero().squeeze(1)
                atomic[:, atoms[own]], adjoints[:, own] = evaluate(weights, kind, G[own])
            return None if not sets else adjoints.mean(0, keepdim=True) if sets == 1 else adjoints

        pulled = self.on_device.sweep(pairs, respond, sets)
        return atomic.cpu().numpy(), pulled

    def _repulsion(self, batch: Batch, pairs: DevicePairs) -> Repelled:
        """Give the repulsion, computed on the host: few pairs are as close as that."""
        reach = 0.0 if self.repulsion is None else self.repulsion.reach
        near = (torch.linalg.vector_norm(pairs.vectors, dim=1) < reach).nonzero().squeeze(1)
        first = pairs.first[near].cpu().numpy()
        second = pairs.second[near].cpu().numpy()
        elements, atoms = pairs.starts.shape[1] - 1, len(pairs.species)
        rows = np.bincount(first * elements + pairs.species[second], minlength=atoms * elements)
        ends = np.cumsum(rows).reshape(atoms, elements)
        starts = np.concatenate([np.append(0, ends[:-1, -1])[:, None], ends], axis=1)
        close = Pairs(
            cutoff=pairs.cutoff,
            second=second,
            vectors=pairs.vectors[near].cpu().numpy(),
            starts=starts,
            species=pairs.species,
            owners=batch.owners,
            structures=len(batch),
        )
        return repelled(self.repulsion, batch, close)


def _strain(pulled: Pulled, batch: Batch) -> FloatArray:
    """Sum the atoms' shares of ∂E/∂ε, (A, B, 3, 3), symmetric."""
    shares = pulled.strain.cpu().numpy()
    strain: FloatArray = np.add.reduceat(shares, batch.offsets[:-1], axis=1)
    return 0.5 * (strain + np.swapaxes(strain, -1, -2))
