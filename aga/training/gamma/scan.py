"""A scan of γ on a user's own data: how soon new structures are learnt, and what it costs.

For each seed one model is trained on a base set; from its weights every γ is retrained on base
and new frames together, so that all γ of a seed start from the same model. What each training
gave is kept in a folder, one file for each, and is not computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from aga.config.training import FIRST_ORDER, TrainingSettings
from aga.parallel.pool import Say, run_each
from aga.potential.kinds import AnyModel, load_model
from aga.structure.protocols import Frame
from aga.training.fit import Workshop, fit_member
from aga.training.gamma.folder import claim, marked, write_whole
from aga.training.recipe import Recipe
from aga.training.schedule import Schedule
from aga.training.scoring.frame_loss import mean_loss

__all__ = ["GAMMAS", "Inquiry", "Run", "Scan", "remaining", "resolution", "run_scan"]

GAMMAS = (0.0, 0.5, 1.0, 2.0, 3.0)
"""Those of the published table."""

_REFRESH = {"newton": 5, "lbfgs": 10}
"""Passes between two looks: what these methods make between them is one run of L-BFGS."""

Progress = Callable[[str, Mapping[str, Any]], None]
"""Called with the name of a training and its newest look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What is asked.

    ``base`` frames to begin with, ``new`` ones that join, ``held`` ones of the base set that no
    training sees; ``recipe`` of the user; ``gammas`` to try; ``seeds`` how many times each;
    ``base_passes`` of the first training, the recipe's passes are those of the retraining.
    """

    base: Sequence[Frame]
    new: Sequence[Frame]
    held: Sequence[Frame]
    recipe: Recipe
    gammas: tuple[float, ...] = GAMMAS
    seeds: int = 5
    base_passes: int = 200

    def base_recipe(self) -> Recipe:
        """Give the recipe of the first training: all frames count alike, γ = 0."""
        return _with(self.recipe, passes=self.base_passes, focal_gamma=0.0)

    def retraining(self, gamma: float) -> Recipe:
        """Give the recipe of a retraining, which is looked at as often as its method allows."""
        name, options = self.recipe.optimizer, dict(self.recipe.training.optimizer_options)
        if name in FIRST_ORDER:
            options["look"] = 1
        else:
            options.setdefault("refresh", _REFRESH[name])
        return _with(self.recipe, focal_gamma=gamma, optimizer_options=options, start="previous")

    def digest(self) -> str:
        """Give the SHA-256 of everything that a training of this scan depends on.

        γ and the number of seeds are left out: more of them join what is there already.
        """
        recipe = self.recipe.to_dict() | {"base_passes": self.base_passes}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode())
        for part in (self.base, self.new, self.held):
            digest.update(b"frames")
            for frame in part:
                digest.update(json.dumps(frame.to_dict(), sort_keys=True).encode())
        return digest.hexdigest()


def _with(recipe: Recipe, **changes: Any) -> Recipe:  # noqa: ANN401 - values of settings
    # A frame in quarantine, with less weight for its height, or kept for validation would be
    # one that some γ is not asked about: losses of different γ would mean different things.
    alike = {"energy_scale": None, "quarantine": False}
    shares = {"validation_fraction": 0.0, "test_fraction": 0.0}
    training = recipe.training.model_dump(exclude_unset=True) | alike | shares | changes
    return Recipe(
        elements=recipe.elements,
        potential=recipe.potential,
        training=TrainingSettings.model_validate(training),
        seed=recipe.seed,
    )


def resolution(inquiry: Inquiry) -> int:
    """Give the passes between two looks, as fine as passes can be counted."""
    return int(_refresh(inquiry) or 1)


def _refresh(inquiry: Inquiry) -> float:
    value = inquiry.retraining(0.0).training.optimizer_options.get("refresh", 0)
    return 0 if isinstance(value, tuple) else float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training of the scan.

    ``gamma`` None of the training on the base set; ``curve`` passes and mean loss of all training
    frames; ``losses`` mean loss at the end of the ``new`` frames, of the ``base`` frames, and of
    the ``held`` ones (absent where there are none). All by the limits of the prefactors, each
    frame with weight 1. ``diverged`` why it was given up, else None; there are no losses then.
    """

    seed: int
    gamma: float | None
    curve: tuple[tuple[int, float], ...]
    losses: Mapping[str, float]
    diverged: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {"curve": [list(point) for point in self.curve]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        curve = tuple((int(passes), float(loss)) for passes, loss in data["curve"])
        return cls(**{**data, "curve": curve})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scan gave: ``base`` trainings, and the ``runs`` of each seed and γ."""

    base: tuple[Run, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One training; ``gamma`` None: of the base model."""

    inquiry: Inquiry
    folder: Path
    seed: int
    gamma: float | None

    @property
    def name(self) -> str:
        """What it is called in the folder."""
        return _name(self.seed, self.gamma)

    @property
    def record(self) -> Path:
        """The file that says that it is done, and what it gave."""
        return self.folder / f"{self.name}.json"


def _name(seed: int, gamma: float | None) -> str:
    return f"seed-{seed:02d}-" + ("base" if gamma is None else f"gamma-{gamma:g}")


def run_scan(
    inquiry: Inquiry,
    folder: Path,
    *,
    processes: int,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Scan:
    """Train everything that the folder does not hold yet; give all of it.

    Parameters
    ----------
    inquiry
        What is asked.
    folder
        Where results are kept; trainings that were interrupted go on from their last look.
    processes
        Trainings at a time, each on one thread.
    overwrite
        Remove the results of other data or settings instead of refusing the folder.
    progress
        Told of each look.

    Raises
    ------
    aga.errors.InputError
        The folder holds something else.
    aga.errors.AgaError
        As of :func:`aga.training.fit.fit_member`; a retraining that diverges is a result.
    """
    claim(folder, inquiry.digest(), overwrite=overwrite)
    first, then = _jobs(inquiry, folder)
    for jobs in (first, then):
        left = [job for job in jobs if not job.record.exists()]
        run_each(_train, left, processes=processes, progress=_teller(left, progress))
    base, runs = (tuple(_read(job.record) for job in jobs) for jobs in (first, then))
    return Scan(base=base, runs=runs)


def remaining(inquiry: Inquiry, folder: Path) -> dict[str, int]:
    """Give the passes of each training that the folder does not hold yet, by its name."""
    again = marked(folder) != inquiry.digest()
    return {
        job.name: inquiry.base_passes if job.gamma is None else inquiry.recipe.training.passes
        for jobs in _jobs(inquiry, folder)
        for job in jobs
        if again or not job.record.exists()
    }


def _jobs(inquiry: Inquiry, folder: Path) -> tuple[list[_Job], list[_Job]]:
    """Give the trainings on the base set, and those that need them."""
    seeds = range(inquiry.seeds)
    first = [_Job(inquiry=inquiry, folder=folder, seed=seed, gamma=None) for seed in seeds]
    then = [
        _Job(inquiry=inquiry, folder=folder, seed=seed, gamma=gamma)
        for seed in seeds
        for gamma in inquiry.gammas
    ]
    return first, then


def _teller(jobs: Sequence[_Job], progress: Progress | None) -> Callable[[int, Any], None]:
    def tell(number: int, entry: Any) -> None:  # noqa: ANN401 - what a job says
        if progress is not None:
            progress(jobs[number].name, entry)

    return tell


def _train(job: _Job, say: Say) -> None:
    """Do one training and leave its result in the folder, last of all its record."""
    inquiry, folder = job.inquiry, job.folder
    checkpoint = folder / f"{job.name}.checkpoint"
    shop = Workshop(checkpoint=checkpoint, progress=say)
    if job.gamma is None:
        recipe, frames, model = inquiry.base_recipe(), [*inquiry.base], None
    else:
        recipe, frames = inquiry.retraining(job.gamma), [*inquiry.base, *inquiry.new]
        model = load_model((folder / f"{_name(job.seed, None)}.safetensors").read_bytes())
    result = fit_member(frames, recipe, member=job.seed, previous=model, workshop=shop)
    if job.gamma is None:
        write_whole(folder / f"{job.name}.safetensors", result.model.to_bytes())
    run = Run(
        seed=job.seed,
        gamma=job.gamma,
        curve=tuple((entry["passes"], entry["loss"]) for entry in result.history),
        losses={} if result.diverged else _losses(result.model, inquiry),
        diverged=result.diverged,
    )
    write_whole(job.record, json.dumps(run.to_dict()).encode())
    for path in folder.glob(f"{checkpoint.name}*"):
        path.unlink()


def _losses(model: AnyModel, inquiry: Inquiry) -> dict[str, float]:
    limits = Schedule.of(inquiry.recipe.training, 1).limits()
    parts = {"new": inquiry.new, "base": inquiry.base, "held": inquiry.held}
    return {name: mean_loss(model, part, limits) for name, part in parts.items() if part}


def _read(path: Path) -> Run:
    return Run.from_dict(json.loads(path.read_text("utf-8")))
