"""A training made ready: what every kind of model turns frames and settings into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from aga.config.schema import Settings
from aga.potential.guard import Repulsion
from aga.potential.kinds import AnyModel
from aga.potential.network import Weights
from aga.structure.protocols import Frame
from aga.training.dataset import EnergyStandard, Labelled, frame_weights
from aga.training.evaluators import Evaluator
from aga.training.optimise import Layout, Part

__all__ = ["Material", "Problem", "make_part", "repulsion_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a member is trained from.

    ``frames`` to train on and ``held`` ones for validation; ``previous`` the member's last model
    or None; ``seed`` of the search and number of the ``member`` decide the first weights.
    """

    frames: Sequence[Frame]
    held: Sequence[Frame]
    settings: Settings
    previous: AnyModel | None
    seed: int
    member: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """What the optimizer needs, and how its result becomes a model.

    ``start`` (P,) parameters, ``warm`` if they are trained ones; ``layout`` what they mean;
    ``parts`` and ``data`` of the training and of the validation frames (None without);
    ``build`` makes the model of the networks and the facts about the training.
    """

    start: Tensor
    warm: bool
    layout: Layout
    parts: tuple[Part, Part | None]
    data: tuple[Labelled, Labelled | None]
    build: Callable[[Sequence[Weights], dict[str, Any]], AnyModel]


def repulsion_of(settings: Settings) -> Repulsion | None:
    """Give the repulsion that the settings ask for."""
    if settings.potential.repulsion == "none":
        return None
    return Repulsion(tuple(sorted(settings.search.atom_counts())))


def make_part(
    evaluator: Evaluator, data: Labelled, standard: EnergyStandard, settings: Settings
) -> Part:
    """Put an evaluator and the labels of its frames together."""
    weights = frame_weights(data, standard, settings.training.energy_scale)
    return Part(evaluator=evaluator, targets=data.targets(standard.reference_energies, weights))
