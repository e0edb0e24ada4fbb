"""Training of one committee member from labelled frames: inputs, recipe, member → model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from aga.errors import InputError, SearchFailedError
from aga.parallel.ranks import Alone, Ranks
from aga.potential.kinds import AnyModel
from aga.potential.threads import Threads
from aga.rng import derive_seed
from aga.structure.protocols import Frame
from aga.training.data.frames import check_frames, split_frames
from aga.training.data.splits import assign_splits
from aga.training.fixed import prepare_fixed
from aga.training.methods.registry import make_method
from aga.training.optimise import Plan, Progress, optimise
from aga.training.problem import Material, Problem, Team
from aga.training.recipe import Recipe
from aga.training.smooth import prepare_smooth
from aga.training.state import Checkpoint, TrainingState
from aga.training.tally import tally

__all__ = ["FitResult", "Workshop", "fit_member"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What one training gave.

    ``model`` the member; ``metrics`` for ``training`` and ``validation`` (None without such
    frames): ``energy_mae`` and ``energy_rmse`` in meV/atom, ``force_…`` in eV/Å, ``stress_…`` in
    GPa, ``…_r2`` (None without such labels), ``frames``; ``history`` of the looks; ``focal`` the
    last focal weight of each training frame by name, ``weights`` all of them, look by look;
    ``quarantined`` the reason by name; ``diverged`` why the training was given up and ``model`` is
    the previous one, else None.
    """

    model: AnyModel
    metrics: dict[str, dict[str, float | None] | None]
    history: tuple[dict[str, Any], ...]
    focal: dict[str, float]
    weights: dict[str, list[float]] = field(default_factory=dict)
    quarantined: dict[str, str] = field(default_factory=dict)
    diverged: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where and by whom a member is trained; none of it changes what comes out.

    ``ranks`` share the frames (their number changes the last digits alone); ``threads`` of each
    rank; ``checkpoint`` the file that the training is kept in and goes on from; ``progress`` is
    told of each look.
    """

    ranks: Ranks = field(default_factory=Alone)
    threads: int = 1
    checkpoint: Path | None = None
    progress: Progress | None = None


_PREPARE: dict[str, Callable[[Material], Problem]] = {
    "symmetry_functions": prepare_fixed,
    "deep_local_frame": prepare_fixed,
    "deep_smooth": prepare_smooth,
}
"""How a training is made ready, by ``potential.descriptor``."""


def fit_member(
    frames: Sequence[Frame],
    recipe: Recipe,
    *,
    member: int,
    previous: AnyModel | None = None,
    workshop: Workshop | None = None,
) -> FitResult:
    """Train one member; equal arguments give bit-identical weights (on one rank and thread).

    Parameters
    ----------
    frames
        Labelled structures, all of them; test frames are left out, and the member sets its own
        validation frames aside.
    recipe
        Elements, potential, training and seed.
    member
        Number of the member: its first weights and its validation frames depend on it.
    previous
        The member's last model. Training starts from it where the recipe says so and it has
        the same functions and layers: the same function, restated for the new standardisation.
    workshop
        Where and by whom; here and by one where None.

    Raises
    ------
    aga.errors.DataError
        Frames that can't be trained on; names file and frame.
    aga.errors.InputError
        The optimizer has no such parameters, or can't train this descriptor.
    aga.errors.SearchFailedError
        The training diverged and there is no previous model to keep.
    """
    shop = workshop or Workshop()
    check_frames(frames, recipe.elements)
    if recipe.optimizer == "newton" and recipe.potential.descriptor == "deep_smooth":
        raise InputError(
            "newton needs a descriptor without trained parameters, not deep_smooth",
            remedy="leave training.optimizer empty, or take lbfgs",
        )
    material = _material(frames, recipe, member, previous, shop)
    names = [frame.name for frame in material.frames]
    with _threads(shop.threads):
        method = make_method(recipe.optimizer, recipe.training)
        problem = _PREPARE[recipe.potential.descriptor](material)
        plan = Plan(
            start=problem.start,
            warm=problem.warm,
            layout=problem.layout,
            parts=problem.parts,
            settings=recipe.training,
            method=method,
            seed=derive_seed(recipe.seed, "training", member),
            ranks=shop.ranks,
        )
        state = optimise(plan, _checkpoint(shop, frames, recipe, member), shop.progress)
        if state.diverged is not None or state.best is None:
            return _kept(previous, state, names, member)
        metrics = _metrics(problem, state, shop.ranks)
        networks = problem.layout.networks(state.best)
    facts = {
        "member": member,
        "seed": recipe.seed,
        "start": "previous" if problem.warm else "fresh",
        "optimizer": recipe.optimizer,
        "passes": state.passes,
        "metrics": metrics,
    }
    return FitResult(model=problem.build(networks, facts), metrics=metrics, **_told(state, names))


def _material(
    frames: Sequence[Frame],
    recipe: Recipe,
    member: int,
    previous: AnyModel | None,
    shop: Workshop,
) -> Material:
    training = recipe.training
    seen = list(range(len(frames)))
    if training.test_fraction:
        seen, _ = assign_splits(
            frames,
            seed=recipe.seed,
            test_fraction=training.test_fraction,
            by_group=training.test_by_group,
            strict=False,
        )
    known = [frames[place] for place in seen]
    places, held = split_frames(
        known, training.validation_fraction, seed=recipe.seed, member=member
    )
    return Material(
        frames=[known[i] for i in places],
        held=[known[i] for i in held],
        recipe=recipe,
        previous=previous,
        member=member,
        team=Team(ranks=shop.ranks, threads=Threads(shop.threads)),
    )


def _checkpoint(
    shop: Workshop, frames: Sequence[Frame], recipe: Recipe, member: int
) -> Checkpoint | None:
    if shop.checkpoint is None:
        return None
    return Checkpoint(shop.checkpoint, recipe.digest(frames, member))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    # members train in processes side by side; and one thread adds up in one order
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _kept(
    previous: AnyModel | None, state: TrainingState, names: list[str], member: int
) -> FitResult:
    why = state.diverged or "no pass gave a finite loss"
    if previous is None:
        raise SearchFailedError(
            f"the training of member {member} diverged: {why}",
            remedy="look for absurd labels among the frames; with an optimizer that has one, lower "
            "training.learning_rate",
            history=list(state.history),
        )
    nothing = {"training": None, "validation": None}
    return FitResult(model=previous, metrics=dict(nothing), diverged=why, **_told(state, names))


def _told(state: TrainingState, names: list[str]) -> dict[str, Any]:
    table = state.weights.T.tolist()
    return {
        "history": tuple(state.history),
        "focal": dict(zip(names, state.focal.tolist(), strict=True)),
        "weights": dict(zip(names, table, strict=True)),
        "quarantined": {names[int(place)]: why for place, why in state.quarantined.items()},
    }


def _metrics(
    problem: Problem, state: TrainingState, ranks: Ranks
) -> dict[str, dict[str, float | None] | None]:
    if state.best is None:
        raise ValueError("nothing was trained")
    networks = problem.layout.networks(state.best)
    training, validation = (
        None if part is None or labels is None else tally(part, labels, networks, ranks)
        for part, labels in zip(problem.parts, problem.labels, strict=True)
    )
    return {"training": training, "validation": validation}
