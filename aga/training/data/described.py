"""Frames described by a descriptor without trained parameters, as much of it as memory holds.

Three ways to the same numbers, chosen by the size of the data. *Jacobians* J are stored while
they fit: dE/d(R, ε) = Jᵀ ∂E/∂G is one product. *Descriptors* and neighbours are stored while
those fit: the kernels vjp and jvp do what the products did. Beyond, lots of frames are described
anew in every pass, so that a dataset may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from aga.parallel.ranks import Ranks
from aga.potential.descriptors import FixedDescriptor, Functions, make_descriptor
from aga.potential.guard import Repulsion
from aga.potential.neighbours import Pairs
from aga.potential.threads import Threads
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.protocols import Frame
from aga.training.data.jacobians import Jacobians
from aga.training.data.labels import Labels, label
from aga.training.data.standard import Columns, columns_of, merged

__all__ = ["Described", "Lot", "Memory", "describe", "lots_of"]

LOT_ATOMS = 4096
"""Atoms that are described and evaluated together: many enough that calls cost nothing, few
enough that what autograd keeps of them stays in tens of megabytes."""

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes for stored ``jacobians`` and for stored ``descriptors``."""

    jacobians: float
    descriptors: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lot:
    """Some frames, described: neighbours, ``G`` (N, D) and what the derivatives need."""

    descriptor: FixedDescriptor
    pairs: Pairs
    G: FloatArray
    moments: Any

    def pull(self, adjoint: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Give gradient (N, 3) and strain derivative (F, 6) for ∂E/∂G (N, D)."""
        gradient, strain = self.descriptor.vjp(self.pairs, adjoint, self.moments)
        return gradient, np.ascontiguousarray(strain[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]])

    def push(self, gradient: FloatArray, strain: FloatArray) -> FloatArray:
        """Give dG (N, D) for displacements (N, 3) and strains (F, 6): the transpose of pull."""
        full = np.zeros((len(strain), 3, 3))
        full[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]] = strain
        full = 0.5 * (full + np.swapaxes(full, 1, 2))
        return self.descriptor.jvp(self.pairs, np.ascontiguousarray(gradient), full, self.moments)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Described:
    """F frames of a training, and how to have them described again.

    ``lots`` (first, last) frames of each lot; ``stored`` the lots, None where they are described
    anew by ``again``; ``jacobians`` and ``G`` (N, D) of all frames where the Jacobians are
    stored; ``species`` (N,) elements; ``columns`` what the descriptor was.
    """

    labels: Labels
    lots: tuple[tuple[int, int], ...]
    again: Callable[[IntArray], Lot]
    stored: tuple[Lot, ...] | None
    jacobians: Jacobians | None
    G: FloatArray | None
    species: IntArray
    columns: Columns


def describe(
    frames: Sequence[Frame],
    functions: Functions,
    repulsion: Repulsion | None,
    memory: Memory,
    ranks: Ranks,
    threads: Threads | None = None,
) -> Described:
    """Describe the frames of this rank.

    Parameters
    ----------
    frames
        Those of this rank.
    functions, repulsion
        Of the model.
    memory
        What may be kept.
    ranks
        All of them: ``columns`` are those of everyone's frames.
    threads
        That describe a lot together.

    Raises
    ------
    aga.errors.DataError
        A frame that can't be trained on; names it and its source.
    """
    descriptor = make_descriptor(functions, threads)
    counts = np.array([len(frame.candidate) for frame in frames], dtype=np.int64)
    dense = Jacobians.bytes_for(counts, descriptor.size) <= memory.jacobians
    work = _Work(frames, functions, repulsion, descriptor)
    lots = lots_of(counts)
    # begun with nothing, for a rank may have got no frame
    size, elements = descriptor.size, len(functions.elements)
    labels, kept, derivatives = [Labels.none(elements)], [], []
    rows, species = [np.zeros((0, size))], [np.zeros(0, dtype=np.int64)]
    columns = [columns_of(rows[0], species[0], elements)]
    room = memory.descriptors
    for first, last in lots:
        mine, lot = work.lot(np.arange(first, last))
        labels.append(mine)
        columns.append(columns_of(lot.G, lot.pairs.species, elements))
        species.append(lot.pairs.species)
        if dense:
            derivatives.extend(_singles(descriptor.jacobian(lot.pairs, lot.moments)))
            rows.append(lot.G)
            continue
        room -= _bytes_of(lot)
        kept.append(lot)
        if room < 0:
            kept.clear()
    everything = len(kept) == len(lots)
    return Described(
        labels=Labels.join(labels),
        lots=tuple(lots),
        again=lambda chosen: work.lot(chosen)[1],
        stored=tuple(kept) if everything and not dense else None,
        jacobians=Jacobians.join(derivatives, size) if dense else None,
        G=np.concatenate(rows) if dense else None,
        species=np.concatenate(species),
        columns=merged(columns, ranks),
    )


def lots_of(counts: IntArray, atoms: int = LOT_ATOMS) -> list[tuple[int, int]]:
    """Give first and last frame of lots with about so many atoms each, in their order."""
    if not len(counts):
        return []
    before = np.cumsum(counts) - counts
    edges = [0, *(np.flatnonzero(np.diff(before // atoms)) + 1).tolist(), len(counts)]
    return list(pairwise(edges))


@dataclass(frozen=True, slots=True)
class _Work:
    """How frames are described."""

    frames: Sequence[Frame]
    functions: Functions
    repulsion: Repulsion | None
    descriptor: FixedDescriptor

    def lot(self, chosen: IntArray) -> tuple[Labels, Lot]:
        frames = [self.frames[place] for place in chosen]
        elements, find = self.functions.elements, self.descriptor.pairs
        labels, pairs = label(frames, elements, find, self.repulsion)
        G, moments = self.descriptor.values_and_moments(pairs)
        return labels, Lot(descriptor=self.descriptor, pairs=pairs, G=G, moments=moments)


def _singles(jacobians: Sequence[FloatArray]) -> list[Any]:
    return [one.astype(np.float32) for one in jacobians]


def _bytes_of(lot: Lot) -> int:
    arrays = [lot.G, *(a for a in lot.moments if isinstance(a, np.ndarray))]
    pairs = lot.pairs
    return sum(a.nbytes for a in (*arrays, pairs.vectors, pairs.second, pairs.starts))
