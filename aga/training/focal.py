"""Focal weights: structures that the model fits badly count more in the next passes."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["focal_weights", "settled_weights"]


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


def settled_weights(before: Tensor, losses: Tensor, gamma: float, cap: float) -> Tensor:
    """Weigh each structure, where the last passes all but solved the problem weighted ``before``.

    Solving with weights loss^γ again and again is the classical way to the smallest
    p-norm of the errors, p = 2 + 2γ; taken whole, its steps overshoot and swing for γ ≥ 1/2 and
    for ever: what was weighted is fitted, so that next time something else is. The step of
    Newton's method is the part 1/(p − 1) of it, in the logarithm.

    Parameters
    ----------
    before
        (n,) weights of the last passes; where one is zero the formula's own is taken.
    losses, gamma, cap
        As of :func:`focal_weights`.

    References
    ----------
    C. S. Burrus, J. A. Barreto, I. W. Selesnick, IEEE Trans. Signal Process. 42, 2926 (1994).
    """
    whole = focal_weights(losses, gamma, cap)
    part = 1.0 / (1.0 + 2.0 * gamma)
    mixed = before.pow(1.0 - part) * whole.pow(part)
    return torch.where(before > 0, mixed, whole).clamp(max=cap)
