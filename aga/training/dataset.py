"""Frames made ready for training: descriptors, repulsion and labels computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aga.errors import DataError, StructureError
from aga.potential.batch import Batch
from aga.potential.descriptor import Descriptor
from aga.potential.functions import FunctionSet
from aga.potential.guard import Repulsion, repelled
from aga.potential.neighbours import Pairs
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.frames import check_frames
from aga.training.loss import Targets, fade

__all__ = ["VOIGT", "Dataset", "Standard", "describe", "frame_weights", "standardise"]

VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))
"""Rows and columns of the components xx, yy, zz, yz, xz, xy."""

SCALE_FLOOR = 0.01
"""Smallest scale of a descriptor, in medians of the scales: one that hardly varies in the data
must not become huge where it does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dataset:
    """F frames of N atoms in all, described.

    ``G`` (N, D) and ``moments`` as the descriptor gives them; ``species`` (N,) element index;
    ``composition`` (F, E) atoms of each element; ``energy`` (F,) eV, ``gradient`` (N, 3) eV/Å
    and ``strain`` (F, 6) eV are the labels less the repulsion, zero where there is none.
    """

    descriptor: Descriptor
    batch: Batch
    pairs: Pairs
    G: FloatArray
    moments: FloatArray
    composition: FloatArray
    energy: FloatArray
    gradient: FloatArray
    strain: FloatArray
    has_forces: FloatArray
    has_stress: FloatArray

    def jacobian_bytes(self) -> int:
        """Give the memory that dense Jacobians of all frames take."""
        counts = self.batch.counts
        return int((counts * self.descriptor.size * (3 * counts + 6)).sum()) * 8

    def targets(self, reference_energies: FloatArray, weights: FloatArray) -> Targets:
        """Give the labels less the reference energies, with the weights (F,) of the frames."""
        energy = self.energy - self.composition @ reference_energies
        return Targets(
            energy=torch.from_numpy(energy),
            gradient=torch.from_numpy(self.gradient),
            strain=torch.from_numpy(self.strain),
            has_forces=torch.from_numpy(self.has_forces),
            has_stress=torch.from_numpy(self.has_stress),
            counts=torch.from_numpy(self.batch.counts.astype(np.float64)),
            owners=torch.from_numpy(self.batch.owners),
            fade=torch.from_numpy(weights),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standard:
    """How descriptors and energies are brought to order one.

    ``mean`` and ``scale`` (E, D) of the descriptor of each element; ``reference_energies`` (E,)
    eV/atom, least squares; ``energy_scale`` eV; ``level`` (E,) energies from which the heights
    of frames are measured, and ``lowest`` the height of the lowest, eV/atom.
    """

    mean: FloatArray
    scale: FloatArray
    reference_energies: FloatArray
    energy_scale: float
    level: FloatArray
    lowest: float


def describe(
    frames: Sequence[Frame], functions: FunctionSet, repulsion: Repulsion | None
) -> Dataset:
    """Compute what training needs of the frames; their labels lose the repulsion.

    Raises
    ------
    aga.errors.DataError
        A frame that can't be trained on; names it and its source.
    """
    check_frames(frames, functions.elements)
    descriptor = Descriptor(functions)
    batch = Batch.pack([frame.candidate for frame in frames])
    try:
        pairs = descriptor.pairs(batch)
    except StructureError as error:
        index = int(error.facts["index"])
        raise DataError(
            f"{frames[index].source}, frame {index}: {error}",
            remedy="remove this frame",
            frames=[{"file": frames[index].source, "frame": index, "problem": str(error)}],
        ) from error
    G, moments = descriptor.values_and_moments(pairs)
    energy, push, squeeze, _ = repelled(repulsion, batch, pairs)
    composition = np.zeros((len(frames), len(functions.elements)))
    np.add.at(composition, (batch.owners, pairs.species), 1.0)
    has_forces = np.array([float(f.forces is not None) for f in frames])
    has_stress = np.array([float(f.stress is not None) for f in frames])
    none = [np.zeros((len(frame.candidate), 3)) for frame in frames]
    forces = [z if f.forces is None else f.forces for f, z in zip(frames, none, strict=True)]
    virial = [np.zeros(6) if f.stress is None else f.stress * f.candidate.volume for f in frames]
    return Dataset(
        descriptor=descriptor,
        batch=batch,
        pairs=pairs,
        G=G,
        moments=moments,
        composition=composition,
        energy=np.array([frame.energy for frame in frames]) - energy,
        gradient=-np.concatenate(forces) - push,
        strain=np.array(virial) - squeeze[:, VOIGT[0], VOIGT[1]],
        has_forces=has_forces,
        has_stress=has_stress,
    )


def standardise(data: Dataset, energy_scale: float) -> Standard:
    """Choose means, scales and reference energies from the data.

    Parameters
    ----------
    data
        Frames that are trained on.
    energy_scale
        eV/atom above the lowest at which a frame's weight is halved. Heights are measured after
        a first least-squares fit of reference energies, so that compositions compare.

    Raises
    ------
    aga.errors.DataError
        No frame holds one of the elements.
    """
    symbols, atoms = data.descriptor.functions.elements, data.composition.sum(axis=0)
    absent = [symbol for symbol, count in zip(symbols, atoms, strict=True) if not count]
    if absent:
        raise DataError(f"no labelled frame contains {', '.join(absent)}", elements=absent)
    per_atom, shares = _per_atom(data)
    level = _least_squares(shares, per_atom, np.ones(len(shares)))
    heights = per_atom - shares @ level
    weights = fade(heights - heights.min(), energy_scale)
    reference = _least_squares(shares, per_atom, weights)
    spread = np.sqrt(np.average((per_atom - shares @ reference) ** 2, weights=weights))
    mean, scale = _moments(data)
    return Standard(
        mean=mean,
        scale=scale,
        reference_energies=reference,
        energy_scale=float(np.clip(spread, 0.05, 5.0)),
        level=level,
        lowest=float(heights.min()),
    )


def _least_squares(shares: FloatArray, energies: FloatArray, weights: FloatArray) -> FloatArray:
    # the shortest solution where compositions leave it open, as with one compound alone
    root = np.sqrt(weights)
    solution = np.linalg.lstsq(shares * root[:, None], energies * root, rcond=None)[0]
    return np.asarray(solution, dtype=np.float64)


def _per_atom(data: Dataset) -> tuple[FloatArray, FloatArray]:
    counts = data.batch.counts
    return data.energy / counts, data.composition / counts[:, None]


def _moments(data: Dataset) -> tuple[FloatArray, FloatArray]:
    mean, scale = [], []
    for element in range(data.composition.shape[1]):
        G = data.G[data.pairs.species == element]
        deviation = G.std(axis=0)
        floor = SCALE_FLOOR * float(np.median(deviation))
        mean.append(G.mean(axis=0))
        scale.append(np.maximum(deviation, floor if floor > 0 else 1.0))
    return np.array(mean), np.array(scale)


def frame_weights(data: Dataset, standard: Standard, energy_scale: float) -> FloatArray:
    """Give the weight (F,) of each frame by its height above the lowest training frame."""
    per_atom, shares = _per_atom(data)
    return fade(per_atom - shares @ standard.level - standard.lowest, energy_scale)
