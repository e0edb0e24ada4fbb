"""Training of one committee member from labelled frames: inputs, settings, seed → model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aga.config.schema import Settings
from aga.errors import SearchFailedError
from aga.potential.kinds import AnyModel
from aga.potential.network import Weights
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.dataset import Labelled
from aga.training.fixed import function_set, prepare_fixed
from aga.training.frames import check_frames, split_frames
from aga.training.metrics import score
from aga.training.optimise import Outcome, Part, Progress, optimise
from aga.training.problem import Material, Problem
from aga.training.smooth import prepare_smooth
from aga.units import EV_PER_A3_IN_GPA

__all__ = ["FitResult", "fit_member", "function_set"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What one training gave.

    ``model`` the member; ``metrics`` for ``training`` and ``validation`` (None without such
    frames): ``energy_mae`` meV/atom, ``force_mae`` eV/Å and ``stress_mae`` GPa (None without
    such labels), ``frames``; ``history`` the losses by pass; ``focal`` the last focal weight of
    each training frame by name; ``diverged``: no finite loss was reached and ``model`` is the
    previous one.
    """

    model: AnyModel
    metrics: dict[str, dict[str, float | None] | None]
    history: tuple[dict[str, Any], ...]
    focal: dict[str, float]
    diverged: bool = False


_PREPARE: dict[str, Callable[[Material], Problem]] = {
    "symmetry_functions": prepare_fixed,
    "deep_local_frame": prepare_fixed,
    "deep_smooth": prepare_smooth,
}
"""How a training is made ready, by ``potential.descriptor``."""


def fit_member(
    frames: Sequence[Frame],
    settings: Settings,
    *,
    member: int,
    seed: int,
    previous: AnyModel | None = None,
    progress: Progress | None = None,
) -> FitResult:
    """Train one member; equal arguments give bit-identical weights.

    Parameters
    ----------
    frames
        Labelled structures, all of them; the member sets its own validation frames aside.
    settings
        Elements of the search, potential and training.
    member
        Number of the member: its first weights and its validation frames depend on it.
    seed
        Seed of the search.
    previous
        The member's last model. Training starts from it where the settings say so and it has
        the same functions and layers: the same function, restated for the new standardisation.
    progress
        Called with passes done and loss.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    aga.errors.SearchFailedError
        No finite loss was reached and there is no previous model to keep.
    """
    check_frames(frames, tuple(sorted(settings.search.atom_counts())))
    places, held = split_frames(
        frames, settings.training.validation_fraction, seed=seed, member=member
    )
    material = Material(
        frames=[frames[i] for i in places],
        held=[frames[i] for i in held],
        settings=settings,
        previous=previous,
        seed=seed,
        member=member,
    )
    names = [frame.name for frame in material.frames]
    with _one_thread():
        problem = _PREPARE[settings.potential.descriptor](material)
        outcome = optimise(
            problem.start,
            problem.layout,
            problem.parts,
            settings.training,
            warm=problem.warm,
            progress=progress,
        )
        if outcome.vector is None:
            return _kept(previous, outcome, names)
        networks = problem.layout.networks(outcome.vector)
        training, validation = (
            None if part is None or data is None else _metrics(part, data, networks)
            for part, data in zip(problem.parts, problem.data, strict=True)
        )
    metrics = {"training": training, "validation": validation}
    facts = {
        "member": member,
        "seed": seed,
        "start": "previous" if problem.warm else "fresh",
        "passes": outcome.history[-1]["passes"],
        "metrics": metrics,
    }
    return FitResult(
        model=problem.build(networks, facts),
        metrics=metrics,
        history=outcome.history,
        focal=_focal(outcome, names),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    # members train in processes side by side; and one thread adds up in one order
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _kept(previous: AnyModel | None, outcome: Outcome, names: list[str]) -> FitResult:
    if previous is None:
        raise SearchFailedError(
            "the training found no finite loss",
            remedy="look for absurd labels among the frames, or lower training.energy_scale",
            history=list(outcome.history),
        )
    return FitResult(
        model=previous,
        metrics={"training": None, "validation": None},
        history=outcome.history,
        focal=_focal(outcome, names),
        diverged=True,
    )


def _focal(outcome: Outcome, names: list[str]) -> dict[str, float]:
    return dict(zip(names, outcome.focal.tolist(), strict=True))


def _metrics(part: Part, data: Labelled, networks: Sequence[Weights]) -> dict[str, float | None]:
    with torch.no_grad():
        energy, gradient, strain = (t.numpy() for t in part.evaluator(networks))
    targets, counts = part.targets, data.batch.counts
    volumes = data.batch.volumes[:, None]

    def mae(
        predicted: FloatArray, true: Tensor, mask: FloatArray, unit: FloatArray
    ) -> float | None:
        chosen = mask > 0
        if not chosen.any():
            return None
        return score((predicted * unit)[chosen], (true.numpy() * unit)[chosen]).mae

    one = np.ones(1)
    forces = data.has_forces[data.batch.owners]
    return {
        "frames": float(len(counts)),
        "energy_mae": mae(energy, targets.energy, np.ones(len(counts)), 1000.0 / counts),
        "force_mae": mae(gradient, targets.gradient, forces, one),
        "stress_mae": mae(strain, targets.strain, data.has_stress, EV_PER_A3_IN_GPA / volumes),
    }
