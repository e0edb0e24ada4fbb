"""Training on real Tersoff silicon and on two elements: it learns, exactly and repeatably."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from aga.config.schema import Settings
from aga.errors import DataError, SearchFailedError
from aga.parallel.ranks import Alone
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import Repulsion
from aga.potential.network import flatten, initialise
from aga.potential.symmetry.presets import automatic
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.curvature import Sketch, curvature
from aga.training.data.described import Described, Memory, describe
from aga.training.data.standard import frame_weights, standardise, standardise_energies
from aga.training.evaluators import FixedEvaluator
from aga.training.fit import fit_member
from aga.training.loss import SHEAR, Targets, frame_losses
from aga.training.objective import ElementLayout, Objective, Part
from aga.training.recipe import Recipe
from aga.training.schedule import Prefactors
from aga.training.scoring.metrics import score

PREFACTORS = Prefactors(energy=100.0, force=1.0, stress=4.0)


def settings(composition: str = "Si8", passes: int = 120, **training: object) -> Settings:
    return Settings.model_validate(
        {
            "search": {"composition": composition},
            "training": {"passes": passes, **training},
            "potential": {"hidden": [10, 10]},
        }
    )


@pytest.fixture(scope="module")
def si_frames(make_silicon: Callable[[str], Frame]) -> list[Frame]:
    return [make_silicon(f"train-{k}") for k in range(30)]


def two_elements(count: int, seed: int = 1) -> list[Frame]:
    """Frames of three compositions, atoms of both elements mixed, some without labels."""
    rng = stream(seed, "two")
    frames = []
    for k in range(count):
        numbers = [[8, 22, 8], [22, 8, 8, 8, 22], [22, 22]][k % 3]
        cell = np.eye(3) * rng.uniform(3.5, 4.5) + rng.normal(0, 0.2, (3, 3))
        n = len(numbers)
        frames.append(
            Frame(
                candidate=Candidate(
                    name=f"f{k}",
                    numbers=np.array(numbers),
                    positions=rng.uniform(0, 1, (n, 3)) @ cell,
                    cell=cell,
                ),
                energy=float(-8.0 * n + rng.normal()),
                forces=None if k % 4 == 1 else rng.normal(size=(n, 3)),
                stress=None if k % 5 == 2 else 0.05 * rng.normal(size=6),
            )
        )
    return frames


def objective(memory: Memory, frames: list[Frame]) -> tuple[Objective, Described]:
    """The loss of the frames with a recipe of two elements, kept in memory or not."""
    functions = automatic(["O", "Ti"], 5.0)
    data = describe(frames, functions, Repulsion(functions.elements), memory, Alone())
    labels = data.labels
    energies = standardise_energies(functions.elements, labels.composition, labels.energy, 1.0)
    standard = standardise(energies, data.columns)
    weights = frame_weights(labels.composition, labels.energy, energies, 1.0)
    part = Part(
        evaluator=FixedEvaluator(data, standard, "softplus"),
        targets=labels.targets(standard.reference_energies, weights),
        places=np.arange(len(frames)),
        count=len(frames),
    )
    layout = ElementLayout(elements=2, inputs=functions.size, hidden=(6, 5))
    return Objective(layout=layout, part=part, smoothness=0.1, ranks=Alone()), data


MEMORIES = (
    Memory(jacobians=1e9, descriptors=1e9),
    Memory(jacobians=0, descriptors=1e9),
    Memory(jacobians=0, descriptors=0),
)


def random_start(objective: Objective, seed: int = 2) -> torch.Tensor:
    layout = objective.layout
    assert isinstance(layout, ElementLayout)
    generator = torch.Generator().manual_seed(seed)
    networks = [initialise(layout.inputs, layout.hidden, generator) for _ in range(2)]
    return torch.cat([flatten(network) for network in networks])


def test_whatever_is_stored_the_loss_is_one_function() -> None:
    frames = two_elements(9)
    weights, chosen = np.linspace(0.5, 2.0, 9), np.array([1, 4, 7])
    results = []
    for memory in MEMORIES:
        loss, data = objective(memory, frames)
        assert (data.jacobians is not None) == (memory.jacobians > 0)
        assert (data.stored is not None) == (memory.jacobians == 0 and memory.descriptors > 0)
        vector = random_start(loss)
        whole = loss.gradient(vector, PREFACTORS, weights)
        batch = loss.gradient(vector, PREFACTORS, weights, chosen)
        assert np.isfinite(batch[2][chosen]).all()
        assert np.isnan(np.delete(batch[2], chosen)).all()
        np.testing.assert_allclose(batch[2][chosen], whole[2][chosen], rtol=1e-12)
        results.append((whole, batch))
    for others in results[1:]:
        for (value, slope, losses), (other, another, more) in zip(results[0], others, strict=True):
            assert value == pytest.approx(other, rel=1e-6)
            bound = 1e-6 * float(slope.abs().max())
            torch.testing.assert_close(slope, another, rtol=1e-5, atol=bound)
            np.testing.assert_allclose(losses, more, rtol=1e-5)


@pytest.mark.parametrize("memory", MEMORIES[:2])
@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize("prefactors", [PREFACTORS, Prefactors(energy=3.0, force=0.0, stress=0.0)])
def test_sweeps_give_the_gradient_of_the_graph(
    memory: Memory, count: int, prefactors: Prefactors
) -> None:
    loss, _ = objective(memory, two_elements(count))
    weights = np.linspace(0.5, 2.0, count)
    _, gradient, losses = loss.gradient(random_start(loss), prefactors, weights)
    leaf = random_start(loss).requires_grad_()
    (piece,) = loss.part.evaluator.pieces()
    each = frame_losses(piece(loss.layout.networks(leaf)), loss.part.targets, prefactors)
    total = (each * torch.from_numpy(weights)).sum() + loss.smoothness * (leaf**2).sum()
    (slope,) = torch.autograd.grad(total / count, leaf)
    np.testing.assert_allclose(losses, each.detach().numpy(), rtol=1e-12)
    bound = 1e-12 * float(slope.abs().max())
    torch.testing.assert_close(gradient, slope, rtol=1e-10, atol=bound)


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_gradient_is_the_slope_of_the_loss(memory: Memory) -> None:
    loss, _ = objective(memory, two_elements(6))
    vector, weights = random_start(loss), np.linspace(0.5, 2.0, 6)
    gradient = loss.gradient(vector, PREFACTORS, weights)[1]
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        step = torch.randn(len(vector), dtype=torch.float64, generator=generator)
        up, down = (loss.gradient(vector + h * step, PREFACTORS, weights)[0] for h in (1e-6, -1e-6))
        assert float(gradient @ step) == pytest.approx((up - down) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_curvature_is_that_of_gauss_and_newton(memory: Memory) -> None:
    """With as many combinations as residuals nothing is random: compare with differences of
    the residuals themselves, from predictions."""
    loss, _ = objective(memory, two_elements(4))
    vector, weights = random_start(loss), np.array([1.0, 0.5, 2.0, 0.0])
    layout, part = loss.layout, loss.part
    assert isinstance(layout, ElementLayout)
    sketch = Sketch(seed=1, rows=1000.0)
    (block,) = curvature(vector, layout, part, PREFACTORS, weights, sketch, Alone())
    found = block.dense()

    def residuals(at: torch.Tensor) -> torch.Tensor:
        targets, parts = part.targets, []
        with torch.no_grad():
            (piece,) = part.evaluator.pieces()
            energy, gradient, strain = piece(layout.networks(at))
        scale = torch.sqrt(torch.from_numpy(weights) * targets.fade)
        n = targets.counts
        parts.append(scale * PREFACTORS.energy**0.5 * energy / n)
        force = scale * torch.sqrt(PREFACTORS.force * targets.has_forces / (3 * n))
        parts.append((gradient * force[targets.owners].unsqueeze(1)).reshape(-1))
        field = scale * torch.sqrt(PREFACTORS.stress * targets.has_stress / 9) / n
        shear = torch.tensor(SHEAR, dtype=torch.float64).sqrt()
        parts.append((strain * shear * field.unsqueeze(1)).reshape(-1))
        return torch.cat(parts)

    steps = torch.eye(len(vector), dtype=torch.float64) * 1e-5
    H = torch.stack([(residuals(vector + s) - residuals(vector - s)) / 2e-5 for s in steps], dim=1)
    expected = 2 * H.T @ H / 4
    torch.testing.assert_close(
        found, expected, rtol=1e-3, atol=1e-5 * float(expected.diagonal().max())
    )


def test_a_sketch_of_the_curvature_is_right_on_average() -> None:
    loss, _ = objective(MEMORIES[0], two_elements(6))
    vector, weights = random_start(loss), np.ones(6)
    layout = loss.layout
    assert isinstance(layout, ElementLayout)

    def matrix(seed: int, rows: float) -> torch.Tensor:
        sketch, forces = Sketch(seed=seed, rows=rows), Prefactors(energy=0.0, force=1.0, stress=4.0)
        return curvature(vector, layout, loss.part, forces, weights, sketch, Alone())[0].dense()

    full = matrix(0, 1000.0)
    mean = torch.stack([matrix(seed, 0.01) for seed in range(200)]).mean(0)
    assert float((mean - full).norm() / full.norm()) < 0.15
    assert float((matrix(1, 0.01) - full).norm() / full.norm()) > 0.15


def test_the_loss_by_hand() -> None:
    one = torch.ones(1, dtype=torch.float64)
    targets = Targets(
        energy=0 * one, gradient=torch.zeros(2, 3, dtype=torch.float64),
        strain=torch.zeros(1, 6, dtype=torch.float64), has_forces=one, has_stress=one,
        counts=2 * one, owners=torch.zeros(2, dtype=torch.int64), fade=0.5 * one,
    )  # fmt: skip
    predicted = (
        0.04 * one,
        torch.tensor([[0.1, 0.2, 0.0], [0.0, 0.0, -0.3]], dtype=torch.float64),
        torch.tensor([[0.1, 0, 0, 0.2, 0, 0]], dtype=torch.float64),
    )
    prefactors = Prefactors(energy=200.0, force=3.0, stress=20.0)
    expected = 0.5 * (200 * 0.02**2 + 3.0 * 0.14 / 6.0 + 20.0 * 0.05**2 * (1.0 + 2 * 2.0**2) / 9.0)
    assert float(frame_losses(predicted, targets, prefactors)) == pytest.approx(expected)


def test_frames_above_the_lowest_fade() -> None:
    composition, energy = np.full((3, 1), 8.0), 8 * np.array([-4.6, -4.1, -2.6])
    standard = standardise_energies(("Si",), composition, energy, 0.5)
    weights = frame_weights(composition, energy, standard, 0.5)
    assert weights == pytest.approx([1.0, 0.5, 1 / 17])
    assert frame_weights(composition, energy, standard, None).tolist() == [1.0] * 3


def test_training_learns_tersoff_silicon(
    si_frames: list[Frame], make_silicon: Callable[[str], Frame]
) -> None:
    models = [
        fit_member(si_frames, Recipe.of_search(settings(), seed=1), member=m).model
        for m in range(2)
    ]
    committee = NetworkCommittee(models)
    unseen = [make_silicon(f"test-{k}") for k in range(15)]
    said = committee.predict([f.candidate for f in unseen])
    energies = np.array([p.energy / 8 for p in said])
    true = np.array([f.energy_per_atom for f in unseen])
    assert score(energies, true).mae < 0.012
    assert np.ptp(true) > 0.1
    forces = np.array([p.forces for p in said])
    labels = np.array([f.forces for f in unseen])
    assert score(forces, labels).mae < 0.25
    assert np.abs(labels).mean() > 1.0
    stress, truth = np.array([p.stress for p in said]), np.array([f.stress for f in unseen])
    assert score(stress, truth).mae < 0.15 * np.abs(truth).mean()


def test_equal_arguments_give_equal_bits(si_frames: list[Frame]) -> None:
    results = [
        fit_member(si_frames, Recipe.of_search(settings(passes=30), seed=4), member=1)
        for _ in range(2)
    ]
    assert results[0].model.to_bytes() == results[1].model.to_bytes()
    other = fit_member(si_frames, Recipe.of_search(settings(passes=30), seed=4), member=2)
    assert other.model.to_bytes() != results[0].model.to_bytes()


def test_training_leaves_the_number_of_threads_alone(si_frames: list[Frame]) -> None:
    before = torch.get_num_threads()
    fit_member(si_frames[:4], Recipe.of_search(settings(passes=1), seed=0), member=0)
    assert torch.get_num_threads() == before


def test_a_warm_start_starts_low(si_frames: list[Frame]) -> None:
    first = fit_member(si_frames[:15], Recipe.of_search(settings(), seed=3), member=0)
    more = fit_member(
        si_frames, Recipe.of_search(settings(passes=1), seed=3), member=0, previous=first.model
    )
    fresh = fit_member(si_frames, Recipe.of_search(settings(passes=1), seed=3), member=0)
    assert more.model.facts["start"] == "previous"
    assert not np.array_equal(more.model.mean, first.model.mean)
    assert more.history[0]["loss"] < 0.2 * fresh.history[0]["loss"]


def test_the_restated_start_is_exact(si_frames: list[Frame]) -> None:
    first = fit_member(si_frames[:8], Recipe.of_search(settings(passes=20), seed=3), member=0).model
    still = settings(
        energy_prefactor=(0, 0), force_prefactor=(0, 0), stress_prefactor=(0, 0), smoothness=0.0
    )
    more = fit_member(si_frames, Recipe.of_search(still, seed=3), member=0, previous=first).model
    candidates = [f.candidate for f in si_frames]
    before, after = (NetworkCommittee([m]).predict(candidates) for m in (first, more))
    for a, b in zip(before, after, strict=True):
        assert b.energy == pytest.approx(a.energy, rel=1e-11)
        np.testing.assert_allclose(b.forces, a.forces, atol=1e-9)


def test_a_fresh_start_is_taken_where_the_settings_or_the_layers_say_so(
    si_frames: list[Frame],
) -> None:
    first = fit_member(si_frames[:6], Recipe.of_search(settings(passes=2), seed=3), member=0).model
    for changed in (
        settings(passes=2, start="fresh"),
        settings(passes=2).model_copy(
            update={"potential": settings().potential.model_copy(update={"hidden": (4,)})}
        ),
    ):
        result = fit_member(
            si_frames[:6], Recipe.of_search(changed, seed=3), member=0, previous=first
        )
        assert result.model.facts["start"] == "fresh"


def test_focal_weights_are_reported_and_gamma_zero_is_unweighted(si_frames: list[Frame]) -> None:
    def focal(**training: object) -> dict[str, float]:
        recipe = Recipe.of_search(settings(**training), seed=3)
        return fit_member(si_frames, recipe, member=0).focal

    assert set(focal(passes=20, focal_gamma=0.0).values()) == {1.0}
    assert len(set(focal(passes=40, focal_gamma=1.0).values())) > 5
    by_passes = focal(passes=6, focal_gamma=1.0, optimizer="adam")
    assert len(set(by_passes.values())) > 5
    assert np.mean(list(by_passes.values())) == pytest.approx(1.0)
    assert set(by_passes) <= {f.name for f in si_frames}


def test_frames_without_forces_or_stress_train() -> None:
    frames = two_elements(12)
    result = fit_member(frames, Recipe.of_search(settings("TiO2", passes=80), seed=1), member=0)
    metrics = result.metrics["training"]
    assert metrics is not None
    assert metrics["energy_mae"] is not None
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    bare = [replace(f, forces=None, stress=None) for f in frames]
    metrics = fit_member(
        bare, Recipe.of_search(settings("TiO2", passes=20), seed=1), member=0
    ).metrics["training"]
    assert metrics is not None
    assert (metrics["force_mae"], metrics["stress_mae"]) == (None, None)


def test_labels_outside_the_search_are_refused(si_frames: list[Frame]) -> None:
    with pytest.raises(DataError, match=r"frame 0: Si does not belong"):
        fit_member(si_frames, Recipe.of_search(settings("TiO2"), seed=1), member=0)
    oxygen = two_elements(1)[0]
    lone = replace(oxygen.candidate, numbers=np.array([8, 8, 8]))
    with pytest.raises(DataError, match="contains Ti"):
        fit_member(
            [replace(oxygen, candidate=lone)], Recipe.of_search(settings("TiO2"), seed=1), member=0
        )


def test_two_atoms_on_one_point_are_named(si_frames: list[Frame]) -> None:
    positions = si_frames[1].candidate.positions.copy()
    positions[1] = positions[0]
    bad = replace(si_frames[1], candidate=si_frames[1].candidate.moved(positions))
    with pytest.raises(DataError, match=r"frame 1: train-1: two atoms"):
        fit_member(
            [si_frames[0], bad, *si_frames[2:]],
            Recipe.of_search(settings(validation_fraction=0.0), seed=1),
            member=0,
        )


def test_a_training_without_a_finite_loss_keeps_the_previous_model(
    si_frames: list[Frame],
) -> None:
    first = fit_member(si_frames[:6], Recipe.of_search(settings(passes=5), seed=3), member=0).model
    absurd = [replace(si_frames[0], forces=np.full((8, 3), 1e200)), *si_frames[1:6]]
    chosen = settings(passes=20, validation_fraction=0.0)
    kept = fit_member(absurd, Recipe.of_search(chosen, seed=3), member=0, previous=first)
    assert kept.diverged is not None
    assert kept.model is first
    with pytest.raises(SearchFailedError, match="member 0 diverged"):
        fit_member(absurd, Recipe.of_search(chosen, seed=3), member=0)
