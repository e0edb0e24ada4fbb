"""Energies, forces and virials of frames as functions of the network weights.

Networks give E and ∂E/∂G; the descriptor's Jacobian takes ∂E/∂G to forces and virial. That is
linear, so its transpose is all that the gradient of a loss on forces needs: *pull* forward and
*push* backward are one custom autograd function, whichever way they are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aga.potential.network import Activation, Weights, evaluate
from aga.potential.threads import Threads
from aga.structure.candidate import FloatArray, IntArray
from aga.training.data.described import Described, Lot
from aga.training.data.jacobians import Jacobians
from aga.training.data.standard import Standard

__all__ = ["Evaluator", "FixedEvaluator", "Piece", "Predicted"]

Predicted = tuple[Tensor, Tensor, Tensor]
"""Energy (F,) eV, dE/dR (N, 3) eV/Å and dE/dε (F, 6) eV of the networks alone: reference
energies and repulsion are not in it."""


class Piece(Protocol):
    """Frames that are evaluated together."""

    @property
    def frames(self) -> IntArray:
        """(F,) places of the frames."""
        ...

    def __call__(self, networks: Sequence[Weights], *, derivatives: bool = True) -> Predicted:
        """Predict; ``networks`` (M = 1) are those of the layout, in its order.

        Without ``derivatives`` gradient and strain derivative may be zeros: they cost the most.
        """
        ...


class Evaluator(Protocol):
    """Predicts the frames of a dataset; differentiable with respect to the weights."""

    def pieces(self, frames: IntArray | None = None) -> Iterator[Piece]:
        """Give pieces that cover some frames, or all; in their order."""
        ...


class _Pull(torch.autograd.Function):
    """∂E/∂G ↦ (∂E/∂R, ∂E/∂ε), with its transpose."""

    @staticmethod
    def forward(ctx: Any, adjoint: Tensor, piece: FixedPiece) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - torch's context
        ctx.piece = piece
        gradient, strain = piece.pull(adjoint.detach().numpy())
        return torch.from_numpy(gradient), torch.from_numpy(strain)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - torch's context
        gradient, strain = (grad.detach().contiguous().numpy() for grad in grads)
        return torch.from_numpy(ctx.piece.push(gradient, strain)), None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FixedPiece:
    """Frames whose descriptors are at hand.

    ``x`` (N, D) standardised; ``scale`` (E, D); ``atoms`` of each element; ``owners`` (N,) the
    frame of each atom and ``offsets`` (F + 1,) its first; ``pull`` and ``push`` the Jacobian of
    the descriptor as it is, not standardised, and ``jacobian`` of one frame by its place among
    all, None where it isn't stored.
    """

    frames: IntArray
    x: Tensor
    scale: Tensor
    atoms: tuple[Tensor, ...]
    owners: Tensor
    offsets: IntArray
    energy_scale: float
    activation: Activation
    pull: Callable[[FloatArray], tuple[FloatArray, FloatArray]]
    push: Callable[[FloatArray, FloatArray], FloatArray]
    jacobian: Callable[[int], npt.NDArray[np.float32]] | None

    def tangents(self, directions: Sequence[FloatArray]) -> list[Tensor]:
        """Give the changes (s, n, D) of the standardised descriptors of each frame.

        ``directions`` (s, 3n + 6) of each: displacements of its atoms, and strains. Single
        precision.
        """
        found = self._multiplied(directions) if self.jacobian else self._pushed(directions)
        scale = torch.ones_like(self.x)
        for element, atoms in enumerate(self.atoms):
            scale[atoms] = self.scale[element]
        parts = torch.split(scale.float(), np.diff(self.offsets).tolist())
        return [one / mine for one, mine in zip(found, parts, strict=True)]

    def _multiplied(self, directions: Sequence[FloatArray]) -> list[Tensor]:
        found = []
        for frame, mine in zip(self.frames, directions, strict=True):
            J = torch.from_numpy(self.jacobian(int(frame)))  # type: ignore[misc] # there is one
            product = J @ torch.from_numpy(np.ascontiguousarray(mine.T)).float()
            shape = (len(product) // self.x.shape[1], self.x.shape[1], len(mine))
            found.append(product.reshape(shape).permute(2, 0, 1))
        return found

    def _pushed(self, directions: Sequence[FloatArray]) -> list[Tensor]:
        """Take the first direction of every frame together, then the second, and so on."""
        atoms = np.diff(self.offsets)
        found = [
            torch.empty(len(d), n, self.x.shape[1]) for d, n in zip(directions, atoms, strict=True)
        ]
        for number in range(max((len(mine) for mine in directions), default=0)):
            gradient, strain = np.zeros((len(self.x), 3)), np.zeros((len(self.frames), 6))
            for place, mine in enumerate(directions):
                if number < len(mine):
                    first, last = self.offsets[place], self.offsets[place + 1]
                    gradient[first:last] = mine[number, :-6].reshape(-1, 3)
                    strain[place] = mine[number, -6:]
            pushed = torch.from_numpy(self.push(gradient, strain)).float()
            for place, part in enumerate(torch.split(pushed, atoms.tolist())):
                if number < len(found[place]):
                    found[place][number] = part
        return found

    def __call__(self, networks: Sequence[Weights], *, derivatives: bool = True) -> Predicted:
        """Give energy, gradient and strain derivative; zeros for these if not asked for."""
        energy = self.x.new_zeros(len(self.frames))
        adjoint = torch.zeros_like(self.x)
        for element, (weights, atoms) in enumerate(zip(networks, self.atoms, strict=True)):
            if not len(atoms):
                continue
            output, slope = evaluate(weights, self.activation, self.x[atoms])
            energy = energy.index_add(0, self.owners[atoms], output[0])
            adjoint = adjoint.index_copy(0, atoms, slope[0] / self.scale[element])
        s = self.energy_scale
        if not derivatives:
            return s * energy, adjoint.new_zeros(len(adjoint), 3), energy.new_zeros(len(energy), 6)
        gradient, strain = _Pull.apply(adjoint, self)  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return s * energy, s * gradient, s * strain


class FixedEvaluator:
    """Evaluates frames described by a descriptor that has no trained parameters.

    Parameters
    ----------
    data
        Frames, described.
    standard
        Standardisation of descriptors and energy.
    activation
        Of the networks.
    threads
        That share the products with stored Jacobians.
    """

    def __init__(
        self,
        data: Described,
        standard: Standard,
        activation: Activation,
        threads: Threads | None = None,
    ) -> None:
        self._data, self._standard, self._activation = data, standard, activation
        self._threads = threads or Threads()
        self._scale = torch.from_numpy(standard.scale)
        self._starts = np.concatenate([[0], np.cumsum(data.labels.counts)])
        self._x = None
        if data.G is not None:
            self._x = self._standardised(data.G, data.species)
        self._whole: list[Piece] | None = None

    def pieces(self, frames: IntArray | None = None) -> Iterator[Piece]:
        """Give pieces of some frames, or of all; see :class:`Evaluator`."""
        data = self._data
        if frames is not None:
            yield self._stored(frames) if self._x is not None else self._anew(frames)
        elif data.jacobians is None and data.stored is None:  # beyond memory: one at a time
            for first, last in data.lots:
                yield self._anew(np.arange(first, last))
        else:
            if self._whole is None:
                self._whole = [self._kept(place) for place in range(len(data.lots))]
            yield from self._whole

    def _kept(self, place: int) -> Piece:
        frames = np.arange(*self._data.lots[place])
        if self._data.stored is None:
            return self._stored(frames)
        return self._of_lot(frames, self._data.stored[place])

    def _anew(self, frames: IntArray) -> Piece:
        return self._of_lot(frames, self._data.again(frames))

    def _of_lot(self, frames: IntArray, lot: Lot) -> Piece:
        x = self._standardised(lot.G, lot.pairs.species)
        return self._piece(frames, x, lot.pairs.species, (lot.pull, lot.push, None))

    def _stored(self, frames: IntArray) -> Piece:
        jacobians, x = self._data.jacobians, self._x
        if jacobians is None or x is None:
            raise ValueError("no Jacobians are stored")
        atoms = _atoms_of(self._starts, frames)
        work = _Products(jacobians, frames, self._threads)
        chosen = x[torch.from_numpy(atoms)]
        return self._piece(
            frames, chosen, self._data.species[atoms], (work.pull, work.push, jacobians.of)
        )

    def _piece(
        self, frames: IntArray, x: Tensor, species: IntArray, maps: tuple[Any, Any, Any]
    ) -> Piece:
        counts = self._data.labels.counts[frames]
        return FixedPiece(
            frames=frames,
            x=x,
            scale=self._scale,
            atoms=tuple(
                torch.from_numpy(np.flatnonzero(species == element))
                for element in range(len(self._scale))
            ),
            owners=torch.from_numpy(np.repeat(np.arange(len(frames)), counts)),
            offsets=np.concatenate([[0], np.cumsum(counts)]),
            energy_scale=self._standard.energy_scale,
            activation=self._activation,
            pull=maps[0],
            push=maps[1],
            jacobian=maps[2],
        )

    def _standardised(self, G: FloatArray, species: IntArray) -> Tensor:
        standard = self._standard
        return torch.from_numpy((G - standard.mean[species]) / standard.scale[species])


def _atoms_of(starts: IntArray, frames: IntArray) -> IntArray:
    return np.concatenate([np.arange(starts[f], starts[f + 1]) for f in frames])


class _Products:
    """Products with the stored Jacobians of some frames, shared by threads."""

    def __init__(self, jacobians: Jacobians, frames: IntArray, threads: Threads) -> None:
        self._jacobians, self._threads = jacobians, threads
        counts = jacobians.counts[frames]
        atoms = np.concatenate([[0], np.cumsum(counts)])
        cost = np.cumsum(counts.astype(np.float64) ** 2)
        parts = min(threads.count, len(frames))
        cuts = np.searchsorted(cost, cost[-1] * np.arange(1, parts) / parts) + 1
        edges = sorted({0, *cuts.tolist(), len(frames)})
        self._shares = [
            (frames[a:b], slice(a, b), slice(atoms[a], atoms[b])) for a, b in pairwise(edges)
        ]

    def pull(self, adjoint: FloatArray) -> tuple[FloatArray, FloatArray]:
        parts = self._threads.map(
            lambda share: self._jacobians.pull(share[0], adjoint[share[2]]), self._shares
        )
        if len(parts) == 1:
            return parts[0]
        return np.concatenate([g for g, _ in parts]), np.concatenate([s for _, s in parts])

    def push(self, gradient: FloatArray, strain: FloatArray) -> FloatArray:
        parts = self._threads.map(
            lambda share: self._jacobians.push(share[0], gradient[share[2]], strain[share[1]]),
            self._shares,
        )
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
