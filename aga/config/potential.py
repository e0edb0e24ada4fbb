"""The settings of the potential and of its descriptor."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from aga.config.base import NonNegative, Positive, Section

__all__ = ["CUTOFF", "DeepSettings", "PotentialSettings"]

CUTOFF = 4.5
"""Å, where the settings name none and nothing is known of the composition."""


class DeepSettings(Section):
    """Deep Potential descriptors; each key serves one of the two."""

    embedding: tuple[int, ...] = Field(
        (16,), description="deep_smooth: nodes of the layers of the embedding networks"
    )
    axis_neurons: int = Field(
        8, ge=1, description="deep_smooth: outputs of the embedding on the descriptor's second side"
    )
    inner_radius: NonNegative | None = Field(
        None, description="Å, deep_smooth: where 1/r begins to be switched off; 0.2·cutoff if empty"
    )
    neighbours: int = Field(
        16, ge=1, description="deep_local_frame: nearest neighbours described, of each element"
    )
    information: Literal["full", "radial"] = Field(
        "full", description="deep_local_frame: radial and angular, or distances alone"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.embedding or min(self.embedding) < 1:
            raise ValueError("embedding: needs at least one layer of at least one node")
        if self.axis_neurons > self.embedding[-1]:
            raise ValueError("axis_neurons: at most the nodes of the last layer of the embedding")
        return self


class PotentialSettings(Section):
    """The committee of neural network potentials."""

    members: int = Field(4, ge=2, description="networks in the committee")
    descriptor: Literal["symmetry_functions", "deep_smooth", "deep_local_frame"] = Field(
        "symmetry_functions", description="of an atom's surroundings"
    )
    preset: Literal["tio2", "cuauoh"] | None = Field(
        None, description="published symmetry functions; an automatic set where empty"
    )
    functions: Literal["compact", "fine"] = Field(
        "compact",
        description="size of the automatic set: compact for searches, fine for hundreds of frames",
    )
    cutoff: Positive | None = Field(
        None,
        le=20,
        description="Å; where empty the radius that holds 19 atoms in a search, else 4.5; a preset "
        "has its own",
    )
    hidden: tuple[int, ...] = Field((20, 20), description="nodes of the hidden layers")
    activation: Literal["tanh", "softplus", "silu"] = "softplus"
    repulsion: Literal["zbl", "none"] = Field(
        "zbl", description="of nuclei at short range, part of the model"
    )
    deep: DeepSettings = Field(default_factory=DeepSettings)

    @model_validator(mode="after")
    def _layers(self) -> Self:
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError("hidden: needs at least one layer of at least one node")
        if self.preset is not None and self.descriptor != "symmetry_functions":
            raise ValueError("preset: names symmetry functions, and descriptor asks for others")
        inner = self.deep.inner_radius
        if inner is not None and self.cutoff is None:
            raise ValueError("deep.inner_radius: goes with a cutoff of its own")
        if inner is not None and self.cutoff is not None and inner >= self.cutoff:
            raise ValueError("deep.inner_radius: must be smaller than the cutoff")
        return self

    @property
    def radius(self) -> float:
        """The cutoff in Å, :data:`CUTOFF` where none is set."""
        return CUTOFF if self.cutoff is None else self.cutoff
