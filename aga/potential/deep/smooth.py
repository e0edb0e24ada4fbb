"""The smooth Deep Potential descriptor: its definition, and neighbourhoods packed for it.

Zhang, Han, Wang, Saidi, Car, E, "End-to-end symmetry preserving inter-atomic potential energy
model for finite and extended systems", NeurIPS 2018 (DeepPot-SE).

Each neighbour j of atom i, at distance r in direction u, has the generalised coordinates
R̃_j = s(r) (1, u) with a smooth weight s, and a vector g_j of M₁ numbers that an *embedding
network* makes of s(r) alone, one network for each pair of central and neighbour element. Then

    T = Σ_j g_j ⊗ R̃_j  (M₁ × 4),   D = T T_<ᵀ  (M₁ × M₂),

with T_< the first M₂ rows of T. D does not change under rotation or permutation, and goes
smoothly through the cutoff. Every neighbour within the cutoff counts: nothing is cut off at a
fixed number, as it is elsewhere.

In the place of the factors 1/N of the original, T is standardised between the two equations: its
first column, which is a scalar, is shifted and scaled, the other three together are scaled. The
weights all have one sign, so unshifted the first column is many times larger than its variation
among atoms and than the directions, which then hardly show in D: fits of the same length end at
twice the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from ase.data import atomic_numbers
from torch import Tensor

from aga.errors import InputError
from aga.potential.deep.pairs import distances
from aga.potential.neighbours import Pairs
from aga.structure.candidate import FloatArray, IntArray

__all__ = ["SLOTS", "Block", "DeepSmooth", "Neighbourhood", "Shell", "pack", "smooth_weight"]

SLOTS = 4096
"""Neighbours of a block times members, at most, so that its numbers stay near the processor."""

WASTE = 1.3
"""Atoms share a block as long as the most neighbours are no more than this times the fewest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepSmooth:
    """Shape of the smooth descriptor.

    Parameters
    ----------
    elements
        Element symbols; numbering of all arrays.
    cutoff, inner
        Å: s(r) = 1/r up to ``inner``, and 0 from ``cutoff``.
    embedding
        Nodes of the layers of the embedding networks, tanh all; the last is M₁.
    axis
        M₂.

    Raises
    ------
    aga.errors.InputError
        No or unknown elements, radii out of order, or layers that do not fit.
    """

    elements: tuple[str, ...]
    cutoff: float
    inner: float
    embedding: tuple[int, ...]
    axis: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "embedding", tuple(int(n) for n in self.embedding))
        unknown = [el for el in self.elements if el not in atomic_numbers]
        if unknown or not self.elements or len(set(self.elements)) != len(self.elements):
            raise InputError(f"smooth descriptor: {', '.join(self.elements)} are no elements")
        if not 0.0 <= self.inner < self.cutoff < np.inf:
            raise InputError(
                f"smooth descriptor: from {self.inner} to {self.cutoff} Å is no range above 0"
            )
        if not self.embedding or min(self.embedding) < 1:
            raise InputError("smooth descriptor: the embedding needs layers of at least one node")
        if not 1 <= self.axis <= self.embedding[-1]:
            raise InputError("smooth descriptor: more axis neurons than outputs of the embedding")

    @property
    def size(self) -> int:
        """Number of columns of D."""
        return self.embedding[-1] * self.axis

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements."""
        return tuple(int(atomic_numbers[el]) for el in self.elements)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(n_in, n_out) of every layer of an embedding network."""
        return list(zip((1, *self.embedding[:-1]), self.embedding, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "elements": list(self.elements),
            "cutoff": self.cutoff,
            "inner": self.inner,
            "embedding": list(self.embedding),
            "axis": self.axis,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            elements=tuple(data["elements"]),
            cutoff=float(data["cutoff"]),
            inner=float(data["inner"]),
            embedding=tuple(data["embedding"]),
            axis=int(data["axis"]),
        )


class Shell(NamedTuple):
    """The neighbours of one element of n atoms, K places each; empty places are zero throughout.

    ``s`` (n, K) in 1/Å; ``coordinates`` (n, K, 4) R̃ = s (1, u); ``unit`` (n, K, 3) u; ``ratio``
    and ``slope`` (n, K, 1) s/r and ds/dr in 1/Å²; ``vectors`` (n, K, 3) in Å; ``second`` (n·K,)
    the neighbours' atoms.
    """

    s: Tensor
    coordinates: Tensor
    unit: Tensor
    ratio: Tensor
    slope: Tensor
    vectors: Tensor
    second: Tensor


class Block(NamedTuple):
    """Atoms of one element with about as many neighbours; shells by neighbour element."""

    centre: int
    atoms: Tensor
    owners: Tensor
    shells: tuple[Shell, ...]


class Neighbourhood(NamedTuple):
    """All N atoms of B structures."""

    blocks: tuple[Block, ...]
    atoms: int
    structures: int


def smooth_weight(r: FloatArray, inner: float, cutoff: float) -> tuple[FloatArray, FloatArray]:
    """Give s(r) in 1/Å and its derivative in 1/Å².

    s = w(x)/r with x = (r − r_in)/(r_c − r_in) and w = 1 − 10x³ + 15x⁴ − 6x⁵ between the two
    radii, 1 before and 0 behind: two continuous derivatives everywhere.
    """
    x = np.clip((r - inner) / (cutoff - inner), 0.0, 1.0)
    w = 1.0 + x**3 * (-10.0 + x * (15.0 - 6.0 * x))
    slope = -30.0 * (x * (1.0 - x)) ** 2 / (cutoff - inner)
    return w / r, (slope - w / r) / r


def pack(pairs: Pairs, descriptor: DeepSmooth, slots: int = SLOTS) -> Neighbourhood:
    """Bring the pairs into blocks of atoms, with everything that doesn't depend on networks.

    Parameters
    ----------
    pairs
        Neighbours within the cutoff.
    descriptor
        Elements and radii.
    slots
        Neighbours that one block holds at most.
    """
    r = distances(pairs)
    s, ds = smooth_weight(r, descriptor.inner, descriptor.cutoff)
    unit = pairs.vectors / r[:, None]
    coordinates = s[:, None] * np.column_stack([np.ones(len(r)), unit])
    columns = ((s / r)[:, None], ds[:, None])
    arrays = (s, coordinates, unit, *columns, pairs.vectors, pairs.second)
    padded = [np.concatenate([a, np.zeros((1, *a.shape[1:]), a.dtype)]) for a in arrays]
    blocks = []
    for centre in range(len(descriptor.elements)):
        for atoms in _groups(pairs, np.flatnonzero(pairs.species == centre), slots):
            shells = tuple(
                _shell(padded, pairs.starts[atoms, n : n + 2])
                for n in range(len(descriptor.elements))
            )
            owners = torch.from_numpy(pairs.owners[atoms])
            blocks.append(Block(centre, torch.from_numpy(atoms), owners, shells))
    return Neighbourhood(tuple(blocks), len(pairs.starts), pairs.structures)


def _groups(pairs: Pairs, atoms: IntArray, slots: int) -> list[IntArray]:
    """Divide atoms by their number of neighbours, in blocks that waste little space."""
    counts = pairs.starts[atoms, -1] - pairs.starts[atoms, 0]
    order = np.argsort(counts, kind="stable")
    atoms, counts = atoms[order], counts[order]
    groups, start = [], 0
    while start < len(atoms):
        most = np.searchsorted(counts, WASTE * counts[start] + 4, side="right")
        sizes = counts[start:most] * np.arange(1, most - start + 1)
        end = start + max(1, int(np.searchsorted(sizes, slots, side="right")))
        groups.append(np.sort(atoms[start:end]))
        start = end
    return groups


def _shell(padded: list[Any], bounds: IntArray) -> Shell:
    widest = int((bounds[:, 1] - bounds[:, 0]).max(initial=0))
    places = bounds[:, :1] + np.arange(widest)
    places[places >= bounds[:, 1:]] = -1
    arrays = [torch.from_numpy(a[places]) for a in padded]
    return Shell._make([*arrays[:-1], arrays[-1].reshape(-1)])
