"""Energies and their exact derivatives for smooth Deep Potential networks, M members at once.

Everything is written out in closed form from operations that autograd can differentiate, so
evaluation needs no graph, and training on forces needs one backward pass only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aga.potential.deep.smooth import Block, DeepSmooth, Neighbourhood, Shell
from aga.potential.network import Activation, Layer, Weights, evaluate
from aga.structure.candidate import FloatArray

__all__ = [
    "ElementNetworks",
    "Evaluated",
    "draw_embedding",
    "evaluate_deep",
    "second_moments",
    "sums",
]


class ElementNetworks(NamedTuple):
    """What one central element has: embedding networks by neighbour element, and the fitting.

    Standardisation is folded into their first layers, energy scale and reference into the last.
    ``gain`` (M, 1, 1, 4) and ``offset`` (M, 1, M₁, 4) bring T between them to order one.
    """

    embedding: tuple[Weights, ...]
    fitting: Weights
    gain: Tensor
    offset: Tensor


class Evaluated(NamedTuple):
    """M members on N atoms of B structures.

    ``atomic`` (M, N) eV; ``gradient`` (M, N, 3) ∂E/∂R in eV/Å; ``strain`` (M, B, 3, 3) ∂E/∂ε in
    eV, not yet symmetrised. Of the mean (1, …) where that was asked for.
    """

    atomic: Tensor
    gradient: Tensor
    strain: Tensor


def draw_embedding(descriptor: DeepSmooth, generator: torch.Generator) -> Weights:
    """Draw an embedding network of one member (M = 1) for standardised inputs."""
    layers = []
    for n_in, n_out in descriptor.layers:
        matrix = torch.randn(1, n_in, n_out, dtype=torch.float64, generator=generator)
        bias = torch.randn(1, n_out, dtype=torch.float64, generator=generator)
        layers.append((matrix / math.sqrt(n_in), bias))
    return tuple(layers)


def fold_input(weights: Weights, mean: FloatArray, scale: FloatArray) -> Weights:
    """Let a network of one member take raw inputs in the place of (x − mean) / scale."""
    (matrix, bias), *rest = weights
    matrix = matrix / torch.from_numpy(np.array(scale)).reshape(-1, 1)
    return ((matrix, bias - torch.from_numpy(np.array(mean)).reshape(-1) @ matrix), *rest)


def fold_output(weights: Weights, scale: float, shift: float) -> Weights:
    """Let a network of one member give scale·y + shift in the place of y."""
    *rest, (matrix, bias) = weights
    last: Layer = (matrix * scale, bias * scale + shift)
    return (*rest, last)


def _embed(weights: Weights, s: Tensor) -> tuple[Tensor, Tensor]:
    """Give g (M, n, K, M₁) and dg/ds for s (n, K)."""
    (matrix, bias), *rest = weights
    z = torch.tanh(s.reshape(-1, 1) * matrix + bias.unsqueeze(-2))
    slope = (1.0 - z * z) * matrix
    for inner, shift in rest:
        z, slope = torch.tanh(z @ inner + shift.unsqueeze(-2)), slope @ inner
        slope = (1.0 - z * z) * slope
    shape = (len(matrix), *s.shape, z.shape[-1])
    return z.reshape(shape), slope.reshape(shape)


def _sums(block: Block, embedded: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Give T (M, n, M₁, 4)."""
    parts = [
        g.transpose(-1, -2) @ shell.coordinates
        for (g, _), shell in zip(embedded, block.shells, strict=True)
    ]
    return torch.stack(parts).sum(0) if len(parts) > 1 else parts[0]


def sums(embedding: Sequence[tuple[Weights, ...]], where: Neighbourhood) -> list[Tensor]:
    """Give T (n, M₁, 4) of the atoms of each central element, of one member (M = 1)."""
    found: list[list[Tensor]] = [[] for _ in embedding]
    for block in where.blocks:
        pairs = zip(embedding[block.centre], block.shells, strict=True)
        found[block.centre].append(_sums(block, [_embed(w, shell.s) for w, shell in pairs])[0])
    return [torch.cat(parts) for parts in found]


def second_moments(T: Tensor, axis: int) -> Tensor:
    """Give D = T T_<ᵀ (…, M₁, M₂)."""
    return T @ T[..., :axis, :].transpose(-1, -2)


def evaluate_deep(
    networks: Sequence[ElementNetworks],
    kind: Activation,
    axis: int,
    where: Neighbourhood,
    *,
    mean: bool = False,
) -> Evaluated:
    """Give energies and derivatives of every member.

    Parameters
    ----------
    networks
        Of each central element, M members, for raw inputs.
    kind
        Activation of the fitting networks.
    axis
        M₂.
    where
        Neighbours of N atoms in B structures.
    mean
        Give the derivatives of the mean energy alone, in the place of M.
    """
    like = networks[0].fitting[0][0]
    members = len(like)
    atomic = like.new_zeros(members, where.atoms)
    parts = 1 if mean else members
    gradient = like.new_zeros(parts, where.atoms, 3)
    strain = like.new_zeros(parts, where.structures, 3, 3)
    for block in where.blocks:
        element = networks[block.centre]
        embedded = [
            _embed(weights, shell.s)
            for weights, shell in zip(element.embedding, block.shells, strict=True)
        ]
        T = _sums(block, embedded) * element.gain + element.offset
        energy, adjoint = _fit(element.fitting, kind, T, axis)
        adjoint = adjoint * element.gain
        atomic.index_add_(1, block.atoms, energy)
        for (g, slope), shell in zip(embedded, block.shells, strict=True):
            force = _pair_forces(g, slope, shell, adjoint, mean=mean)
            gradient.index_add_(1, block.atoms, -force.sum(-2))
            gradient.index_add_(1, shell.second, force.flatten(1, 2))
            strain.index_add_(1, block.owners, force.transpose(-1, -2) @ shell.vectors)
    return Evaluated(atomic, gradient, strain)


def _fit(fitting: Weights, kind: Activation, T: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Give atomic energies (M, n) and ∂E/∂T (M, n, M₁, 4)."""
    few, D = T[:, :, :axis], second_moments(T, axis)
    energy, slope = evaluate(fitting, kind, D.flatten(-2))
    A = slope.reshape(D.shape)
    second = A.transpose(-1, -2) @ T
    rest = T.shape[-2] - axis
    return energy, A @ few + torch.nn.functional.pad(second, (0, 0, 0, rest))


def _pair_forces(g: Tensor, slope: Tensor, shell: Shell, adjoint: Tensor, *, mean: bool) -> Tensor:
    """Give ∂E/∂(vector) (M, n, K, 3) in eV/Å of every neighbour, or (1, n, K, 3) of the mean."""
    direct, through = g @ adjoint, slope @ adjoint
    if mean:
        direct, through = direct.mean(0, keepdim=True), through.mean(0, keepdim=True)
    turn = direct[..., 1:]
    along = (turn * shell.unit).sum(-1, keepdim=True)
    through_s = (through * shell.coordinates).sum(-1, keepdim=True)
    # R̃ = (s, (s/r) r): the length acts through ds/dr, the direction through s/r
    stretch = (direct[..., :1] + through_s + along) * shell.slope - along * shell.ratio
    return turn * shell.ratio + stretch * shell.unit
