"""Training of models whose descriptor is not trained itself: symmetry functions, local frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from aga.config.potential import PotentialSettings
from aga.errors import InputError
from aga.potential.deep.frame import LocalFrame
from aga.potential.descriptors import Functions
from aga.potential.model import Model
from aga.potential.network import Weights, flatten, initialise
from aga.potential.symmetry.functions import FunctionSet
from aga.potential.symmetry.presets import automatic, fine, preset
from aga.rng import derive_seed
from aga.structure.protocols import Frame
from aga.training.data.described import GIB, Described, Memory, describe
from aga.training.data.standard import Columns, Standard, standardise
from aga.training.evaluators import FixedEvaluator
from aga.training.objective import ElementLayout, Part
from aga.training.problem import Material, Problem, energies_of, make_part, repulsion_of
from aga.training.recipe import Recipe

__all__ = ["fixed_functions", "function_set", "prepare_fixed"]


def function_set(elements: Sequence[str], potential: PotentialSettings) -> FunctionSet:
    """Give the symmetry functions that the settings ask for.

    Raises
    ------
    aga.errors.InputError
        The settings ask for another descriptor.
    """
    if potential.descriptor != "symmetry_functions":
        raise InputError(
            f"potential.descriptor is {potential.descriptor}: there are no symmetry functions"
        )
    if potential.preset is not None:
        return preset(potential.preset, elements)
    make = fine if potential.functions == "fine" else automatic
    return make(elements, potential.radius)


def fixed_functions(recipe: Recipe) -> Functions:
    """Give symmetry functions or local frame, as the recipe says; errors as above."""
    potential, elements = recipe.potential, recipe.elements
    if potential.descriptor != "deep_local_frame":
        return function_set(elements, potential)
    return LocalFrame(
        elements=elements,
        cutoff=potential.radius,
        neighbours=(potential.deep.neighbours,) * len(elements),
        information=potential.deep.information,
    )


def prepare_fixed(material: Material) -> Problem:
    """Describe the frames and draw or restate the first weights.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    """
    recipe, potential = material.recipe, material.recipe.potential
    functions = fixed_functions(recipe)
    data = _describe(material.frames, functions, material)
    count = len(material.frames)
    standard = standardise(energies_of(data.labels, material, count), data.columns)
    training = _part(data, standard, material, count)
    validation = others = None
    if material.held:
        others = _describe(material.held, functions, material)
        validation = _part(others, standard, material, len(material.held))
    start, warm = _start(functions, standard, material)

    def build(networks: Sequence[Weights], facts: dict[str, Any]) -> Model:
        return Model(
            functions=functions,
            hidden=potential.hidden,
            activation=potential.activation,
            weights=dict(zip(functions.elements, networks, strict=True)),
            mean=standard.mean,
            scale=standard.scale,
            reference_energies=standard.reference_energies,
            energy_scale=standard.energy_scale,
            repulsion=repulsion_of(recipe),
            facts=facts | _ranges(data.columns, functions),
        )

    return Problem(
        start=start,
        warm=warm,
        layout=ElementLayout(
            elements=len(functions.elements), inputs=functions.size, hidden=potential.hidden
        ),
        parts=(training, validation),
        labels=(data.labels, None if others is None else others.labels),
        build=build,
    )


def _describe(frames: Sequence[Frame], functions: Functions, material: Material) -> Described:
    training, team = material.recipe.training, material.team
    return describe(
        [frames[place] for place in team.mine(len(frames))],
        functions,
        repulsion_of(material.recipe),
        Memory(
            jacobians=training.jacobian_memory * GIB, descriptors=training.descriptor_memory * GIB
        ),
        team.ranks,
        team.threads,
    )


def _ranges(columns: Columns, functions: Functions) -> dict[str, Any]:
    """Give the smallest and largest value of each function of each element in the frames.

    Other codes tell by them whether an atom is unlike all that the potential was trained on.
    """
    if not isinstance(functions, FunctionSet):
        return {}
    ranges = {}
    for element, symbol in enumerate(functions.elements):
        used = len(functions.of(symbol))
        ranges[symbol] = {
            "minimum": columns.low[element, :used].tolist(),
            "maximum": columns.high[element, :used].tolist(),
        }
    return {"descriptor_range": ranges}


def _part(data: Described, standard: Standard, material: Material, count: int) -> Part:
    activation, threads = material.recipe.potential.activation, material.team.threads
    evaluator = FixedEvaluator(data, standard, activation, threads)
    return make_part(evaluator, data.labels, standard, material, count)


def _start(functions: Functions, standard: Standard, material: Material) -> tuple[Tensor, bool]:
    """Give the first parameters, and whether they are trained ones."""
    recipe, previous = material.recipe, material.previous
    potential = recipe.potential
    if (
        recipe.training.start == "previous"
        and isinstance(previous, Model)
        and (previous.functions, previous.hidden, previous.activation, previous.repulsion)
        == (functions, potential.hidden, potential.activation, repulsion_of(recipe))
    ):
        parts = [_restated(previous, standard, e) for e in range(len(functions.elements))]
        return torch.cat(parts), True
    seed = derive_seed(recipe.seed, "weights", material.member)
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
