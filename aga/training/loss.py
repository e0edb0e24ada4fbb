"""The loss of each frame: errors of energy, forces and virial in their natural scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aga.config.schema import TrainingSettings
from aga.structure.candidate import FloatArray

__all__ = ["ENERGY_UNIT", "FORCE_UNIT", "VIRIAL_UNIT", "Targets", "fade", "frame_losses"]

ENERGY_UNIT, FORCE_UNIT, VIRIAL_UNIT = 0.01, 0.1, 0.05
"""eV/atom, eV/Å and eV/atom: errors of this size weigh the same."""

_SHEAR = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
"""How often each Voigt component stands in the 3×3 virial."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """What a network has to reproduce, for F frames of N atoms in all.

    ``energy`` (F,) eV, ``gradient`` (N, 3) dE/dR in eV/Å and ``strain`` (F, 6) dE/dε in eV
    (Voigt), all less the reference energies and the repulsion; ``has_forces`` and
    ``has_stress`` (F,) are 1 or 0; ``counts`` (F,) atoms; ``owners`` (N,) frame of each atom;
    ``fade`` (F,) weights of the frames.
    """

    energy: Tensor
    gradient: Tensor
    strain: Tensor
    has_forces: Tensor
    has_stress: Tensor
    counts: Tensor
    owners: Tensor
    fade: Tensor


def fade(above: FloatArray, scale: float) -> FloatArray:
    """Give frames far above the lowest one less weight: 1 / (1 + (Δε / scale)²).

    High structures teach the potential where not to go; their exact energies don't matter, and
    they would take all of its capacity.

    Parameters
    ----------
    above
        Energies in eV/atom above the lowest training frame; below it counts as level.
    scale
        eV/atom at which the weight is a half.
    """
    weights: FloatArray = 1.0 / (1.0 + np.square(np.maximum(above, 0.0) / scale))
    return weights


def frame_losses(
    predicted: tuple[Tensor, Tensor, Tensor], targets: Targets, settings: TrainingSettings
) -> Tensor:
    """Give the loss of every frame.

    L = p_e Δε² + p_f/(3n) Σ_i |ΔF_i|² + p_ξ/9 ‖Δξ‖² with the energy per atom ε and the virial
    per atom ξ (Zhang et al., Phys. Rev. Lett. 120, 143001, 2018), errors in units of 0.01 eV,
    0.1 eV/Å and 0.05 eV, times the frame's fade. A missing label adds nothing.

    Parameters
    ----------
    predicted
        Energy (F,), dE/dR (N, 3) and dE/dε (F, 6), as in :class:`Targets`.
    targets
        The labels.
    settings
        The three weights.

    Returns
    -------
    Tensor
        (F,), differentiable.
    """
    energy, gradient, strain = predicted
    counts = targets.counts
    loss = settings.energy_weight * ((energy - targets.energy) / (counts * ENERGY_UNIT)) ** 2
    squares = (((gradient - targets.gradient) / FORCE_UNIT) ** 2).sum(-1)
    force = torch.zeros_like(loss).index_add(0, targets.owners, squares) / (3.0 * counts)
    loss = loss + settings.force_weight * targets.has_forces * force
    shear = strain.new_tensor(_SHEAR)
    error = (strain - targets.strain) / (counts * VIRIAL_UNIT).unsqueeze(-1)
    virial = (shear * error**2).sum(-1) / 9.0
    loss = loss + settings.stress_weight * targets.has_stress * virial
    return targets.fade * loss
