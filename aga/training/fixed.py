"""Training of models whose descriptor is not trained itself: symmetry functions, local frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aga.config.schema import Settings
from aga.errors import InputError
from aga.potential.deep.frame import LocalFrame
from aga.potential.descriptors import Functions
from aga.potential.model import Model
from aga.potential.network import Weights, flatten, initialise
from aga.potential.symmetry.functions import FunctionSet
from aga.potential.symmetry.presets import automatic, preset
from aga.rng import derive_seed
from aga.training.dataset import Dataset, Standard, describe, standardise
from aga.training.evaluators import make_evaluator
from aga.training.optimise import ElementLayout, Part
from aga.training.problem import Material, Problem, make_part, repulsion_of

__all__ = ["fixed_functions", "function_set", "prepare_fixed"]


def function_set(settings: Settings) -> FunctionSet:
    """Give the symmetry functions that the settings ask for.

    Raises
    ------
    aga.errors.InputError
        The settings ask for another descriptor.
    """
    elements, potential = list(settings.search.atom_counts()), settings.potential
    if potential.descriptor != "symmetry_functions":
        raise InputError(
            f"potential.descriptor is {potential.descriptor}: there are no symmetry functions"
        )
    if potential.preset is not None:
        return preset(potential.preset, elements)
    return automatic(elements, potential.cutoff)


def fixed_functions(settings: Settings) -> Functions:
    """Give symmetry functions or local frame, as the settings say; errors as above."""
    if settings.potential.descriptor != "deep_local_frame":
        return function_set(settings)
    elements, deep = tuple(sorted(settings.search.atom_counts())), settings.potential.deep
    return LocalFrame(
        elements=elements,
        cutoff=settings.potential.cutoff,
        neighbours=(deep.neighbours,) * len(elements),
        information=deep.information,
    )


def prepare_fixed(material: Material) -> Problem:
    """Describe the frames and draw or restate the first weights.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    """
    settings = material.settings
    functions, repulsion = fixed_functions(settings), repulsion_of(settings)
    data = describe(material.frames, functions, repulsion)
    standard = standardise(data, settings.training.energy_scale)
    training = _part(data, standard, settings)
    validation = others = None
    if material.held:
        others = describe(material.held, functions, repulsion)
        validation = _part(others, standard, settings)
    start, warm = _start(functions, standard, material)

    def build(networks: Sequence[Weights], facts: dict[str, Any]) -> Model:
        return Model(
            functions=functions,
            hidden=settings.potential.hidden,
            activation=settings.potential.activation,
            weights=dict(zip(functions.elements, networks, strict=True)),
            mean=standard.mean,
            scale=standard.scale,
            reference_energies=standard.reference_energies,
            energy_scale=standard.energy_scale,
            repulsion=repulsion,
            facts=facts | _ranges(data, functions),
        )

    return Problem(
        start=start,
        warm=warm,
        layout=ElementLayout(
            elements=len(functions.elements),
            inputs=functions.size,
            hidden=settings.potential.hidden,
        ),
        parts=(training, validation),
        data=(data, others),
        build=build,
    )


def _ranges(data: Dataset, functions: Functions) -> dict[str, Any]:
    """Give the smallest and largest value of each function of each element in the frames.

    Other codes tell by them whether an atom is unlike all that the potential was trained on.
    """
    if not isinstance(functions, FunctionSet):
        return {}
    ranges = {}
    for element, symbol in enumerate(functions.elements):
        G = data.G[data.pairs.species == element, : len(functions.of(symbol))]
        ranges[symbol] = {
            "minimum": G.min(axis=0).tolist(),
            "maximum": G.max(axis=0).tolist(),
        }
    return {"descriptor_range": ranges}


def _part(data: Dataset, standard: Standard, settings: Settings) -> Part:
    evaluator = make_evaluator(data, standard, settings.potential.activation)
    return make_part(evaluator, data, standard, settings)


def _start(functions: Functions, standard: Standard, material: Material) -> tuple[Tensor, bool]:
    """Give the first parameters, and whether they are trained ones."""
    settings, previous = material.settings, material.previous
    potential = settings.potential
    if (
        settings.training.start == "previous"
        and isinstance(previous, Model)
        and (previous.functions, previous.hidden, previous.activation, previous.repulsion)
        == (functions, potential.hidden, potential.activation, repulsion_of(settings))
    ):
        parts = [_restated(previous, standard, e) for e in range(len(functions.elements))]
        return torch.cat(parts), True
    seed = derive_seed(material.seed, "weights", material.member)
    generator = torch.Generator().manual_seed(seed)
    parts = [
        flatten(initialise(functions.size, potential.hidden, generator)) for _ in functions.elements
    ]
    return torch.cat(parts), False


def _restated(model: Model, standard: Standard, element: int) -> Tensor:
    """Give the parameters that make the same function with another standardisation."""
    layers = list(model.weights[model.functions.elements[element]])
    matrix, bias = layers[0]
    ratio = torch.from_numpy(standard.scale[element] / model.scale[element])
    shift = (standard.mean[element] - model.mean[element]) / model.scale[element]
    layers[0] = (matrix * ratio.unsqueeze(-1), bias + torch.from_numpy(shift) @ matrix)
    matrix, bias = layers[-1]
    ratio_energy = model.energy_scale / standard.energy_scale
    step = float(model.reference_energies[element] - standard.reference_energies[element])
    layers[-1] = (matrix * ratio_energy, bias * ratio_energy + step / standard.energy_scale)
    return flatten(tuple(layers))
