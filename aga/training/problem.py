"""A training made ready: what every kind of model turns frames and a recipe into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from aga.parallel.ranks import Ranks, gather_rows, share
from aga.potential.guard import Repulsion
from aga.potential.kinds import AnyModel
from aga.potential.network import Weights
from aga.potential.threads import Threads
from aga.structure.candidate import FloatArray, IntArray
from aga.structure.protocols import Frame
from aga.training.data.labels import Labels
from aga.training.data.standard import EnergyStandard, frame_weights, standardise_energies
from aga.training.evaluators import Evaluator
from aga.training.objective import Layout, Part
from aga.training.recipe import Recipe

__all__ = ["Material", "Problem", "Team", "energies_of", "make_part", "repulsion_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Who works on one member: ``ranks`` share its frames, ``threads`` the work of each rank."""

    ranks: Ranks
    threads: Threads

    def mine(self, count: int) -> IntArray:
        """Give the places of this rank's frames among so many."""
        return np.arange(count)[share(count, self.ranks)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a member is trained from.

    ``frames`` to train on and ``held`` ones for validation; ``previous`` the member's last model
    or None; the ``recipe``'s seed and the number of the ``member`` decide the first weights.
    """

    frames: Sequence[Frame]
    held: Sequence[Frame]
    recipe: Recipe
    previous: AnyModel | None
    member: int
    team: Team


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """What the optimizer needs, and how its result becomes a model.

    ``start`` (P,) parameters, ``warm`` if they are trained ones; ``layout`` what they mean;
    ``parts`` and ``labels`` of the training and of the validation frames (None without);
    ``build`` makes the model of the networks and the facts about the training.
    """

    start: Tensor
    warm: bool
    layout: Layout
    parts: tuple[Part, Part | None]
    labels: tuple[Labels, Labels | None]
    build: Callable[[Sequence[Weights], dict[str, Any]], AnyModel]


def repulsion_of(recipe: Recipe) -> Repulsion | None:
    """Give the repulsion that the recipe asks for."""
    return None if recipe.potential.repulsion == "none" else Repulsion(recipe.elements)


def energies_of(labels: Labels, material: Material, count: int) -> EnergyStandard:
    """Choose reference energies and their scale from the training frames of all ranks."""
    team, recipe = material.team, material.recipe
    table = gather_rows(_table(labels), team.mine(count).tolist(), count, team.ranks)
    scale = recipe.training.energy_scale
    return standardise_energies(recipe.elements, table[:, 1:], table[:, 0], scale)


def _table(labels: Labels) -> FloatArray:
    return np.column_stack([labels.energy, labels.composition])


def make_part(
    evaluator: Evaluator, labels: Labels, standard: EnergyStandard, material: Material, count: int
) -> Part:
    """Put an evaluator and the labels of this rank's frames, of so many in all, together."""
    scale = material.recipe.training.energy_scale
    weights = frame_weights(labels.composition, labels.energy, standard, scale)
    return Part(
        evaluator=evaluator,
        targets=labels.targets(standard.reference_energies, weights),
        places=material.team.mine(count),
        count=count,
    )
