"""The kernel of the networks gives what the differentiable form gives."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch

from aga.potential.network import Activation, evaluate, initialise
from aga.potential.network_kernel import evaluate_stack, pack_stack


@pytest.mark.parametrize("kind", get_args(Activation))
@pytest.mark.parametrize("hidden", [(7,), (20, 20), (5, 9, 3)])
@pytest.mark.parametrize("members", [1, 3])
def test_energies_and_gradients(kind: Activation, hidden: tuple[int, ...], members: int) -> None:
    rng = np.random.default_rng(4)
    inputs, atoms = 13, 75
    generator = torch.Generator().manual_seed(1)
    stacks = []
    for _ in range(2):
        drawn = [initialise(inputs, hidden, generator) for _ in range(members)]
        stacks.append(
            tuple(
                (torch.cat([w for w, _ in layers]), torch.cat([b for _, b in layers]))
                for layers in zip(*drawn, strict=True)
            )
        )
    G = rng.normal(scale=3.0, size=(atoms, inputs))
    G[0], G[1] = 0.0, 300.0 * np.sign(G[1])  # far into both ends
    species = rng.integers(0, 2, atoms)
    stack = pack_stack(stacks, kind)
    energies, gradients = evaluate_stack(stack, G, species, mean=False)
    same, mean = evaluate_stack(stack, G, species, mean=True)
    np.testing.assert_array_equal(same, energies)
    np.testing.assert_allclose(mean[0], gradients.mean(axis=0), rtol=1e-13, atol=1e-13)
    for element, weights in enumerate(stacks):
        own = species == element
        energy, gradient = evaluate(weights, kind, torch.from_numpy(G[own]))
        np.testing.assert_allclose(energies[:, own], energy.numpy(), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(gradients[:, own], gradient.numpy(), rtol=1e-12, atol=1e-13)
    assert np.abs(gradients).max() > 0.01
