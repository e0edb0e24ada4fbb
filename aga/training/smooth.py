"""Training of models with the smooth Deep Potential descriptor: both networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aga.potential.batch import Batch
from aga.potential.deep.model import DeepModel, DeepStandard, element_networks, network_names
from aga.potential.deep.network import draw_embedding, second_moments, sums
from aga.potential.deep.pairs import distances
from aga.potential.deep.smooth import DeepSmooth, pack, smooth_weight
from aga.potential.neighbours import Pairs, find_pairs
from aga.potential.network import Weights, flatten, initialise
from aga.rng import derive_seed
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.data.labels import Labels, label
from aga.training.data.standard import EnergyStandard, column_moments
from aga.training.problem import Material, Problem, energies_of, make_part, repulsion_of
from aga.training.recipe import Recipe
from aga.training.smooth_pieces import DeepEvaluator, DeepLayout

__all__ = ["prepare_smooth", "smooth_descriptor"]

INNER_SHARE = 0.2
"""Inner radius in cutoffs where the settings name none."""


def smooth_descriptor(recipe: Recipe) -> DeepSmooth:
    """Give the descriptor that the recipe asks for."""
    potential = recipe.potential
    inner = potential.deep.inner_radius
    return DeepSmooth(
        elements=recipe.elements,
        cutoff=potential.radius,
        inner=INNER_SHARE * potential.radius if inner is None else inner,
        embedding=potential.deep.embedding,
        axis=potential.deep.axis_neurons,
    )


def prepare_smooth(material: Material) -> Problem:
    """Pack the neighbourhoods and draw or restate the first weights.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    """
    recipe, descriptor = material.recipe, smooth_descriptor(material.recipe)
    hidden, activation = recipe.potential.hidden, recipe.potential.activation
    mine, labels = _label(material.frames, descriptor, material)
    energies = energies_of(labels, material, len(material.frames))
    previous = _usable(descriptor, material)
    if previous is None:
        # from the frames of all ranks: what the networks begin with has to be the same on each
        batch = Batch.pack([frame.candidate for frame in material.frames])
        pairs = find_pairs(batch, descriptor.cutoff, descriptor.numbers)
        start, standard = _fresh(descriptor, material, pairs, energies)
    else:
        start, standard = _restated(previous, energies)
    evaluator = DeepEvaluator(mine, descriptor, standard, activation)
    training = make_part(evaluator, labels, energies, material, len(material.frames))
    validation = others = None
    if material.held:
        held, others = _label(material.held, descriptor, material)
        evaluator = DeepEvaluator(held, descriptor, standard, activation)
        validation = make_part(evaluator, others, energies, material, len(material.held))

    def build(networks: Sequence[Weights], facts: dict[str, Any]) -> DeepModel:
        return DeepModel(
            descriptor=descriptor,
            hidden=hidden,
            activation=activation,
            weights=dict(zip(network_names(descriptor.elements), networks, strict=True)),
            standard=standard,
            repulsion=repulsion_of(recipe),
            facts=facts,
        )

    return Problem(
        start=start,
        warm=previous is not None,
        layout=DeepLayout(descriptor=descriptor, hidden=hidden),
        parts=(training, validation),
        labels=(labels, others),
        build=build,
    )


def _label(
    frames: Sequence[Frame], descriptor: DeepSmooth, material: Material
) -> tuple[list[Frame], Labels]:
    """Give this rank's frames, with their labels."""

    def find(batch: Batch) -> Pairs:
        return find_pairs(batch, descriptor.cutoff, descriptor.numbers)

    mine = [frames[place] for place in material.team.mine(len(frames))]
    if not mine:
        return [], Labels.none(len(descriptor.elements))
    return mine, label(mine, descriptor.elements, find, repulsion_of(material.recipe))[0]


def _usable(descriptor: DeepSmooth, material: Material) -> DeepModel | None:
    """Give the previous model where the training shall and can start from it."""
    recipe, previous = material.recipe, material.previous
    potential = recipe.potential
    if (
        recipe.training.start == "previous"
        and isinstance(previous, DeepModel)
        and (previous.descriptor, previous.hidden, previous.activation, previous.repulsion)
        == (descriptor, potential.hidden, potential.activation, repulsion_of(recipe))
    ):
        return previous
    return None


def _fresh(
    descriptor: DeepSmooth,
    material: Material,
    pairs: Pairs,
    energies: EnergyStandard,
) -> tuple[Tensor, DeepStandard]:
    """Draw the weights; what their first descriptors are in the data decides their standard."""
    seed = derive_seed(material.recipe.seed, "weights", material.member)
    generator = torch.Generator().manual_seed(seed)
    elements = range(len(descriptor.elements))
    embedding = [tuple(draw_embedding(descriptor, generator) for _ in elements) for _ in elements]
    hidden = material.recipe.potential.hidden
    fitting = [initialise(descriptor.size, hidden, generator) for _ in elements]
    where = pack(pairs, descriptor)
    s_mean, s_scale = _s_moments(pairs, descriptor)
    width = descriptor.embedding[-1]
    standard = DeepStandard(
        s_mean=s_mean,
        s_scale=s_scale,
        gain=np.ones((len(elements), 2)),
        offset=np.zeros((len(elements), width)),
        mean=np.zeros((len(elements), descriptor.size)),
        scale=np.ones((len(elements), descriptor.size)),
        reference_energies=energies.reference_energies,
        energy_scale=energies.energy_scale,
    )
    networks = [w for mine, fit in zip(embedding, fitting, strict=True) for w in (*mine, fit)]
    folded = [element.embedding for element in element_networks(networks, standard)]
    found = []
    for T in sums(folded, where):
        aside = torch.randn(width, dtype=torch.float64, generator=generator)
        factors, shift = _balance(T, aside)
        balanced = T * factors[[0, 1, 1, 1]]
        balanced[..., 0] += shift
        D = second_moments(balanced, descriptor.axis).flatten(-2).numpy()
        found.append((factors.numpy(), shift.numpy(), *column_moments(D)))
    gain, offset, mean, scale = (np.array(rows) for rows in zip(*found, strict=True))
    start = torch.cat([flatten(weights) for weights in networks])
    return start, replace(standard, gain=gain, offset=offset, mean=mean, scale=scale)


def _balance(T: Tensor, aside: Tensor) -> tuple[Tensor, Tensor]:
    """Give gains (2,) and offset (M₁,) that bring the columns of T (n, M₁, 4) to order one.

    The first column ends ``aside`` from zero on average, each row elsewhere, so that products of
    two rows have linear and quadratic parts in what varies.
    """
    radial, angular = T[..., 0], T[..., 1:]
    mean, spread = radial.mean(0), radial.std(0, unbiased=False).mean()
    # atoms that are all alike, or have an inversion centre, have no scale of their own
    spread = torch.maximum(spread, 1e-3 * mean.abs().mean())
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    size = torch.maximum((angular**2).mean().sqrt(), 0.1 * spread)
    return torch.stack([1.0 / spread, 1.0 / size]), aside - mean / spread


def _s_moments(pairs: Pairs, descriptor: DeepSmooth) -> tuple[FloatArray, FloatArray]:
    """Give mean and scale (E, E) of s(r) by central and neighbour element."""
    s, _ = smooth_weight(distances(pairs), descriptor.inner, descriptor.cutoff)
    elements = len(descriptor.elements)
    kind = pairs.species[pairs.first] * elements + pairs.species[pairs.second]
    count = np.maximum(np.bincount(kind, minlength=elements**2), 1)
    mean = np.bincount(kind, weights=s, minlength=elements**2) / count
    square = np.bincount(kind, weights=(s - mean[kind]) ** 2, minlength=elements**2) / count
    scale = np.sqrt(square)
    # elements that never meet, or always at one distance, have no scale of their own
    scale = np.where(scale > 1e-3, scale, 0.1)
    return mean.reshape(elements, elements), scale.reshape(elements, elements)


def _restated(model: DeepModel, energies: EnergyStandard) -> tuple[Tensor, DeepStandard]:
    """Give the same function for other reference energies; its inputs keep their standard."""
    old = model.standard
    standard = replace(
        old,
        reference_energies=energies.reference_energies,
        energy_scale=energies.energy_scale,
    )
    ratio = old.energy_scale / standard.energy_scale
    steps = (old.reference_energies - standard.reference_energies) / standard.energy_scale
    parts, elements = [], len(steps)
    for place, weights in enumerate(model.networks):
        centre, network = divmod(place, elements + 1)
        if network == elements:  # the fitting network
            matrix, bias = weights[-1]
            last = (matrix * ratio, bias * ratio + float(steps[centre]))
            parts.append(flatten((*weights[:-1], last)))
        else:
            parts.append(flatten(weights))
    return torch.cat(parts), standard
