"""Training of one committee member from labelled frames: inputs, settings, seed → model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aga.config.schema import Settings
from aga.errors import SearchFailedError
from aga.potential.functions import FunctionSet
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.network import Weights, flatten, initialise
from aga.potential.presets import automatic, preset
from aga.rng import derive_seed
from aga.structure.candidate import FloatArray
from aga.structure.protocols import Frame
from aga.training.dataset import Dataset, Standard, describe, frame_weights, standardise
from aga.training.evaluators import make_evaluator
from aga.training.frames import check_frames, split_frames
from aga.training.metrics import score
from aga.training.optimise import Layout, Outcome, Part, Progress, optimise
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

    model: Model
    metrics: dict[str, dict[str, float | None] | None]
    history: tuple[dict[str, Any], ...]
    focal: dict[str, float]
    diverged: bool = False


def function_set(settings: Settings) -> FunctionSet:
    """Give the symmetry functions that the settings ask for."""
    elements, potential = list(settings.search.atom_counts()), settings.potential
    if potential.preset is not None:
        return preset(potential.preset, elements)
    return automatic(elements, potential.cutoff)


def _repulsion(settings: Settings) -> Repulsion | None:
    if settings.potential.repulsion == "none":
        return None
    return Repulsion(tuple(sorted(settings.search.atom_counts())))


def fit_member(
    frames: Sequence[Frame],
    settings: Settings,
    *,
    member: int,
    seed: int,
    previous: Model | None = None,
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
    functions = function_set(settings)
    repulsion = _repulsion(settings)
    check_frames(frames, functions.elements)
    places, held = split_frames(
        frames, settings.training.validation_fraction, seed=seed, member=member
    )
    with _one_thread():
        data = describe([frames[i] for i in places], functions, repulsion)
        standard = standardise(data, settings.training.energy_scale)
        training = _part(data, standard, settings)
        validation = None
        if held:
            others = describe([frames[i] for i in held], functions, repulsion)
            validation = _part(others, standard, settings)
        start, warm = _start(functions, settings, standard, previous, (seed, member))
        layout = _layout(functions, settings)
        outcome = optimise(
            start, layout, (training, validation), settings.training, warm=warm, progress=progress
        )
        names = [frames[i].name for i in places]
        if outcome.vector is None:
            return _kept(previous, outcome, names)
        networks = layout.networks(outcome.vector)
        metrics = {
            "training": _metrics(training, data, networks),
            "validation": None if validation is None else _metrics(validation, others, networks),
        }
    facts = {
        "member": member,
        "seed": seed,
        "start": "previous" if warm else "fresh",
        "passes": outcome.history[-1]["passes"],
        "metrics": metrics,
    }
    model = _model(functions, settings, standard, networks, facts)
    return FitResult(
        model=model, metrics=metrics, history=outcome.history, focal=_focal(outcome, names)
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


def _layout(functions: FunctionSet, settings: Settings) -> Layout:
    return Layout(
        elements=len(functions.elements), inputs=functions.size, hidden=settings.potential.hidden
    )


def _part(data: Dataset, standard: Standard, settings: Settings) -> Part:
    weights = frame_weights(data, standard, settings.training.energy_scale)
    return Part(
        evaluator=make_evaluator(data, standard, settings.potential.activation),
        targets=data.targets(standard.reference_energies, weights),
    )


def _start(
    functions: FunctionSet,
    settings: Settings,
    standard: Standard,
    previous: Model | None,
    stream: tuple[int, int],
) -> tuple[Tensor, bool]:
    """Give the first parameters, and whether they are trained ones."""
    potential = settings.potential
    usable = (
        settings.training.start == "previous"
        and previous is not None
        and (previous.functions, previous.hidden, previous.activation, previous.repulsion)
        == (functions, potential.hidden, potential.activation, _repulsion(settings))
    )
    if usable and previous is not None:
        parts = [_restated(previous, standard, e) for e in range(len(functions.elements))]
    else:
        seed, member = stream
        generator = torch.Generator().manual_seed(derive_seed(seed, "weights", member))
        parts = [
            flatten(initialise(functions.size, potential.hidden, generator))
            for _ in functions.elements
        ]
    return torch.cat(parts), usable


def _restated(model: Model, standard: Standard, element: int) -> Tensor:
    """Give the parameters that make the same function with another standardisation."""
    layers = list(model.weights[model.functions.elements[element]])
    matrix, bias = layers[0]
    ratio = torch.from_numpy(standard.scale[element] / model.scale[element])
    shift = (standard.mean[element] - model.mean[element]) / model.scale[element]
    layers[0] = (matrix * ratio.unsqueeze(-1), bias + torch.from_numpy(shift) @ matrix)
    matrix, bias = layers[-1]
    ratio_energy = model.energy_scale / standard.energy_scale
    step = float(model.reference_energies[element] - standard.reference_energies[element])
    layers[-1] = (matrix * ratio_energy, bias * ratio_energy + step / standard.energy_scale)
    return flatten(tuple(layers))


def _model(
    functions: FunctionSet,
    settings: Settings,
    standard: Standard,
    networks: Sequence[Weights],
    facts: dict[str, Any],
) -> Model:
    return Model(
        functions=functions,
        hidden=settings.potential.hidden,
        activation=settings.potential.activation,
        weights=dict(zip(functions.elements, networks, strict=True)),
        mean=standard.mean,
        scale=standard.scale,
        reference_energies=standard.reference_energies,
        energy_scale=standard.energy_scale,
        repulsion=_repulsion(settings),
        facts=facts,
    )


def _kept(previous: Model | None, outcome: Outcome, names: list[str]) -> FitResult:
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


def _metrics(part: Part, data: Dataset, networks: Sequence[Weights]) -> dict[str, float | None]:
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
