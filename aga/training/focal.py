"""Focal weights: structures that the model fits badly count more in the next passes."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["focal_weights"]


def focal_weights(losses: Tensor, gamma: float, cap: float) -> Tensor:
    """Weigh each structure by its own loss in the last pass.

    FL_i = (n · loss_i / Σ_k loss_k)^γ, at most ``cap``; a constant in the gradient. The idea is
    that of the focal loss for detection (Lin et al., IEEE ICCV 2017): a few new structures among
    many that are fitted already would otherwise drown.

    Parameters
    ----------
    losses
        (n,) losses of the structures, ≥ 0.
    gamma
        γ ≥ 0; 0 gives exactly 1 everywhere: ordinary training.
    cap
        Largest weight.

    Returns
    -------
    Tensor
        (n,), detached. Ones where nothing can be compared: all losses are zero.
    """
    losses = losses.detach()
    mean = losses.mean() if len(losses) else torch.zeros((), dtype=losses.dtype)
    if gamma == 0.0 or not bool(mean > 0):
        return torch.ones_like(losses)
    return (losses / mean).pow(gamma).clamp(max=cap)
