"""Stacked feed-forward networks: M members of one element evaluated in one batched product.

A network maps the standardised descriptor of an atom to its energy (Behler and Parrinello,
Phys. Rev. Lett. 98, 146401, 2007).  Energies and their gradient are written out in closed
form, from operations that autograd can differentiate again, so evaluation needs no graph and
training on forces gets one from the same code.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

__all__ = [
    "Activation",
    "Layer",
    "Weights",
    "activate",
    "evaluate",
    "flatten",
    "initialise",
    "parameter_count",
    "shapes",
    "unflatten",
]

Activation = Literal["tanh", "softplus", "silu", "logistic", "gaussian", "identity"]
"""Non-linearity of the hidden layers; the output layer is linear.

The last three are for potentials made elsewhere: 1/(1 + e^{−a}), e^{−a²/2} and a.
"""

_STRAIGHT = 40.0
"""Above, softplus(a) is a to the last bit; torch's own 20 leaves out 2e−9, but in the slope."""

Layer = tuple[Tensor, Tensor]
"""Matrix (M, n_in, n_out) and bias (M, n_out) of one layer of M members."""

Weights = tuple[Layer, ...]
"""Layers from input to output, float64."""


def activate(kind: Activation, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the activation with its first and second derivative.

    Parameters
    ----------
    kind
        Name of the activation.
    a
        Signals of any shape.

    Returns
    -------
    tuple of Tensor
        φ(a), φ'(a), φ''(a), each of the shape of ``a``.
    """
    if kind == "tanh":
        z = torch.tanh(a)
        first = 1.0 - z * z
        return z, first, -2.0 * z * first
    if kind == "gaussian":
        z = torch.exp(-0.5 * a * a)
        return z, -a * z, (a * a - 1.0) * z
    if kind == "identity":
        return a, torch.ones_like(a), torch.zeros_like(a)
    s = torch.sigmoid(a)
    ds = s * (1.0 - s)
    if kind == "logistic":
        return s, ds, ds * (1.0 - 2.0 * s)
    if kind == "softplus":
        return torch.nn.functional.softplus(a, threshold=_STRAIGHT), s, ds
    return a * s, s + a * ds, ds * (2.0 + a * (1.0 - 2.0 * s))


def _value_and_slope(kind: Activation, a: Tensor) -> tuple[Tensor, Tensor]:
    if kind == "tanh":
        z = torch.tanh(a)
        return z, 1.0 - z * z
    if kind in {"gaussian", "identity", "logistic"}:
        value, slope, _ = activate(kind, a)
        return value, slope
    s = torch.sigmoid(a)
    if kind == "softplus":
        return torch.nn.functional.softplus(a, threshold=_STRAIGHT), s
    return a * s, s + a * s * (1.0 - s)


def evaluate(weights: Weights, kind: Activation, x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the output of every member and its gradient with respect to the input.

    Parameters
    ----------
    weights
        Layers of M members.
    kind
        Activation of the hidden layers.
    x
        (N, D) inputs shared by the members, or (M, N, D).

    Returns
    -------
    tuple of Tensor
        Outputs (M, N) and gradients (M, N, D), in the unit of the output.
    """
    z = x
    slopes = []
    for matrix, bias in weights[:-1]:
        z, slope = _value_and_slope(kind, z @ matrix + bias.unsqueeze(-2))
        slopes.append(slope)
    matrix, bias = weights[-1]
    output = (z @ matrix).squeeze(-1) + bias
    gradient = matrix.transpose(-1, -2)
    for slope, (inner, _) in zip(reversed(slopes), reversed(weights[:-1]), strict=True):
        gradient = (gradient * slope) @ inner.transpose(-1, -2)
    return output, gradient


def shapes(inputs: int, hidden: tuple[int, ...]) -> list[tuple[int, int]]:
    """Give (n_in, n_out) of every layer of a network with one output."""
    return list(pairwise((inputs, *hidden, 1)))


def parameter_count(inputs: int, hidden: tuple[int, ...]) -> int:
    """Give the number of weights and biases of one network."""
    return sum((n_in + 1) * n_out for n_in, n_out in shapes(inputs, hidden))


def initialise(inputs: int, hidden: tuple[int, ...], generator: torch.Generator) -> Weights:
    """Draw the weights of one member (M = 1).

    Matrices are normal with variance 1/n_in, which keeps signals of standardised inputs of
    order one (LeCun et al., "Efficient BackProp", 1998); hidden biases are spread over the
    range of the inputs so that the nodes do not all bend at the mean; the output bias is 0.

    Parameters
    ----------
    inputs
        Length D of the descriptor.
    hidden
        Nodes of the hidden layers.
    generator
        The only source of random numbers.
    """
    layers = []
    for number, (n_in, n_out) in enumerate(shapes(inputs, hidden)):
        matrix = torch.randn(1, n_in, n_out, dtype=torch.float64, generator=generator)
        bias = torch.randn(1, n_out, dtype=torch.float64, generator=generator)
        last = number == len(hidden)
        layers.append((matrix / math.sqrt(n_in), bias * (0.0 if last else 0.5)))
    return tuple(layers)


def flatten(weights: Weights) -> Tensor:
    """Give the parameters of one member (M = 1) as a vector: matrix, bias, layer by layer."""
    return torch.cat([part.reshape(-1) for layer in weights for part in layer])


def unflatten(vector: Tensor, inputs: int, hidden: tuple[int, ...]) -> Weights:
    """Give the layers of one member (M = 1) as views of a vector, inverse of :func:`flatten`."""
    layers = []
    start = 0
    for n_in, n_out in shapes(inputs, hidden):
        middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
        matrix = vector[start:middle].reshape(1, n_in, n_out)
        layers.append((matrix, vector[middle:end].reshape(1, n_out)))
        start = end
    return tuple(layers)
