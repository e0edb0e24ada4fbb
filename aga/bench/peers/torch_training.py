"""The same training in plain torch: forces by autograd, their slopes by a second backward pass.

What one writes with a tensor library and no kernels of one's own: descriptors computed from the
positions within the graph, in every pass, since the forces need them; frame after frame, so that
the graph of one is in memory at a time. Labels are made ready beforehand, as ours are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from aga.bench.peers.torch_triplets import TorchTriplets, Variant
from aga.potential.model import Model
from aga.potential.network import Weights
from aga.structure.candidate import Candidate
from aga.training.data.labels import VOIGT
from aga.training.evaluators import Predicted
from aga.training.loss import Targets, frame_losses
from aga.training.objective import Layout
from aga.training.schedule import Prefactors

__all__ = ["TorchTraining"]


class TorchTraining:
    """Mean loss of some frames and its gradient, by double backward.

    Parameters
    ----------
    model
        Symmetry functions, standardisation and energy scale; weights are given with each call.
    candidates, targets
        F frames, their labels less reference energies and repulsion.
    variant
        How the angular functions are written.

    Raises
    ------
    aga.errors.InputError
        Functions that this peer does not know.
    """

    def __init__(
        self,
        model: Model,
        candidates: Sequence[Candidate],
        targets: Targets,
        variant: Variant = "factored",
    ) -> None:
        none = np.zeros_like(model.reference_energies)
        self._energies = TorchTriplets(
            replace(model, repulsion=None, reference_energies=none), variant
        )
        self._elements = model.functions.elements
        self._candidates = tuple(candidates)
        self._targets = [targets.take(np.array([place])) for place in range(len(candidates))]

    def gradient(
        self, vector: Tensor, layout: Layout, prefactors: Prefactors
    ) -> tuple[float, Tensor]:
        """Give value and gradient (P,) of the mean loss, all frames with weight one.

        ``vector`` (P,) parameters, ``layout`` what they mean: one network per element.
        """
        leaf = vector.detach().requires_grad_()
        total = 0.0
        for candidate, targets in zip(self._candidates, self._targets, strict=True):
            weights = dict(zip(self._elements, layout.networks(leaf), strict=True))
            predicted = self._predict(candidate, weights, stress=bool(targets.has_stress.any()))
            loss = frame_losses(predicted, targets, prefactors).sum()
            # without inputs named it would go on to the positions, which nobody asks for
            loss.backward(inputs=[leaf])  # type: ignore[no-untyped-call]  # torch leaves it untyped
            total += float(loss.detach())
        count = len(self._candidates)
        slope = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
        return total / count, slope / count

    def _predict(
        self, candidate: Candidate, weights: Mapping[str, Weights], *, stress: bool
    ) -> Predicted:
        positions = torch.from_numpy(np.array(candidate.positions)).requires_grad_()
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=stress)
        energy = self._energies.energy(candidate, positions, strain, weights)
        inputs = (positions, strain) if stress else (positions,)
        slopes = torch.autograd.grad(energy, inputs, create_graph=True)
        virial = slopes[1] if stress else strain
        return energy.reshape(1), slopes[0], virial[VOIGT[0], VOIGT[1]].reshape(1, 6)
