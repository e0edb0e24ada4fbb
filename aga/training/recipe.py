"""What a training is made by: elements, potential, training settings and a seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from aga.config.potential import PotentialSettings
from aga.config.schema import Settings
from aga.config.training import OptimizerName, TrainingSettings
from aga.structure.protocols import Frame

__all__ = ["Recipe"]


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
        """Give the recipe of a search, with its seed or another."""
        return cls(
            elements=tuple(sorted(settings.search.atom_counts())),
            potential=settings.potential,
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
