"""`aga bench accuracy`: one network per data set, its errors on frames it has never seen."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aga.bench.accuracy_data import CUSTOM, SETS, DataSet, Source, find_set, read_set
from aga.bench.training_speed import SPEED_SET, measure_training
from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.errors import InputError
from aga.potential.kinds import AnyModel, make_committee
from aga.structure.protocols import Frame
from aga.training.fit import FitResult, Workshop, fit_member
from aga.training.methods.registry import make_method
from aga.training.recipe import Recipe
from aga.training.scoring.assessment import assess, predict_frames
from aga.training.scoring.metrics import Score

__all__ = ["POTENTIAL", "TRAINING", "AccuracyOptions", "measure_accuracy"]

POTENTIAL = PotentialSettings(functions="fine", cutoff=5.5, hidden=(30, 30))
TRAINING = TrainingSettings(
    optimizer="newton",
    passes=600,
    patience=200,
    validation_fraction=0.05,
    energy_scale=None,
    focal_gamma=0.0,
    smoothness=0.01,
    jacobian_memory=3.0,
)
"""Settings of every training, whatever the set; no high frame counts less, none is weighted."""

SEED = 0
THREADS = 2

QUICK_FRAMES, QUICK_PASSES = 40, 20
"""Of a run that only shows that everything works."""

TRIAL = 2
"""Looks of a training after which a limit of time is turned into passes."""

Progress = Callable[[str], None]
Look = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyOptions:
    """What to measure.

    ``sets`` by name, all where none is named and no files are given; ``data`` a training and a
    test file of the user's; ``folder`` of the data sets, else the one that the environment names;
    ``minutes`` that a training takes at most, about; ``quick``: few frames and passes, for numbers
    that mean nothing; ``accuracy``: train and test; ``speed``: measure passes.
    """

    sets: Sequence[str] = ()
    data: tuple[Path, Path] | None = None
    folder: Path | None = None
    minutes: float | None = None
    quick: bool = False
    accuracy: bool = True
    speed: bool = True


def measure_accuracy(options: AccuracyOptions, progress: Progress) -> dict[str, Any]:
    """Run the benchmark.

    Parameters
    ----------
    options
        What to measure.
    progress
        Called with a line for people before each part and at each look of a training.

    Returns
    -------
    dict
        The document that docs/reference/json.md describes.

    Raises
    ------
    aga.errors.InputError
        No such set, or its files are missing: before anything is trained.
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    """
    chosen = _chosen(options) if options.accuracy else {}
    frames = _frames_for_speed(options, progress)
    rows = [_row(name, source, options, progress) for name, source in chosen.items()]
    settings = {"potential": POTENTIAL, "training": TRAINING}
    return {
        "settings": {name: one.model_dump(mode="json") for name, one in settings.items()},
        "threads": THREADS,
        "rows": rows,
        "speed": measure_training(frames, progress, quick=options.quick),
    }


def _chosen(options: AccuracyOptions) -> dict[str, Source]:
    """Give the sets to train on, by name; their files exist."""
    names = options.sets or (() if options.data is not None else tuple(SETS))
    chosen = {name: find_set(name, options.folder) for name in names}
    if options.data is not None:
        chosen[CUSTOM] = Source(files=options.data)
    return chosen


def _frames_for_speed(options: AccuracyOptions, progress: Progress) -> Sequence[Frame]:
    if not options.speed:
        return ()
    try:
        source = find_set(SPEED_SET, options.folder)
    except InputError as error:
        if not options.accuracy:
            raise
        progress(f"the speed of passes is not measured: {error.message}")
        return ()
    return read_set(source).training


def _row(name: str, source: Source, options: AccuracyOptions, progress: Progress) -> dict[str, Any]:
    progress(f"{name}: reading")
    start = time.perf_counter()
    data = read_set(source)
    training, passes = data.training, TRAINING.passes
    if options.quick:
        training, passes = training[:QUICK_FRAMES], QUICK_PASSES
    settings = TRAINING.model_copy(update={"passes": passes})
    recipe = Recipe.for_frames(training, POTENTIAL, settings, seed=SEED)
    end = None if options.minutes is None else start + 60.0 * options.minutes

    def tell(look: Look) -> None:
        progress(f"{name}: {_said(look, time.perf_counter() - start)}")

    result = _trained(training, recipe, end, tell)
    seconds = time.perf_counter() - start
    shown = DataSet(training=training, test=data.test)
    return {
        "set": name,
        **_errors(result.model, data.test),
        **_facts(shown, result, seconds),
        "published": None if source.published is None else source.published.to_dict(),
    }


def _said(look: Look, seconds: float) -> str:
    errors = [f"energies {look['energy_rmse']:.2f} meV/atom"]
    if look["force_rmse"] is not None:
        errors.append(f"forces {look['force_rmse']:.3f} eV/Å")
    if look["validation"] is not None:
        errors.append(f"validation {look['validation']:.4g}")
    return f"{look['passes']} passes, {seconds:.0f} s, loss {look['loss']:.4g}, {', '.join(errors)}"


def _trained(
    frames: Sequence[Frame], recipe: Recipe, end: float | None, tell: Callable[[Look], None]
) -> FitResult:
    """Train until the passes are made, or as many of them as fit before ``end``."""
    if end is None:
        return fit_member(
            frames, recipe, member=0, workshop=Workshop(threads=THREADS, progress=tell)
        )
    times: list[float] = []

    def watch(look: Look) -> None:
        times.append(time.perf_counter())
        tell(look)

    length = make_method(recipe.optimizer, recipe.training).look
    trial = min(TRIAL * length, recipe.training.passes)
    with TemporaryDirectory(prefix="aga-bench-") as folder:
        shop = Workshop(threads=THREADS, checkpoint=Path(folder) / "training", progress=watch)
        result = fit_member(frames, _with_passes(recipe, trial), member=0, workshop=shop)
        done = result.history[-1]["passes"]
        if len(times) < TRIAL or done < trial:
            return result
        more = floor((end - times[-1]) / (times[-1] - times[-2]))
        passes = min(done + max(more, 0) * length, recipe.training.passes)
        if passes <= done:
            return result
        return fit_member(frames, _with_passes(recipe, passes), member=0, workshop=shop)


def _with_passes(recipe: Recipe, passes: int) -> Recipe:
    training = recipe.training.model_copy(update={"passes": passes})
    return Recipe(
        elements=recipe.elements, potential=recipe.potential, training=training, seed=recipe.seed
    )


def _errors(model: AnyModel, frames: Sequence[Frame]) -> dict[str, float | None]:
    """Give the errors on test frames: energies in meV/atom, forces in eV/Å per component."""
    committee = make_committee([model], threads=THREADS)
    found = assess(frames, predict_frames(committee, frames)).all
    return {**_scores("energy", found.energy), **_scores("force", found.forces)}


def _scores(name: str, found: Score | None) -> dict[str, float | None]:
    return {
        f"{name}_mae": None if found is None else found.mae,
        f"{name}_rmse": None if found is None else found.rmse,
    }


def _facts(data: DataSet, result: FitResult, seconds: float) -> dict[str, Any]:
    held = result.metrics["validation"]
    validation = 0 if held is None else int(held["frames"] or 0)
    passes = int(result.history[-1]["passes"])
    return {
        "seconds": seconds,
        "frames_per_second": (len(data.training) - validation) * passes / seconds,
        "passes": passes,
        "seconds_per_pass": seconds / passes,
        "train_frames": len(data.training),
        "validation_frames": validation,
        "test_frames": len(data.test),
        "parameters": _parameters(result.model),
    }


def _parameters(model: AnyModel) -> int:
    return sum(
        part.numel() for layers in model.weights.values() for layer in layers for part in layer
    )
