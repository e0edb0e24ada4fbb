"""Frames as functions of the embedding and fitting networks of a smooth Deep Potential."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from aga.potential.batch import Batch
from aga.potential.deep.model import DeepStandard, element_networks
from aga.potential.deep.network import evaluate_deep
from aga.potential.deep.smooth import DeepSmooth, Neighbourhood, pack
from aga.potential.neighbours import find_pairs
from aga.potential.network import Activation, Weights, parameter_count, shapes
from aga.structure.candidate import IntArray
from aga.structure.protocols import Frame
from aga.training.data.described import lots_of
from aga.training.data.labels import VOIGT
from aga.training.evaluators import Piece, Predicted

__all__ = ["DeepEvaluator", "DeepLayout", "DeepPiece"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLayout:
    """Embedding and fitting networks one after the other, in the order of their names."""

    descriptor: DeepSmooth
    hidden: tuple[int, ...]

    @property
    def size(self) -> int:
        """Parameters of all networks."""
        elements = len(self.descriptor.elements)
        embedding = sum((n_in + 1) * n_out for n_in, n_out in self.descriptor.layers)
        return elements * (
            elements * embedding + parameter_count(self.descriptor.size, self.hidden)
        )

    def networks(self, vector: Tensor) -> list[Weights]:
        """Give the networks as views of the parameter vector."""
        elements = len(self.descriptor.elements)
        each = [self.descriptor.layers] * elements + [shapes(self.descriptor.size, self.hidden)]
        networks, start = [], 0
        for layers in each * elements:
            network = []
            for n_in, n_out in layers:
                middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
                matrix = vector[start:middle].reshape(1, n_in, n_out)
                network.append((matrix, vector[middle:end].reshape(1, n_out)))
                start = end
            networks.append(tuple(network))
        return networks


class DeepEvaluator:
    """Evaluates frames by embedding and fitting networks together.

    Parameters
    ----------
    frames
        Those of this rank.
    descriptor
        Which.
    standard
        Standardisation of descriptors and energy.
    activation
        Of the fitting networks.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        descriptor: DeepSmooth,
        standard: DeepStandard,
        activation: Activation,
    ) -> None:
        self._frames, self._descriptor, self._activation = frames, descriptor, activation
        self._standard = replace(
            standard, reference_energies=np.zeros_like(standard.reference_energies)
        )
        self._whole: list[Piece] | None = None

    def pieces(self, frames: IntArray | None = None) -> Iterator[Piece]:
        """Give pieces of some frames, or of all: the neighbourhoods of all are kept."""
        if frames is not None:
            yield self._piece(frames)
            return
        if self._whole is None:
            counts = np.array([len(frame.candidate) for frame in self._frames], dtype=np.int64)
            self._whole = [self._piece(np.arange(a, b)) for a, b in lots_of(counts)]
        yield from self._whole

    def _piece(self, frames: IntArray) -> Piece:
        batch = Batch.pack([self._frames[place].candidate for place in frames])
        pairs = find_pairs(batch, self._descriptor.cutoff, self._descriptor.numbers)
        return DeepPiece(
            frames=frames,
            where=pack(pairs, self._descriptor),
            owners=torch.from_numpy(batch.owners),
            standard=self._standard,
            axis=self._descriptor.axis,
            activation=self._activation,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeepPiece:
    """Frames with their neighbourhoods; ``owners`` (N,) the frame of each atom."""

    frames: IntArray
    where: Neighbourhood
    owners: Tensor
    standard: DeepStandard
    axis: int
    activation: Activation

    def __call__(self, networks: Sequence[Weights], *, derivatives: bool = True) -> Predicted:
        """Give energy, gradient and strain derivative of the networks, without references."""
        del derivatives  # they come with the energy
        folded = element_networks(networks, self.standard)
        said = evaluate_deep(folded, self.activation, self.axis, self.where)
        energy = said.atomic.new_zeros(self.where.structures)
        strain = 0.5 * (said.strain + said.strain.transpose(-1, -2))
        rows, columns = VOIGT
        return (
            energy.index_add(0, self.owners, said.atomic[0]),
            said.gradient[0],
            strain[0][:, rows, columns],
        )
