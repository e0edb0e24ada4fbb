"""Frames made ready for training: descriptors, repulsion and labels computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch

from aga.errors import DataError, StructureError
from aga.potential.batch import Batch
from aga.potential.descriptors import FixedDescriptor, Functions, make_descriptor
from aga.potential.guard import Repulsion, repelled
from aga.potential.neighbours import Pairs
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.frames import check_frames
from aga.training.loss import Targets, fade

__all__ = [
    "VOIGT",
    "Dataset",
    "EnergyStandard",
    "Labelled",
    "Standard",
    "column_moments",
    "describe",
    "frame_weights",
    "label",
    "standardise",
    "standardise_energies",
]

VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))
"""Rows and columns of the components xx, yy, zz, yz, xz, xy."""

SCALE_FLOOR = 0.01
"""Smallest scale of a descriptor, in medians of the scales: one that hardly varies in the data
must not become huge where it does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """F frames of N atoms in all, with their neighbours and labels.

    ``elements`` E symbols; ``composition`` (F, E) atoms of each element; ``energy`` (F,) eV,
    ``gradient`` (N, 3) eV/Å and ``strain`` (F, 6) eV are the labels less the repulsion, zero
    where there is none; ``has_forces`` and ``has_stress`` (F,) 1 or 0.
    """

    elements: tuple[str, ...]
    batch: Batch
    pairs: Pairs
    composition: FloatArray
    energy: FloatArray
    gradient: FloatArray
    strain: FloatArray
    has_forces: FloatArray
    has_stress: FloatArray

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
class Dataset(Labelled):
    """Frames described by a descriptor that isn't trained itself.

    ``G`` (N, D) and ``moments`` as the descriptor gives them.
    """

    descriptor: FixedDescriptor
    G: FloatArray
    moments: Any

    def jacobian_bytes(self) -> int:
        """Give the memory that dense Jacobians of all frames take."""
        counts = self.batch.counts
        return int((counts * self.descriptor.size * (3 * counts + 6)).sum()) * 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnergyStandard:
    """How energies are brought to order one.

    ``reference_energies`` (E,) eV/atom, least squares; ``energy_scale`` eV; ``level`` (E,)
    energies from which the heights of frames are measured, and ``lowest`` the height of the
    lowest, eV/atom.
    """

    reference_energies: FloatArray
    energy_scale: float
    level: FloatArray
    lowest: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standard(EnergyStandard):
    """The same for descriptors too: ``mean`` and ``scale`` (E, D) of each element's."""

    mean: FloatArray
    scale: FloatArray


def label(
    frames: Sequence[Frame],
    elements: tuple[str, ...],
    find: Callable[[Batch], Pairs],
    repulsion: Repulsion | None,
) -> Labelled:
    """List the neighbours of the frames; their labels lose the repulsion.

    Raises
    ------
    aga.errors.DataError
        A frame that can't be trained on; names it and its source.
    """
    check_frames(frames, elements)
    batch = Batch.pack([frame.candidate for frame in frames])
    try:
        pairs = find(batch)
    except StructureError as error:
        index = int(error.facts["index"])
        raise DataError(
            f"{frames[index].source}, frame {index}: {error}",
            remedy="remove this frame",
            frames=[{"file": frames[index].source, "frame": index, "problem": str(error)}],
        ) from error
    energy, push, squeeze, _ = repelled(repulsion, batch, pairs)
    composition = np.zeros((len(frames), len(elements)))
    np.add.at(composition, (batch.owners, pairs.species), 1.0)
    has_forces = np.array([float(f.forces is not None) for f in frames])
    has_stress = np.array([float(f.stress is not None) for f in frames])
    none = [np.zeros((len(frame.candidate), 3)) for frame in frames]
    forces = [z if f.forces is None else f.forces for f, z in zip(frames, none, strict=True)]
    virial = [np.zeros(6) if f.stress is None else f.stress * f.candidate.volume for f in frames]
    return Labelled(
        elements=elements,
        batch=batch,
        pairs=pairs,
        composition=composition,
        energy=np.array([frame.energy for frame in frames]) - energy,
        gradient=-np.concatenate(forces) - push,
        strain=np.array(virial) - squeeze[:, VOIGT[0], VOIGT[1]],
        has_forces=has_forces,
        has_stress=has_stress,
    )


def describe(frames: Sequence[Frame], functions: Functions, repulsion: Repulsion | None) -> Dataset:
    """Compute what training needs of the frames; errors as of :func:`label`."""
    descriptor = make_descriptor(functions)
    labelled = label(frames, functions.elements, descriptor.pairs, repulsion)
    G, moments = descriptor.values_and_moments(labelled.pairs)
    own = {one.name: getattr(labelled, one.name) for one in fields(labelled)}
    return Dataset(**own, descriptor=descriptor, G=G, moments=moments)


def standardise_energies(data: Labelled, energy_scale: float) -> EnergyStandard:
    """Choose reference energies and their scale from the data.

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
    symbols, atoms = data.elements, data.composition.sum(axis=0)
    absent = [symbol for symbol, count in zip(symbols, atoms, strict=True) if not count]
    if absent:
        raise DataError(f"no labelled frame contains {', '.join(absent)}", elements=absent)
    per_atom, shares = _per_atom(data)
    level = _least_squares(shares, per_atom, np.ones(len(shares)))
    heights = per_atom - shares @ level
    weights = fade(heights - heights.min(), energy_scale)
    reference = _least_squares(shares, per_atom, weights)
    spread = np.sqrt(np.average((per_atom - shares @ reference) ** 2, weights=weights))
    return EnergyStandard(
        reference_energies=reference,
        energy_scale=float(np.clip(spread, 0.05, 5.0)),
        level=level,
        lowest=float(heights.min()),
    )


def standardise(data: Dataset, energy_scale: float) -> Standard:
    """Choose means, scales and reference energies; see :func:`standardise_energies`."""
    energies = standardise_energies(data, energy_scale)
    own = {one.name: getattr(energies, one.name) for one in fields(energies)}
    places = [data.pairs.species == element for element in range(len(data.elements))]
    moments = [column_moments(data.G[mine]) for mine in places]
    mean, scale = (np.array(rows) for rows in zip(*moments, strict=True))
    return Standard(**own, mean=mean, scale=scale)


def _least_squares(shares: FloatArray, energies: FloatArray, weights: FloatArray) -> FloatArray:
    # the shortest solution where compositions leave it open, as with one compound alone
    root = np.sqrt(weights)
    solution = np.linalg.lstsq(shares * root[:, None], energies * root, rcond=None)[0]
    return np.asarray(solution, dtype=np.float64)


def _per_atom(data: Labelled) -> tuple[FloatArray, FloatArray]:
    counts = data.batch.counts
    return data.energy / counts, data.composition / counts[:, None]


def column_moments(G: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give mean and scale (D,) of the columns of a descriptor (n, D)."""
    deviation = G.std(axis=0)
    floor = SCALE_FLOOR * float(np.median(deviation))
    return G.mean(axis=0), np.maximum(deviation, floor if floor > 0 else 1.0)


def frame_weights(data: Labelled, standard: EnergyStandard, energy_scale: float) -> FloatArray:
    """Give the weight (F,) of each frame by its height above the lowest training frame."""
    per_atom, shares = _per_atom(data)
    return fade(per_atom - shares @ standard.level - standard.lowest, energy_scale)
