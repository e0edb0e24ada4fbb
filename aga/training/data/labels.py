"""Labels of frames made ready for a loss: less the repulsion, as flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch

from aga.errors import DataError, StructureError
from aga.potential.batch import Batch
from aga.potential.guard import Repulsion, repelled
from aga.potential.neighbours import Pairs
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.protocols import Frame
from aga.training.data.frames import check_frames
from aga.training.loss import Targets

__all__ = ["VOIGT", "Labels", "label"]

VOIGT = ((0, 1, 2, 1, 0, 0), (0, 1, 2, 2, 2, 1))
"""Rows and columns of the components xx, yy, zz, yz, xz, xy."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Labels of F frames of N atoms in all, less the repulsion.

    ``counts`` (F,) atoms; ``volumes`` (F,) Å³; ``composition`` (F, E) atoms of each element;
    ``energy`` (F,) eV, ``gradient`` (N, 3) eV/Å and ``strain`` (F, 6) eV (Voigt), zero where
    there is none; ``has_forces`` and ``has_stress`` (F,) 1 or 0.
    """

    counts: IntArray
    volumes: FloatArray
    composition: FloatArray
    energy: FloatArray
    gradient: FloatArray
    strain: FloatArray
    has_forces: FloatArray
    has_stress: FloatArray

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Put the labels of several lots of frames one after the other."""
        names = [one.name for one in fields(cls)]
        return cls(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})

    @classmethod
    def none(cls, elements: int) -> Self:
        """Give the labels of no frame, such as those of a rank that got none."""
        return cls(
            counts=np.zeros(0, dtype=np.int64),
            volumes=np.zeros(0),
            composition=np.zeros((0, elements)),
            energy=np.zeros(0),
            gradient=np.zeros((0, 3)),
            strain=np.zeros((0, 6)),
            has_forces=np.zeros(0),
            has_stress=np.zeros(0),
        )

    def __len__(self) -> int:
        """Give the number of frames."""
        return len(self.counts)

    def targets(self, reference_energies: FloatArray, weights: FloatArray) -> Targets:
        """Give the labels less the reference energies, with the weights (F,) of the frames."""
        energy = self.energy - self.composition @ reference_energies
        return Targets(
            energy=torch.from_numpy(energy),
            gradient=torch.from_numpy(self.gradient),
            strain=torch.from_numpy(self.strain),
            has_forces=torch.from_numpy(self.has_forces),
            has_stress=torch.from_numpy(self.has_stress),
            counts=torch.from_numpy(self.counts.astype(np.float64)),
            owners=torch.from_numpy(np.repeat(np.arange(len(self)), self.counts)),
            fade=torch.from_numpy(weights),
        )


def label(
    frames: Sequence[Frame],
    elements: tuple[str, ...],
    find: Callable[[Batch], Pairs],
    repulsion: Repulsion | None,
) -> tuple[Labels, Pairs]:
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
    none = [np.zeros((len(frame.candidate), 3)) for frame in frames]
    forces = [z if f.forces is None else f.forces for f, z in zip(frames, none, strict=True)]
    virial = [np.zeros(6) if f.stress is None else f.stress * f.candidate.volume for f in frames]
    labels = Labels(
        counts=batch.counts,
        volumes=batch.volumes,
        composition=composition,
        energy=np.array([frame.energy for frame in frames]) - energy,
        gradient=-np.concatenate(forces) - push,
        strain=np.array(virial) - squeeze[:, VOIGT[0], VOIGT[1]],
        has_forces=np.array([float(f.forces is not None) for f in frames]),
        has_stress=np.array([float(f.stress is not None) for f in frames]),
    )
    return labels, pairs
