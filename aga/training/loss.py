"""The loss of each frame: squared errors of energy, forces and virial with their prefactors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aga.structure.candidate import FloatArray, IntArray
from aga.training.schedule import Prefactors

__all__ = ["SHEAR", "Targets", "fade", "frame_losses", "loss_slopes"]

SHEAR = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
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

    def __len__(self) -> int:
        """Give the number of frames."""
        return len(self.counts)

    def take(self, frames: IntArray) -> Targets:
        """Give the targets of some frames, in the order named."""
        if np.array_equal(frames, np.arange(len(self))):
            return self
        places = torch.from_numpy(frames)
        counts = self.counts.numpy().astype(np.int64)
        starts = np.cumsum(counts) - counts
        atoms = torch.from_numpy(
            np.concatenate([np.arange(starts[f], starts[f] + counts[f]) for f in frames])
        )
        return Targets(
            energy=self.energy[places],
            gradient=self.gradient[atoms],
            strain=self.strain[places],
            has_forces=self.has_forces[places],
            has_stress=self.has_stress[places],
            counts=self.counts[places],
            owners=torch.from_numpy(np.repeat(np.arange(len(frames)), counts[frames])),
            fade=self.fade[places],
        )


def fade(above: FloatArray, scale: float | None) -> FloatArray:
    """Give frames far above the lowest one less weight: 1 / (1 + (Δε / scale)²).

    High structures teach the potential where not to go; their exact energies don't matter, and
    they would take all of its capacity.

    Parameters
    ----------
    above
        Energies in eV/atom above the lowest training frame; below it counts as level.
    scale
        eV/atom at which the weight is a half; None: all weigh the same.
    """
    if scale is None:
        return np.ones_like(above)
    weights: FloatArray = 1.0 / (1.0 + np.square(np.maximum(above, 0.0) / scale))
    return weights


def frame_losses(
    predicted: tuple[Tensor, Tensor, Tensor], targets: Targets, prefactors: Prefactors
) -> Tensor:
    """Give the loss of every frame.

    L = p_e Δε² + p_f/(3n) Σ_i |ΔF_i|² + p_ξ/9 ‖Δξ‖² with the energy per atom ε and the virial
    per atom ξ (Zhang et al., Phys. Rev. Lett. 120, 143001, 2018), times the frame's fade. A
    missing label adds nothing.

    Parameters
    ----------
    predicted
        Energy (F,), dE/dR (N, 3) and dE/dε (F, 6), as in :class:`Targets`.
    targets
        The labels.
    prefactors
        p_e and p_ξ in 1/eV², p_f in Å²/eV².

    Returns
    -------
    Tensor
        (F,), differentiable.
    """
    energy, gradient, strain = predicted
    counts = targets.counts
    loss = prefactors.energy * ((energy - targets.energy) / counts) ** 2
    squares = ((gradient - targets.gradient) ** 2).sum(-1)
    force = torch.zeros_like(loss).index_add(0, targets.owners, squares) / (3.0 * counts)
    loss = loss + prefactors.force * targets.has_forces * force
    error = (strain - targets.strain) / counts.unsqueeze(-1)
    virial = (strain.new_tensor(SHEAR) * error**2).sum(-1) / 9.0
    loss = loss + prefactors.stress * targets.has_stress * virial
    return targets.fade * loss


def loss_slopes(
    predicted: tuple[Tensor, Tensor, Tensor],
    targets: Targets,
    prefactors: Prefactors,
    weights: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give the derivatives of Σ_i w_i loss_i by what is predicted, see :func:`frame_losses`.

    Parameters
    ----------
    predicted, targets, prefactors
        Of the losses.
    weights
        (F,).

    Returns
    -------
    energy, gradient, strain
        (F,) 1/eV, (N, 3) Å/eV and (F, 6) 1/eV: by each of the predictions.
    """
    energy, gradient, strain = predicted
    counts, twice = targets.counts, 2.0 * weights * targets.fade
    by_energy = prefactors.energy * twice * (energy - targets.energy) / counts**2
    force = prefactors.force * twice * targets.has_forces / (3.0 * counts)
    by_gradient = force[targets.owners].unsqueeze(-1) * (gradient - targets.gradient)
    virial = prefactors.stress * twice * targets.has_stress / (9.0 * counts**2)
    by_strain = virial.unsqueeze(-1) * strain.new_tensor(SHEAR) * (strain - targets.strain)
    return by_energy, by_gradient, by_strain
