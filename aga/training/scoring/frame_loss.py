"""The loss of frames that a model was not trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from aga.potential.kinds import AnyModel, make_committee
from aga.structure.protocols import Frame
from aga.training.loss import Targets, frame_losses
from aga.training.schedule import Prefactors
from aga.training.scoring.assessment import predict_frames

__all__ = ["mean_loss"]


def mean_loss(model: AnyModel, frames: Sequence[Frame], prefactors: Prefactors) -> float:
    """Give the mean loss of frames, each with weight 1: what a training would call their loss.

    Parameters
    ----------
    model
        A member.
    frames
        One or more; a missing label adds nothing.
    prefactors
        Of the loss.

    Raises
    ------
    aga.errors.DataError
        The model can't say anything of a frame; names it.
    """
    said = predict_frames(make_committee([model]), frames)
    counts = np.array([len(frame.candidate) for frame in frames])
    volumes = np.array([frame.candidate.volume for frame in frames])
    forces = [
        np.zeros((n, 3)) if f.forces is None else f.forces
        for f, n in zip(frames, counts, strict=True)
    ]
    stress = [np.zeros(6) if f.stress is None else f.stress for f in frames]
    targets = Targets(
        energy=torch.tensor([frame.energy for frame in frames], dtype=torch.float64),
        gradient=torch.from_numpy(-np.concatenate(forces)),
        strain=torch.from_numpy(volumes[:, None] * np.array(stress)),
        has_forces=torch.tensor([float(frame.forces is not None) for frame in frames]),
        has_stress=torch.tensor([float(frame.stress is not None) for frame in frames]),
        counts=torch.from_numpy(counts.astype(np.float64)),
        owners=torch.from_numpy(np.repeat(np.arange(len(frames)), counts)),
        fade=torch.ones(len(frames), dtype=torch.float64),
    )
    predicted = (
        torch.tensor([one.energy for one in said], dtype=torch.float64),
        torch.from_numpy(-np.concatenate([one.forces for one in said])),
        torch.from_numpy(volumes[:, None] * np.array([one.stress for one in said])),
    )
    return float(frame_losses(predicted, targets, prefactors).mean())
