"""The settings of the training: loss, optimizer, focal weights, what is kept aside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from aga.config.base import NonNegative, Positive, Section

__all__ = ["FIRST_ORDER", "OptimizerName", "Pair", "TrainingSettings"]

OptimizerName = Literal[
    "newton",
    "lbfgs",
    "adam",
    "adamw",
    "adamax",
    "adadelta",
    "asgd",
    "sgd",
    "rprop",
    "rmsprop",
]

FIRST_ORDER: Final = frozenset(
    {"adam", "adamw", "adamax", "adadelta", "asgd", "sgd", "rprop", "rmsprop"}
)
"""Optimizers that have a learning rate."""

Pair = tuple[NonNegative, NonNegative]
"""Value at the start of a training, and the limit that it goes to with the learning rate."""

Gamma = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_FOLLOWS = "start and limit; follows the learning rate"


class TrainingSettings(Section):
    """Fitting the committee to the reference method."""

    optimizer: OptimizerName | None = Field(
        None,
        description="newton (full batch, curvature of the loss), lbfgs (full batch), or one of "
        "torch's; newton where empty, lbfgs for deep_smooth",
    )
    optimizer_options: dict[str, bool | float | tuple[float, ...]] = Field(
        default_factory=dict,
        description="parameters of the optimizer, as torch names them; `look` (newton, lbfgs: "
        "`refresh`): passes between two looks",
    )
    learning_rate: Positive | None = Field(
        None,
        description="at the start; the optimizer's own where empty",
    )
    decay_rate: float = Field(
        0.95, gt=0, le=1, description="d_r: the learning rate is rate·d_r^(step/decay_steps)"
    )
    decay_steps: Positive | None = Field(
        None, description="d_s; where empty such that the rate ends at a hundredth"
    )
    batch_size: int = Field(
        8, ge=1, description="frames per step of the optimizers that have a learning rate"
    )
    passes: int = Field(200, ge=1, description="passes over the data per training, at most")
    retraining_passes: int = Field(
        100, ge=1, description="the same of a search's trainings that begin with the weights before"
    )
    energy_prefactor: Pair | None = Field(
        None,
        description=f"1/eV², of the squared error per atom: {_FOLLOWS}; (1, 400) where the "
        "optimizer has a learning rate, else (100, 100)",
    )
    force_prefactor: Pair | None = Field(
        None,
        description=f"Å²/eV², of the mean squared error per component: {_FOLLOWS}; "
        "(1000, 1), else (1, 1)",
    )
    stress_prefactor: Pair | None = Field(
        None,
        description=f"1/eV², of the mean squared error of the virial per atom: {_FOLLOWS}; "
        "(1, 400), else (4, 4)",
    )
    focal_gamma: Gamma | Pair = Field(
        0.25,
        description="γ of the focal weights, or its start and limit; 0 is ordinary training",
    )
    focal_cap: Positive = Field(
        20.0, description="largest focal weight of one frame, and its largest loss in mean losses"
    )
    quarantine: bool = Field(
        True,
        description="leave out frames whose loss stays above the cap while their forces are far "
        "from all that the model can be taught; they are reported",
    )
    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="share of the frames, others for each member, kept out of its training; "
        "they stop it where they are 20 or more",
    )
    test_fraction: float = Field(
        0.0, ge=0, lt=1, description="share of the frames that no member ever sees"
    )
    test_by_group: bool = Field(
        False, description="keep frames of one group together on one side of the test split"
    )
    patience: int = Field(
        60, ge=1, description="passes without a better validation loss after which training stops"
    )
    energy_scale: Positive | None = Field(
        0.5,
        description="eV/atom above the lowest frame at which a frame's weight is halved; all "
        "count alike where empty",
    )
    smoothness: NonNegative = Field(
        0.1, description="weight of the sum of squared network weights against the frames' loss"
    )
    start: Literal["previous", "fresh"] = Field(
        "previous", description="weights a retraining starts from"
    )
    jacobian_memory: NonNegative = Field(
        1.0, description="GiB for stored Jacobians of one member; more frames go by the kernels"
    )
    descriptor_memory: Positive = Field(
        2.0, description="GiB for stored descriptors of one member; beyond, they are recomputed"
    )
    retrain_after: int | None = Field(
        None,
        ge=1,
        description="new labels after which the committee is retrained where the schedule is "
        "concurrent; as many as search.acquisition.picks_per_iteration where empty",
    )
    data: tuple[Path, ...] = Field(
        (), description="labelled files (extended XYZ, …) that join the data of iteration 0"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.learning_rate is not None and not self.has_rate:
            raise ValueError(f"learning_rate: {self.optimizer or 'newton'} has none")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("test_fraction: nothing is left to train on")
        return self

    @property
    def has_rate(self) -> bool:
        """Whether the optimizer has a learning rate."""
        return self.optimizer in FIRST_ORDER

    def gamma(self) -> Pair:
        """Give start and limit of γ."""
        gamma = self.focal_gamma
        return gamma if isinstance(gamma, tuple) else (gamma, gamma)

    def prefactors(self) -> tuple[Pair, Pair, Pair]:
        """Give start and limit of the prefactors of energy, forces and virial.

        The published pairs go with a learning rate; methods of second order have none, and
        theirs are constant: errors of 0.1 eV/Å, 0.01 and 0.05 eV/atom weigh the same.
        """
        rated = self.has_rate
        return (
            self.energy_prefactor or ((1.0, 400.0) if rated else (100.0, 100.0)),
            self.force_prefactor or ((1000.0, 1.0) if rated else (1.0, 1.0)),
            self.stress_prefactor or ((1.0, 400.0) if rated else (4.0, 4.0)),
        )
