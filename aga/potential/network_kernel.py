"""Stacked networks as one kernel: energies of atoms, and their gradients by the descriptor.

The same function as :func:`aga.potential.network.evaluate`, which training differentiates, for
the many small calls of a search: thirty-two atoms of one element are the lanes of a vector, and
all members take their turn while the descriptors of these atoms are at hand. The gradient of the
mean is added up on the way, so that more members cost no more memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np

from aga.potential.elementary import decay, log1p
from aga.potential.jit import compiled, vectorised
from aga.potential.lanes import aligned, load32, splat, store
from aga.potential.network import Activation, Weights
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["NetworkStack", "evaluate_stack", "pack_stack"]

LANES = 32

_KINDS = get_args(Activation)
_TANH, _SOFTPLUS, _SILU, _LOGISTIC, _GAUSSIAN = (
    _KINDS.index(kind) for kind in ("tanh", "softplus", "silu", "logistic", "gaussian")
)


class NetworkStack(NamedTuple):
    """Networks of M members for each of E elements (a named tuple: numba can take it)."""

    kind: int
    """Place of the activation in :data:`aga.potential.network.Activation`."""
    sizes: IntArray
    """(L + 1,) nodes of the layers, from the descriptor to the energy."""
    parameters: FloatArray
    """(E, M, P) matrices (n_in, n_out) and biases, layer by layer."""


def pack_stack(weights: Sequence[Weights], kind: Activation) -> NetworkStack:
    """Lay out the networks of each element, each stacked over the members."""
    first = weights[0]
    sizes = [first[0][0].shape[1], *(matrix.shape[2] for matrix, _ in first)]
    parameters = [
        np.concatenate(
            [part.reshape(len(part), -1).numpy() for layer in layers for part in layer], axis=1
        )
        for layers in weights
    ]
    return NetworkStack(
        kind=_KINDS.index(kind),
        sizes=np.array(sizes, dtype=np.int64),
        parameters=np.ascontiguousarray(parameters, dtype=np.float64),
    )


def evaluate_stack(
    stack: NetworkStack, G: FloatArray, species: IntArray, *, mean: bool
) -> tuple[FloatArray, FloatArray]:
    """Give the energies of atoms and their gradients.

    Parameters
    ----------
    stack
        The networks.
    G
        (N, D) descriptors.
    species
        (N,) element of each atom.
    mean
        Whether one gradient, of the mean over the members, is enough.

    Returns
    -------
    energies, gradients
        (M, N), and (1, N, D) or (M, N, D).
    """
    members = stack.parameters.shape[1]
    energies = np.empty((members, len(G)))
    gradients = np.empty((1 if mean else members, *G.shape))
    for element in range(len(stack.parameters)):
        atoms = np.flatnonzero(species == element)
        if len(atoms):
            _evaluate(stack, element, G, atoms, energies, gradients)
    return energies, gradients


@compiled
def _evaluate(
    stack: NetworkStack,
    element: int,
    G: FloatArray,
    atoms: IntArray,
    energies: FloatArray,
    gradients: FloatArray,
) -> None:
    """Evaluate the atoms of one element, thirty-two at a time."""
    sizes, members = stack.sizes, stack.parameters.shape[1]
    inputs, hidden = sizes[0], int(sizes[1:-1].sum())
    x, bar = aligned(inputs, LANES), aligned(inputs, LANES)
    z, slope = aligned(hidden + 1, LANES), aligned(hidden + 1, LANES)
    for begin in range(0, len(atoms), LANES):
        own = atoms[begin : begin + LANES]
        _take_in(G, own, x)
        bar[:] = 0.0
        for m in range(members):
            _forward(sizes, stack.parameters[element, m], stack.kind, x, z, slope)
            _backward(sizes, stack.parameters[element, m], z, slope, bar)
            for lane in range(len(own)):
                energies[m, own[lane]] = slope[hidden, lane]
            if len(gradients) == members:
                _hand_out(bar, 1.0, own, gradients[m])
                bar[:] = 0.0
        if len(gradients) < members:
            _hand_out(bar, 1.0 / members, own, gradients[0])


@compiled
def _take_in(G: FloatArray, atoms: IntArray, x: FloatArray) -> None:
    """Write descriptors to the lanes; those without an atom repeat the last one."""
    for lane in range(LANES):
        i = atoms[min(lane, len(atoms) - 1)]
        for k in range(len(x)):
            x[k, lane] = G[i, k]


@compiled
def _hand_out(bar: FloatArray, factor: float, atoms: IntArray, gradient: FloatArray) -> None:
    for lane in range(len(atoms)):
        i = atoms[lane]
        for k in range(len(bar)):
            gradient[i, k] = factor * bar[k, lane]


@compiled
def _forward(
    sizes: IntArray, parameters: FloatArray, kind: int, x: FloatArray, z: FloatArray, s: FloatArray
) -> None:
    """Write activations and their slopes; the energy goes to the last row of the slopes."""
    layers = len(sizes) - 1
    if layers == 1:
        _affine(parameters, (0, sizes[0], 1), x, 0, s, 0)
        return
    _affine(parameters, (0, sizes[0], sizes[1]), x, 0, z, 0)
    start, row = 0, 0
    for layer in range(1, layers):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        _activate(kind, z, s, row, row + n_in)
        start += (sizes[layer - 1] + 1) * n_in
        last = layer == layers - 1
        _affine(parameters, (start, n_in, n_out), z, row, s if last else z, row + n_in)
        row += n_in


@compiled
def _affine(
    parameters: FloatArray,
    layer: tuple[int, int, int],
    below: FloatArray,
    first: int,
    above: FloatArray,
    row: int,
) -> None:
    """Write b + Wᵀ·below to the rows above; ``layer`` is its place, inputs and outputs."""
    start, n_in, n_out = layer
    bias, pairs = start + n_in * n_out, n_out // 2 * 2
    for o in range(0, pairs, 2):  # two at a time share what is read from below
        one = splat(load32(below, first, 0), parameters[bias + o])
        two = splat(load32(below, first, 0), parameters[bias + o + 1])
        for k in range(n_in):
            shared, place = load32(below, first + k, 0), start + k * n_out + o
            one = one + parameters[place] * shared
            two = two + parameters[place + 1] * shared
        store(above, row + o, 0, one)
        store(above, row + o + 1, 0, two)
    for o in range(pairs, n_out):
        total = splat(load32(below, first, 0), parameters[bias + o])
        for k in range(n_in):
            total = total + parameters[start + k * n_out + o] * load32(below, first + k, 0)
        store(above, row + o, 0, total)


@compiled
def _backward(
    sizes: IntArray, parameters: FloatArray, d: FloatArray, s: FloatArray, bar: FloatArray
) -> None:
    """Add the gradient of the energy by the inputs to ``bar``; overwrites the activations ``d``."""
    layers = len(sizes) - 1
    start, row = len(parameters), s.shape[0] - 1
    for layer in range(layers - 1, -1, -1):
        n_in, n_out = sizes[layer], sizes[layer + 1]
        start -= (n_in + 1) * n_out
        for k in range(n_in):
            total = splat(load32(s, 0, 0), 0.0)
            if layer == layers - 1:
                total = total + parameters[start + k]
            else:
                for o in range(n_out):
                    total = total + parameters[start + k * n_out + o] * load32(d, row + o, 0)
            if layer == 0:
                store(bar, k, 0, load32(bar, k, 0) + total)
            else:
                store(d, row - n_in + k, 0, total * load32(s, row - n_in + k, 0))
        row -= n_in


@compiled
def _activate(kind: int, z: FloatArray, s: FloatArray, begin: int, end: int) -> None:
    """Turn the signals of some rows into activations and write their slopes."""
    for row in range(begin, end):
        if kind == _TANH:
            _tanh(z[row], s[row])
        elif kind == _GAUSSIAN:
            _gaussian(z[row], s[row])
        elif kind == _SOFTPLUS:
            _softplus(z[row], s[row])
        elif kind == _SILU:
            _silu(z[row], s[row])
        elif kind == _LOGISTIC:
            _logistic(z[row], s[row])
        else:
            s[row] = 1.0


@vectorised
def _tanh(z: FloatArray, s: FloatArray) -> None:
    for lane in range(LANES):
        e = decay(2.0 * abs(z[lane]))
        t = (1.0 - e) / (1.0 + e)
        z[lane] = t if z[lane] >= 0.0 else -t
        s[lane] = 1.0 - t * t


@vectorised
def _gaussian(z: FloatArray, s: FloatArray) -> None:
    for lane in range(LANES):
        a = z[lane]
        z[lane] = decay(0.5 * a * a)
        s[lane] = -a * z[lane]


@vectorised
def _softplus(z: FloatArray, s: FloatArray) -> None:
    for lane in range(LANES):
        a = z[lane]
        e = decay(abs(a))
        z[lane] = max(a, 0.0) + log1p(e)
        s[lane] = (1.0 if a >= 0.0 else e) / (1.0 + e)


@vectorised
def _logistic(z: FloatArray, s: FloatArray) -> None:
    for lane in range(LANES):
        e = decay(abs(z[lane]))
        z[lane] = (1.0 if z[lane] >= 0.0 else e) / (1.0 + e)
        s[lane] = z[lane] * (1.0 - z[lane])


@vectorised
def _silu(z: FloatArray, s: FloatArray) -> None:
    for lane in range(LANES):
        a = z[lane]
        e = decay(abs(a))
        sigmoid = (1.0 if a >= 0.0 else e) / (1.0 + e)
        z[lane] = a * sigmoid
        s[lane] = sigmoid * (1.0 + a * (1.0 - sigmoid))
