"""Losses of frames and their gradient, with no graph: sweeps through the networks, forth and back.

With fixed descriptors all that depends on the weights are the energies f(x) of atoms and their
slopes ∇f(x), so that the gradient of any loss of energies, forces and virials is ∂/∂θ of
Σ_i e_i f(x_i) + t_i·∇f(x_i), with e and t the derivatives of the loss by these (t by the transposed
Jacobian). That is one more sweep along t and one back, in about two thirds of the time that a
graph of hundreds of small operations takes (tens of frames of 6 to 12 atoms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from aga.potential.network import Activation, Weights, activate
from aga.training.evaluators import FixedPiece
from aga.training.loss import Targets, frame_losses, loss_slopes
from aga.training.schedule import Prefactors

__all__ = ["swept"]


def swept(
    piece: FixedPiece,
    networks: Sequence[Weights],
    targets: Targets,
    prefactors: Prefactors,
    weights: Tensor,
    *,
    derivatives: bool,
) -> tuple[Tensor, Tensor]:
    """Give the losses (F,) of a piece, and the gradient of Σ_i w_i loss_i by the parameters.

    Parameters
    ----------
    piece, networks
        Frames, and one network for each element (M = 1), without a graph.
    targets, prefactors
        The loss.
    weights
        (F,).
    derivatives
        Whether a force or a virial counts; else they are not looked at.

    Returns
    -------
    losses, gradient
        (F,), and (P,) as networks are flattened, one after the other.
    """
    runs = [
        _forth(layers, piece.activation, piece.x[atoms], derivatives=derivatives)
        for layers, atoms in zip(networks, piece.atoms, strict=True)
    ]
    predicted = _predicted(piece, runs, derivatives=derivatives)
    losses = frame_losses(predicted, targets, prefactors)
    energy, gradient, strain = (
        piece.energy_scale * one for one in loss_slopes(predicted, targets, prefactors, weights)
    )
    each = energy[piece.owners]
    along = torch.from_numpy(piece.push(gradient.numpy(), strain.numpy())) if derivatives else None
    parts = []
    for element, (layers, atoms) in enumerate(zip(networks, piece.atoms, strict=True)):
        mine = None if along is None else along[atoms] / piece.scale[element]
        parts += _back(layers, runs[element], each[atoms], mine)
    return losses, torch.cat(parts)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    """What a sweep through a network leaves.

    ``output`` (n,); ``signals`` of the inputs and all hidden layers (n, ·), ``slopes`` and
    ``bends`` of the activations, and ``backs``, the slope of the output by each layer's signals,
    of the inputs first: empty if not asked for.
    """

    output: Tensor
    signals: list[Tensor]
    slopes: list[Tensor]
    bends: list[Tensor]
    backs: list[Tensor] = field(default_factory=list)


def _forth(layers: Weights, kind: Activation, x: Tensor, *, derivatives: bool) -> _Run:
    signals, slopes, bends = [x], [], []
    for matrix, bias in layers[:-1]:
        z, slope, bend = activate(kind, torch.addmm(bias, signals[-1], matrix[0]))
        signals.append(z)
        slopes.append(slope)
        bends.append(bend)
    matrix, bias = layers[-1]
    output = signals[-1] @ matrix[0, :, 0] + bias[0]
    run = _Run(output=output, signals=signals, slopes=slopes, bends=bends)
    if derivatives:
        run.backs.append(matrix[0].T.expand(len(x), -1))
        for (inner, _), slope in zip(reversed(layers[:-1]), reversed(slopes), strict=True):
            run.backs.insert(0, (run.backs[0] * slope) @ inner[0].T)
    return run


def _predicted(
    piece: FixedPiece, runs: Sequence[_Run], *, derivatives: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Give energy, gradient and strain derivative of the frames; zeros if not asked for."""
    count, s = len(piece.frames), piece.energy_scale
    energy, adjoint = piece.x.new_zeros(count), torch.zeros_like(piece.x)
    for element, (run, atoms) in enumerate(zip(runs, piece.atoms, strict=True)):
        energy.index_add_(0, piece.owners[atoms], run.output)
        if derivatives:
            adjoint[atoms] = run.backs[0] / piece.scale[element]
    if not derivatives:
        return s * energy, piece.x.new_zeros(len(piece.x), 3), piece.x.new_zeros(count, 6)
    gradient, strain = piece.pull(adjoint.numpy())
    return s * energy, s * torch.from_numpy(gradient), s * torch.from_numpy(strain)


def _back(layers: Weights, run: _Run, each: Tensor, along: Tensor | None) -> list[Tensor]:
    """Give ∂/∂θ of Σ_i e_i f(x_i) + t_i·∇f(x_i), in parts as the parameters are flattened."""
    tangents: list[Tensor] = []  # along t: of the signals, and before the activations
    before: list[Tensor] = []
    if along is not None:
        tangents.append(along)
        for (matrix, _), slope in zip(layers[:-1], run.slopes, strict=True):
            before.append(tangents[-1] @ matrix[0])
            tangents.append(slope * before[-1])
    last = run.signals[-1].T @ each
    parts = [each.sum()[None], last + tangents[-1].sum(0) if tangents else last]
    cross = torch.outer(each, layers[-1][0][0, :, 0])
    for number in range(len(layers) - 2, -1, -1):
        by_signal = run.slopes[number] * cross
        if tangents:
            by_signal += run.bends[number] * before[number] * run.backs[number + 1]
        matrix = run.signals[number].T @ by_signal
        if tangents:
            matrix.addmm_(tangents[number].T, run.backs[number + 1] * run.slopes[number])
        parts += [by_signal.sum(0), matrix.reshape(-1)]
        if number:
            cross = by_signal @ layers[number][0][0].T
    return parts[::-1]
