"""Training of Deep Potentials: exact gradients, it learns, retrains, and repeats itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from aga.config.schema import Settings
from aga.errors import DataError, InputError, SearchFailedError
from aga.parallel.ranks import Alone
from aga.potential.deep.model import DeepModel
from aga.potential.kinds import load_model, make_committee
from aga.potential.model import Model
from aga.potential.threads import Threads
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.fixed import function_set
from aga.training.loss import frame_losses
from aga.training.objective import Objective
from aga.training.problem import Material, Team
from aga.training.recipe import Recipe
from aga.training.schedule import Prefactors
from aga.training.scoring.metrics import score
from aga.training.smooth import prepare_smooth

DEEP = ["deep_smooth", "deep_local_frame"]

PREFACTORS = Prefactors(energy=100.0, force=1.0, stress=4.0)


def settings(descriptor: str, composition: str = "Si8", **training: object) -> Settings:
    return Settings.model_validate(
        {
            "search": {"composition": composition},
            "training": {"passes": 120, **training},
            "potential": {
                "descriptor": descriptor,
                "hidden": [10, 10],
                "deep": {"embedding": [8], "axis_neurons": 4, "neighbours": 8},
            },
        }
    )


@pytest.fixture(scope="module")
def si_frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"train-{k}") for k in range(30)]


def two_elements(count: int) -> list[Frame]:
    """Frames of three compositions, some without forces or stress, in cells of any shape."""
    rng = stream(1, "two")
    frames = []
    for k in range(count):
        numbers = [[8, 22, 8], [22, 8, 8, 8, 22], [22, 22]][k % 3]
        cell = np.eye(3) * rng.uniform(3.5, 4.5) + rng.normal(0, 0.2, (3, 3))
        n = len(numbers)
        grid = np.array(list(np.ndindex(2, 2, 2)))[rng.permutation(8)[:n]] / 2
        frames.append(
            Frame(
                candidate=Candidate(
                    name=f"f{k}",
                    numbers=np.array(numbers),
                    positions=(grid + rng.uniform(-0.05, 0.05, (n, 3))) @ cell,
                    cell=cell,
                ),
                energy=float(-8.0 * n + rng.normal()),
                forces=None if k % 4 == 1 else rng.normal(size=(n, 3)),
                stress=None if k % 5 == 2 else 0.05 * rng.normal(size=6),
            )
        )
    return frames


def material(frames: list[Frame], chosen: Settings) -> Material:
    return Material(
        frames=frames,
        held=(),
        recipe=Recipe.of_search(chosen, seed=3),
        previous=None,
        member=0,
        team=Team(ranks=Alone(), threads=Threads()),
    )


def test_the_gradient_of_the_loss_is_its_slope() -> None:
    """By all parameters of both networks, through energies, forces and stresses."""
    chosen = settings("deep_smooth", "TiO2")
    problem = prepare_smooth(material(two_elements(6), chosen))
    objective = Objective(
        layout=problem.layout, part=problem.parts[0], smoothness=0.0, ranks=Alone()
    )
    vector, weights = problem.start.clone(), np.ones(6)
    _, gradient, _ = objective.gradient(vector, PREFACTORS, weights)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        step = torch.randn(len(vector), dtype=torch.float64, generator=generator)
        up, down = (
            objective.gradient(vector + h * step, PREFACTORS, weights)[0] for h in (1e-6, -1e-6)
        )
        assert float(gradient @ step) == pytest.approx((up - down) / 2e-6, rel=1e-5)
    assert (gradient != 0).all()


def test_training_sees_what_the_committee_says() -> None:
    chosen = settings("deep_smooth", "TiO2")
    frames = two_elements(6)
    problem = prepare_smooth(material(frames, chosen))
    networks = problem.layout.networks(problem.start)
    model = problem.build(networks, {})
    with torch.no_grad():
        (piece,) = problem.parts[0].evaluator.pieces()
        predicted = piece(networks)
        losses = frame_losses(predicted, problem.parts[0].targets, PREFACTORS)
    data = problem.labels[0]
    said = make_committee([model]).predict([f.candidate for f in frames])
    reference = data.composition @ model.standard.reference_energies  # type: ignore[union-attr] # deep
    labels = np.array([f.energy for f in frames])
    np.testing.assert_allclose(
        predicted[0].numpy() + reference - data.energy,
        [p.energy for p in said] - labels,
        atol=1e-10,
    )
    forces = np.concatenate([p.forces for p in said])
    labelled = np.concatenate([np.zeros((len(f.candidate), 3)) if f.forces is None else f.forces
                               for f in frames])  # fmt: skip
    np.testing.assert_allclose(
        predicted[1].numpy() - data.gradient, -(forces - labelled), atol=1e-10
    )
    assert torch.isfinite(losses).all()


@pytest.mark.parametrize("descriptor", DEEP)
def test_training_learns_tersoff_silicon(
    descriptor: str, si_frames: list[Frame], make_silicon: Callable[[str], Frame]
) -> None:
    results = [
        fit_member(si_frames, Recipe.of_search(settings(descriptor), seed=1), member=m)
        for m in range(2)
    ]
    unseen = [make_silicon(f"test-{k}") for k in range(15)]
    said = make_committee([r.model for r in results]).predict([f.candidate for f in unseen])
    energies = np.array([p.energy / 8 for p in said])
    true = np.array([f.energy_per_atom for f in unseen])
    assert score(energies, true).mae < 0.25 * np.abs(true - np.median(true)).mean()
    forces = np.array([p.forces for p in said])
    labels = np.array([f.forces for f in unseen])
    assert score(forces, labels).mae < 0.35 * np.abs(labels).mean()
    stress, truth = np.array([p.stress for p in said]), np.array([f.stress for f in unseen])
    assert score(stress, truth).mae < 0.35 * np.abs(truth).mean()
    metrics = results[0].metrics["training"]
    assert metrics is not None
    assert all(metrics[name] for name in ("energy_mae", "force_mae", "stress_mae"))


@pytest.mark.parametrize("descriptor", DEEP)
def test_equal_arguments_give_equal_bits(descriptor: str, si_frames: list[Frame]) -> None:
    chosen = settings(descriptor, passes=20)
    first, again, other = (
        fit_member(si_frames[:8], Recipe.of_search(chosen, seed=4), member=m).model.to_bytes()
        for m in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("descriptor", DEEP)
def test_training_goes_on_from_a_stored_model(descriptor: str, si_frames: list[Frame]) -> None:
    first = fit_member(
        si_frames[:15], Recipe.of_search(settings(descriptor), seed=3), member=0
    ).model
    stored = load_model(first.to_bytes())
    once = settings(descriptor, passes=1)
    more, again = (
        fit_member(si_frames, Recipe.of_search(once, seed=3), member=0, previous=m)
        for m in (first, stored)
    )
    fresh = fit_member(si_frames, Recipe.of_search(once, seed=3), member=0)
    assert more.model.to_bytes() == again.model.to_bytes()
    assert (more.model.facts["start"], fresh.model.facts["start"]) == ("previous", "fresh")
    assert more.history[0]["loss"] < 0.3 * fresh.history[0]["loss"]


@pytest.mark.parametrize("descriptor", DEEP)
def test_the_restated_start_is_exact(descriptor: str, si_frames: list[Frame]) -> None:
    first = fit_member(
        si_frames[:8], Recipe.of_search(settings(descriptor, passes=20), seed=3), member=0
    ).model
    still = settings(
        descriptor,
        energy_prefactor=(0, 0),
        force_prefactor=(0, 0),
        stress_prefactor=(0, 0),
        smoothness=0.0,
    )
    more = fit_member(si_frames, Recipe.of_search(still, seed=3), member=0, previous=first).model
    assert not np.array_equal(
        more.arrays()["reference_energies"], first.arrays()["reference_energies"]
    )
    candidates = [f.candidate for f in si_frames]
    before, after = (make_committee([m]).predict(candidates) for m in (first, more))
    for a, b in zip(before, after, strict=True):
        assert b.energy == pytest.approx(a.energy, rel=1e-11)
        np.testing.assert_allclose(b.forces, a.forces, atol=1e-9)


def test_another_descriptor_starts_afresh(si_frames: list[Frame]) -> None:
    few, once = si_frames[:6], {"passes": 2}
    models = {
        name: fit_member(few, Recipe.of_search(settings(name, **once), seed=3), member=0).model
        for name in ("symmetry_functions", *DEEP)
    }
    assert isinstance(models["deep_smooth"], DeepModel)
    assert isinstance(models["deep_local_frame"], Model)
    for name in models:
        for other, model in models.items():
            result = fit_member(
                few, Recipe.of_search(settings(name, **once), seed=3), member=0, previous=model
            )
            assert result.model.facts["start"] == ("previous" if name == other else "fresh")
    wider = settings("deep_smooth", **once)
    deep = wider.potential.deep.model_copy(update={"embedding": (9,)})
    wider = wider.model_copy(
        update={"potential": wider.potential.model_copy(update={"deep": deep})}
    )
    result = fit_member(
        few, Recipe.of_search(wider, seed=3), member=0, previous=models["deep_smooth"]
    )
    assert result.model.facts["start"] == "fresh"


@pytest.mark.parametrize("descriptor", DEEP)
def test_two_elements_train_and_missing_labels_are_nothing(descriptor: str) -> None:
    frames = two_elements(12)
    result = fit_member(
        frames, Recipe.of_search(settings(descriptor, "TiO2", passes=80), seed=1), member=0
    )
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    bare = [replace(f, forces=None, stress=None) for f in frames]
    chosen = settings(descriptor, "TiO2", passes=20)
    metrics = fit_member(bare, Recipe.of_search(chosen, seed=1), member=0).metrics["training"]
    assert metrics is not None
    assert (metrics["force_mae"], metrics["stress_mae"]) == (None, None)


@pytest.mark.parametrize("descriptor", DEEP)
def test_focal_weights_are_those_of_every_training(descriptor: str, si_frames: list[Frame]) -> None:
    weighted = fit_member(
        si_frames[:12],
        Recipe.of_search(settings(descriptor, passes=60, focal_gamma=1.0), seed=3),
        member=0,
    )
    plain = fit_member(
        si_frames[:12],
        Recipe.of_search(settings(descriptor, passes=60, focal_gamma=0.0), seed=3),
        member=0,
    )
    assert set(plain.focal.values()) == {1.0}
    assert len(set(weighted.focal.values())) > 5


@pytest.mark.parametrize("descriptor", DEEP)
def test_bad_frames_are_named(descriptor: str, si_frames: list[Frame]) -> None:
    with pytest.raises(DataError, match=r"frame 0: Si does not belong"):
        fit_member(si_frames, Recipe.of_search(settings(descriptor, "TiO2"), seed=1), member=0)
    lone = [f for f in two_elements(6) if 8 not in f.candidate.numbers]
    with pytest.raises(DataError, match="contains O"):
        fit_member(lone * 2, Recipe.of_search(settings(descriptor, "TiO2"), seed=1), member=0)
    positions = si_frames[1].candidate.positions.copy()
    positions[1] = positions[0]
    bad = replace(si_frames[1], candidate=si_frames[1].candidate.moved(positions))
    with pytest.raises(DataError, match=r"frame 1: train-1: two atoms"):
        fit_member(
            [si_frames[0], bad, *si_frames[2:]],
            Recipe.of_search(settings(descriptor, validation_fraction=0.0), seed=1),
            member=0,
        )


def test_a_training_without_a_finite_loss_keeps_the_previous_model(
    si_frames: list[Frame],
) -> None:
    first = fit_member(
        si_frames[:6], Recipe.of_search(settings("deep_smooth", passes=5), seed=3), member=0
    ).model
    absurd = [replace(si_frames[0], forces=np.full((8, 3), 1e200)), *si_frames[1:6]]
    chosen = settings("deep_smooth", passes=20, validation_fraction=0.0)
    kept = fit_member(absurd, Recipe.of_search(chosen, seed=3), member=0, previous=first)
    assert kept.diverged is not None
    assert kept.model is first
    with pytest.raises(SearchFailedError, match="member 0 diverged"):
        fit_member(absurd, Recipe.of_search(chosen, seed=3), member=0)


def test_settings_of_nonsense_are_refused() -> None:
    with pytest.raises(InputError, match="no symmetry functions"):
        function_set(["Si"], settings("deep_smooth").potential)
    for wrong, message in [
        ({"preset": "tio2"}, "preset"),
        ({"deep": {"embedding": []}}, "embedding"),
        ({"deep": {"embedding": [4], "axis_neurons": 5}}, "axis_neurons"),
        ({"deep": {"inner_radius": 4.5}}, "inner_radius"),
        ({"deep": {"inner_radius": 0.5}}, "goes with a cutoff"),
        ({"cutoff": 4.5, "deep": {"inner_radius": 4.5}}, "smaller than the cutoff"),
        ({"deep": {"neighbours": 0}}, "neighbours"),
    ]:
        with pytest.raises(ValueError, match=message):
            Settings.model_validate(
                {
                    "search": {"composition": "TiO2"},
                    "potential": {"descriptor": "deep_smooth", **wrong},
                }
            )
