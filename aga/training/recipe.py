"""What a training is made by: elements, potential, training settings and a seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import Any, Self

from aga.config.potential import PotentialSettings
from aga.config.schema import Settings
from aga.config.training import OptimizerName, TrainingSettings
from aga.structure.protocols import Frame
from aga.structure.volume import target_volume_per_atom

__all__ = ["NEIGHBOURS", "Recipe"]

NEIGHBOURS = 19
"""Atoms within the cutoff of a search that names none: 4.5 Å for silicon, 3.1 Å for carbon.

With tens of labelled structures what lies farther tells the networks less than it costs them: of
eight carbon atoms the ground state takes a third of the labels that it takes with 4.5 Å.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything but the frames that decides what a training gives.

    ``elements`` in alphabetical order; ``seed`` of every random stream.
    """

    elements: tuple[str, ...]
    potential: PotentialSettings
    training: TrainingSettings
    seed: int

    @classmethod
    def of_search(cls, settings: Settings, seed: int | None = None) -> Self:
        """Give the recipe of a search, with its seed or another.

        A cutoff that is left open becomes the radius of a sphere that holds :data:`NEIGHBOURS`
        atoms at the volume that the search expects.
        """
        potential = settings.potential
        if potential.cutoff is None and potential.preset is None:
            radius = _radius_of(NEIGHBOURS, target_volume_per_atom(settings.search))
            potential = potential.model_copy(update={"cutoff": radius})
        return cls(
            elements=tuple(sorted(settings.search.atom_counts())),
            potential=potential,
            training=settings.training,
            seed=settings.search.seed if seed is None else seed,
        )

    def continued(self) -> Self:
        """Give the recipe of a search's training that begins with the weights of the one before."""
        passes = min(self.training.retraining_passes, self.training.passes)
        return replace(self, training=self.training.model_copy(update={"passes": passes}))

    @classmethod
    def for_frames(
        cls,
        frames: Sequence[Frame],
        potential: PotentialSettings,
        training: TrainingSettings,
        *,
        seed: int,
    ) -> Self:
        """Give a recipe for all elements that the frames hold."""
        elements = sorted({symbol for frame in frames for symbol in frame.candidate.symbols})
        return cls(elements=tuple(elements), potential=potential, training=training, seed=seed)

    @property
    def optimizer(self) -> OptimizerName:
        """The optimizer of the settings, or the one that suits the descriptor."""
        chosen = self.training.optimizer
        if chosen is not None:
            return chosen
        return "lbfgs" if self.potential.descriptor == "deep_smooth" else "newton"

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "elements": list(self.elements),
            "potential": self.potential.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            elements=tuple(data["elements"]),
            potential=PotentialSettings.model_validate(data["potential"]),
            training=TrainingSettings.model_validate(data["training"]),
            seed=int(data["seed"]),
        )

    def digest(self, frames: Sequence[Frame], member: int) -> str:
        """Give the SHA-256 of recipe, frames and member: equal digests, equal trainings.

        How many passes are made at most is left out: more of them go on where fewer ended.
        """
        content = self.to_dict()
        del content["training"]["passes"]
        digest = hashlib.sha256(json.dumps([content, member], sort_keys=True).encode())
        for frame in frames:
            digest.update(json.dumps(frame.to_dict(), sort_keys=True).encode())
        return digest.hexdigest()


def _radius_of(atoms: int, volume: float) -> float:
    """Give the radius in Å, to 0.1, of a sphere with so many atoms, each of a volume in Å³."""
    return round(float((3 * atoms * volume / (4 * pi)) ** (1 / 3)), 1)
