"""Training of models with the smooth Deep Potential descriptor: both networks at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aga.config.schema import Settings
from aga.potential.batch import Batch
from aga.potential.deep.model import DeepModel, DeepStandard, element_networks, network_names
from aga.potential.deep.network import draw_embedding, evaluate_deep, second_moments, sums
from aga.potential.deep.pairs import distances
from aga.potential.deep.smooth import DeepSmooth, Neighbourhood, pack, smooth_weight
from aga.potential.neighbours import Pairs, find_pairs
from aga.potential.network import Activation, Weights, flatten, initialise, shapes
from aga.rng import derive_seed
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.dataset import (
    VOIGT,
    EnergyStandard,
    Labelled,
    column_moments,
    label,
    standardise_energies,
)
from aga.training.problem import Material, Problem, make_part, repulsion_of

__all__ = ["DeepEvaluator", "DeepLayout", "prepare_smooth", "smooth_descriptor"]

INNER_SHARE = 0.2
"""Inner radius in cutoffs where the settings name none."""


def smooth_descriptor(settings: Settings) -> DeepSmooth:
    """Give the descriptor that the settings ask for."""
    potential = settings.potential
    inner = potential.deep.inner_radius
    return DeepSmooth(
        elements=tuple(sorted(settings.search.atom_counts())),
        cutoff=potential.cutoff,
        inner=INNER_SHARE * potential.cutoff if inner is None else inner,
        embedding=potential.deep.embedding,
        axis=potential.deep.axis_neurons,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeepLayout:
    """Embedding and fitting networks one after the other, in the order of their names."""

    descriptor: DeepSmooth
    hidden: tuple[int, ...]

    def networks(self, vector: Tensor) -> list[Weights]:
        """Give the networks as views of the parameter vector."""
        elements = len(self.descriptor.elements)
        each = [self.descriptor.layers] * elements + [shapes(self.descriptor.size, self.hidden)]
        networks, start = [], 0
        for layers in each * elements:
            network = []
            for n_in, n_out in layers:
                middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
                matrix = vector[start:middle].reshape(1, n_in, n_out)
                network.append((matrix, vector[middle:end].reshape(1, n_out)))
                start = end
            networks.append(tuple(network))
        return networks


class DeepEvaluator:
    """Energies, gradients and strains of a dataset as functions of all networks.

    Parameters
    ----------
    data
        Frames.
    where
        Their neighbourhoods.
    standard
        Standardisation of descriptors and energy.
    shape
        M₂, and the activation of the fitting networks.
    """

    def __init__(
        self,
        data: Labelled,
        where: Neighbourhood,
        standard: DeepStandard,
        shape: tuple[int, Activation],
    ) -> None:
        self._where = where
        self._standard = replace(
            standard, reference_energies=np.zeros_like(standard.reference_energies)
        )
        self._axis, self._activation = shape
        self._owners = torch.from_numpy(data.batch.owners)

    def __call__(self, networks: Sequence[Weights]) -> tuple[Tensor, Tensor, Tensor]:
        """Give energy, gradient and strain derivative of the networks, without references."""
        folded = element_networks(networks, self._standard)
        said = evaluate_deep(folded, self._activation, self._axis, self._where)
        energy = said.atomic.new_zeros(self._where.structures)
        strain = 0.5 * (said.strain + said.strain.transpose(-1, -2))
        rows, columns = VOIGT
        return (
            energy.index_add(0, self._owners, said.atomic[0]),
            said.gradient[0],
            strain[0][:, rows, columns],
        )


def prepare_smooth(material: Material) -> Problem:
    """Pack the neighbourhoods and draw or restate the first weights.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    """
    settings, descriptor = material.settings, smooth_descriptor(material.settings)
    hidden, activation = settings.potential.hidden, settings.potential.activation
    repulsion = repulsion_of(settings)
    data = _label(material.frames, descriptor, settings)
    where = pack(data.pairs, descriptor)
    energies = standardise_energies(data, settings.training.energy_scale)
    previous = _usable(descriptor, material)
    if previous is None:
        start, standard = _fresh(descriptor, material, (data, where), energies)
    else:
        start, standard = _restated(previous, energies)
    shape = (descriptor.axis, activation)
    training = make_part(DeepEvaluator(data, where, standard, shape), data, energies, settings)
    validation = others = None
    if material.held:
        others = _label(material.held, descriptor, settings)
        evaluator = DeepEvaluator(others, pack(others.pairs, descriptor), standard, shape)
        validation = make_part(evaluator, others, energies, settings)

    def build(networks: Sequence[Weights], facts: dict[str, Any]) -> DeepModel:
        return DeepModel(
            descriptor=descriptor,
            hidden=hidden,
            activation=activation,
            weights=dict(zip(network_names(descriptor.elements), networks, strict=True)),
            standard=standard,
            repulsion=repulsion,
            facts=facts,
        )

    return Problem(
        start=start,
        warm=previous is not None,
        layout=DeepLayout(descriptor=descriptor, hidden=hidden),
        parts=(training, validation),
        data=(data, others),
        build=build,
    )


def _label(frames: Sequence[Frame], descriptor: DeepSmooth, settings: Settings) -> Labelled:
    def find(batch: Batch) -> Pairs:
        return find_pairs(batch, descriptor.cutoff, descriptor.numbers)

    return label(frames, descriptor.elements, find, repulsion_of(settings))


def _usable(descriptor: DeepSmooth, material: Material) -> DeepModel | None:
    """Give the previous model where the training shall and can start from it."""
    settings, previous = material.settings, material.previous
    potential = settings.potential
    if (
        settings.training.start == "previous"
        and isinstance(previous, DeepModel)
        and (previous.descriptor, previous.hidden, previous.activation, previous.repulsion)
        == (descriptor, potential.hidden, potential.activation, repulsion_of(settings))
    ):
        return previous
    return None


def _fresh(
    descriptor: DeepSmooth,
    material: Material,
    described: tuple[Labelled, Neighbourhood],
    energies: EnergyStandard,
) -> tuple[Tensor, DeepStandard]:
    """Draw the weights; what their first descriptors are in the data decides their standard."""
    seed = derive_seed(material.seed, "weights", material.member)
    generator = torch.Generator().manual_seed(seed)
    elements = range(len(descriptor.elements))
    embedding = [tuple(draw_embedding(descriptor, generator) for _ in elements) for _ in elements]
    hidden = material.settings.potential.hidden
    fitting = [initialise(descriptor.size, hidden, generator) for _ in elements]
    data, where = described
    s_mean, s_scale = _s_moments(data.pairs, descriptor)
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
