"""How fast a pass of a training is: with energies alone, with forces, and in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from aga.bench.peers.torch_training import TorchTraining
from aga.bench.peers.torch_triplets import Variant
from aga.bench.threads import core_counts, threads
from aga.bench.timing import Samples, interleave
from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings
from aga.parallel.ranks import Alone
from aga.potential.model import Model
from aga.potential.threads import Threads
from aga.structure.protocols import Frame
from aga.training.fixed import prepare_fixed
from aga.training.objective import Objective
from aga.training.problem import Material, Team
from aga.training.recipe import Recipe
from aga.training.schedule import Prefactors

__all__ = ["SPEED_SET", "Bench", "make_bench", "measure_training"]

SPEED_SET = "tio2"
ATOMS = 24
FRAMES, PEER_FRAMES = 300, 10
"""Frames of a pass, and as many of them as the peer gets: it takes the better part of a second
for each."""

PASSES = 20
"""Passes over which the first one, with the descriptors, is spread."""

POTENTIAL = PotentialSettings(preset="tio2", hidden=(30, 30))
ROUNDS = 3

Labels = Literal["energies", "forces"]
Stored = Literal["descriptors", "jacobians"]

WAYS: tuple[tuple[Labels, Stored], ...] = (
    ("energies", "descriptors"),
    ("forces", "jacobians"),
    ("forces", "descriptors"),
)
"""What is learnt, and what is kept in memory; without Jacobians the kernels do their work."""

PREFACTORS: dict[Labels, Prefactors] = {
    "energies": Prefactors(energy=100.0, force=0.0, stress=0.0),
    "forces": Prefactors(energy=100.0, force=1.0, stress=0.0),
}

VARIANTS: tuple[Variant, ...] = ("formula", "factored")

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """A training made ready: the loss of its frames, where it starts, the model of that start."""

    objective: Objective
    start: torch.Tensor
    model: Model

    def gradient(self, prefactors: Prefactors) -> tuple[float, torch.Tensor]:
        """Make one pass: value and gradient of the mean loss of all frames."""
        weights = np.ones(self.objective.part.count)
        return self.objective.gradient(self.start, prefactors, weights)[:2]


def make_bench(
    frames: Sequence[Frame],
    potential: PotentialSettings,
    *,
    stored: Stored,
    cores: int = 1,
) -> Bench:
    """Describe the frames and draw first weights; every frame counts alike.

    ``stored``: all Jacobians, or none of them.
    """
    training = TrainingSettings(
        optimizer="newton",
        energy_scale=None,
        smoothness=0.0,
        jacobian_memory=1e3 if stored == "jacobians" else 0.0,
    )
    recipe = Recipe.for_frames(frames, potential, training, seed=0)
    material = Material(
        frames=frames,
        held=[],
        recipe=recipe,
        previous=None,
        member=0,
        team=Team(ranks=Alone(), threads=Threads(cores)),
    )
    problem = prepare_fixed(material)
    model = problem.build(problem.layout.networks(problem.start), {})
    if not isinstance(model, Model):
        raise TypeError("symmetry functions were asked for")
    objective = Objective(
        layout=problem.layout, part=problem.parts[0], smoothness=0.0, ranks=Alone()
    )
    return Bench(objective=objective, start=problem.start, model=model)


def measure_training(
    frames: Sequence[Frame], progress: Progress, *, quick: bool = False
) -> list[dict[str, Any]]:
    """Measure passes over frames of 24 atoms with forces, side by side with plain torch.

    ``quick``: one round of few of them.

    Returns
    -------
    list of dict
        The rows ``speed`` that docs/reference/json.md describes; none without frames.
    """
    fit = [f for f in frames if len(f.candidate) == ATOMS and f.forces is not None]
    chosen = fit[: 2 * PEER_FRAMES if quick else FRAMES]
    if not chosen:
        return []
    cores = core_counts()[-1]
    few = chosen[: 2 if quick else PEER_FRAMES]
    rounds = 1 if quick else ROUNDS
    with threads(cores):
        progress(f"passes over {len(chosen)} frames, {cores} threads, {len(few)} in plain torch")
        cached = interleave(_cached(chosen, cores) | _peers(few, cores), rounds).merged()
        progress("first passes, with the descriptors")
        first = interleave(_first(chosen, cores), rounds)
    return [_row(labels, stored, cached, first, (chosen, few, cores)) for labels, stored in WAYS]


def _name(labels: Labels, stored: Stored) -> str:
    return f"{labels} by {stored}"


def _cached(frames: Sequence[Frame], cores: int) -> dict[str, Callable[[], object]]:
    ready = {
        stored: make_bench(frames, POTENTIAL, stored=stored, cores=cores)
        for stored in ("descriptors", "jacobians")
    }
    return {
        _name(labels, stored): partial(ready[stored].gradient, PREFACTORS[labels])
        for labels, stored in WAYS
    }


def _first(frames: Sequence[Frame], cores: int) -> dict[str, Callable[[], object]]:
    def first(labels: Labels, stored: Stored) -> object:
        bench = make_bench(frames, POTENTIAL, stored=stored, cores=cores)
        return bench.gradient(PREFACTORS[labels])

    return {_name(*way): partial(first, *way) for way in WAYS}


def _peers(frames: Sequence[Frame], cores: int) -> dict[str, Callable[[], object]]:
    """Give plain torch, which may choose its number of threads and how it is written."""
    bench = make_bench(frames, POTENTIAL, stored="descriptors")
    targets, layout = bench.objective.part.targets, bench.objective.layout
    candidates = [frame.candidate for frame in frames]

    def one_pass(peer: TorchTraining, count: int) -> object:
        with threads(count):
            return peer.gradient(bench.start, layout, PREFACTORS["forces"])

    calls: dict[str, Callable[[], object]] = {}
    for variant in VARIANTS:
        peer = TorchTraining(bench.model, candidates, targets, variant)
        for count in {1, cores}:
            calls[f"torch@{variant}{count}"] = partial(one_pass, peer, count)
    return calls


def _row(
    labels: Labels,
    stored: Stored,
    cached: Samples,
    first: Samples,
    measured: tuple[Sequence[Frame], Sequence[Frame], int],
) -> dict[str, Any]:
    frames, few, cores = measured
    count, name = len(frames), _name(labels, stored)
    seconds, opening = cached.median(name), first.median(name)
    taught = labels == "forces"
    return {
        "labels": labels,
        "stored": stored,
        "threads": cores,
        "frames": count,
        "atoms": count * ATOMS,
        "seconds_per_pass": seconds,
        "frames_per_second": count / seconds,
        "first_pass_seconds": opening,
        "frames_per_second_from_start": PASSES * count / (opening + (PASSES - 1) * seconds),
        "torch_seconds_per_frame": cached.median("torch") / len(few) if taught else None,
        "ratio_torch": cached.ratio("torch", name) * count / len(few) if taught else None,
    }
