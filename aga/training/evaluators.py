"""Energies, forces and virials of a dataset as functions of the network weights.

Two ways to the same numbers. *Dense*: the Jacobian J of the descriptors is stored, and
dE/d(R, ε) = Jᵀ ∂E/∂G is one batched product; fastest while J fits into memory. *Streamed*: J is
never formed; the kernels vjp (forward) and jvp (backward) are one custom autograd function, at
a cost linear in the number of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from aga.potential.network import Activation, Weights, evaluate
from aga.training.dataset import VOIGT, Dataset, Standard

__all__ = ["Dense", "Evaluator", "Streamed", "make_evaluator"]

JACOBIAN_BUDGET = 2**30
"""Bytes of dense Jacobians; a larger dataset is streamed."""


class Evaluator(Protocol):
    """Predicts all frames of a dataset; differentiable with respect to the weights."""

    def __call__(self, networks: Sequence[Weights]) -> tuple[Tensor, Tensor, Tensor]:
        """Give energy (F,) eV, dE/dR (N, 3) eV/Å and dE/dε (F, 6) eV of the networks alone.

        Reference energies and repulsion are not in it. ``networks`` (M = 1) are those of the
        layout: one per element, in the order of the elements, unless the model has others.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """Frames of one composition, atoms sorted by element.

    ``spans`` first and last atom of each element; ``x`` (F, n, D) standardised descriptors;
    ``jacobian`` (F, n·D, 3n + 6) their derivatives.
    """

    spans: tuple[tuple[int, int, int], ...]
    x: Tensor
    jacobian: Tensor


class Dense:
    """Batched products with stored Jacobians.

    Parameters
    ----------
    data
        Frames.
    standard
        Standardisation of descriptors and energy.
    activation
        Of the networks.
    """

    def __init__(self, data: Dataset, standard: Standard, activation: Activation) -> None:
        self._activation = activation
        self._scale = standard.energy_scale
        groups: dict[tuple[float, ...], list[int]] = {}
        for frame, row in enumerate(data.composition):
            groups.setdefault(tuple(row), []).append(frame)
        jacobians = data.descriptor.jacobian(data.pairs, data.moments)
        self._blocks, frames, atoms = [], [], []
        for members in groups.values():
            block, order = _make_block(data, standard, members, [jacobians[f] for f in members])
            self._blocks.append(block)
            frames.extend(members)
            atoms.extend(order)
        self._frames = torch.from_numpy(np.argsort(frames))
        self._atoms = torch.from_numpy(np.argsort(np.concatenate(atoms)))

    def __call__(self, networks: Sequence[Weights]) -> tuple[Tensor, Tensor, Tensor]:
        """Give energy, gradient and strain derivative; see :class:`Evaluator`."""
        energies, gradients, strains = [], [], []
        for block in self._blocks:
            frames, count, width = block.x.shape
            energy, adjoints = block.x.new_zeros(frames), []
            for element, start, end in block.spans:
                x = block.x[:, start:end].reshape(-1, width)
                output, adjoint = evaluate(networks[element], self._activation, x)
                energy = energy + output.reshape(frames, -1).sum(-1)
                adjoints.append(adjoint.reshape(frames, end - start, width))
            g = torch.cat(adjoints, dim=1).reshape(frames, 1, -1)
            slopes = (g @ block.jacobian).squeeze(1)
            energies.append(energy)
            gradients.append(slopes[:, :-6].reshape(frames * count, 3))
            strains.append(slopes[:, -6:])
        return (
            self._scale * torch.cat(energies)[self._frames],
            self._scale * torch.cat(gradients)[self._atoms],
            self._scale * torch.cat(strains)[self._frames],
        )


def _make_block(
    data: Dataset, standard: Standard, members: list[int], jacobians: list[np.ndarray]
) -> tuple[_Block, list[np.ndarray]]:
    """Give the block and, for each frame, the packed places of its atoms in block order."""
    offsets, species = data.batch.offsets, data.pairs.species
    xs, js, orders = [], [], []
    for frame, jacobian in zip(members, jacobians, strict=True):
        start = offsets[frame]
        elements = species[start : offsets[frame + 1]]
        order = np.argsort(elements, kind="stable")
        elements = elements[order]
        scale = standard.scale[elements]
        xs.append((data.G[start + order] - standard.mean[elements]) / scale)
        # rows follow the atoms into their new order; so do the columns of the positions
        n = len(order)
        columns = (3 * order[:, None] + np.arange(3)).ravel()
        columns = np.concatenate([columns, np.arange(3 * n, 3 * n + 6)])
        js.append((jacobian[order][:, :, columns] / scale[:, :, None]).reshape(-1, 3 * n + 6))
        orders.append(start + order)
    counts = data.composition[members[0]].astype(int)
    ends = np.cumsum(counts)
    spans = tuple(
        (element, int(end - count), int(end))
        for element, (count, end) in enumerate(zip(counts, ends, strict=True))
        if count
    )
    block = _Block(
        spans=spans, x=torch.from_numpy(np.array(xs)), jacobian=torch.from_numpy(np.array(js))
    )
    return block, orders


class _Pull(torch.autograd.Function):
    """∂E/∂G ↦ (∂E/∂R, ∂E/∂ε): the kernel vjp, whose own transpose is the kernel jvp."""

    @staticmethod
    def forward(ctx: Any, adjoint: Tensor, data: Dataset) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - torch's context
        ctx.data = data
        gradient, strain = data.descriptor.vjp(data.pairs, adjoint.detach().numpy(), data.moments)
        rows, columns = VOIGT
        return torch.from_numpy(gradient), torch.from_numpy(strain[:, rows, columns])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's context
        data: Dataset = ctx.data
        gradient, voigt = (grad.detach().numpy() for grad in grads)
        strain = np.zeros((len(voigt), 3, 3))
        rows, columns = VOIGT
        strain[:, rows, columns] = voigt
        strain = 0.5 * (strain + np.swapaxes(strain, 1, 2))
        dG = data.descriptor.jvp(data.pairs, np.ascontiguousarray(gradient), strain, data.moments)
        return torch.from_numpy(dG), None


class Streamed:
    """The kernels vjp and jvp instead of stored Jacobians; parameters as of :class:`Dense`."""

    def __init__(self, data: Dataset, standard: Standard, activation: Activation) -> None:
        self._data = data
        self._activation = activation
        self._energy_scale = standard.energy_scale
        species = data.pairs.species
        self._scale = torch.from_numpy(standard.scale[species])
        self._x = torch.from_numpy((data.G - standard.mean[species]) / standard.scale[species])
        self._owners = torch.from_numpy(data.batch.owners)
        self._atoms = [
            torch.from_numpy(np.flatnonzero(species == element))
            for element in range(data.composition.shape[1])
        ]

    def __call__(self, networks: Sequence[Weights]) -> tuple[Tensor, Tensor, Tensor]:
        """Give energy, gradient and strain derivative; see :class:`Evaluator`."""
        energy = self._x.new_zeros(len(self._data.batch))
        adjoint = torch.zeros_like(self._x)
        for weights, atoms in zip(networks, self._atoms, strict=True):
            output, slope = evaluate(weights, self._activation, self._x[atoms])
            energy = energy.index_add(0, self._owners[atoms], output[0])
            adjoint = adjoint.index_add(0, atoms, slope[0])
        gradient, strain = _Pull.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            adjoint / self._scale, self._data
        )
        s = self._energy_scale
        return s * energy, s * gradient, s * strain


def make_evaluator(
    data: Dataset, standard: Standard, activation: Activation, budget: int = JACOBIAN_BUDGET
) -> Evaluator:
    """Choose the dense form where its Jacobians fit into ``budget`` bytes."""
    kind = Dense if data.jacobian_bytes() <= budget else Streamed
    return kind(data, standard, activation)
