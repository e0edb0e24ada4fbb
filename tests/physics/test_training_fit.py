"""Training on real Tersoff silicon and on two elements: it learns, exactly and repeatably."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms import TersoffBrenner
from matscipy.calculators.manybody.explicit_forms.tersoff_brenner import (
    Tersoff_PRB_39_5566_Si_C,
)

from aga.config.schema import Settings, TrainingSettings
from aga.errors import DataError, SearchFailedError
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import Repulsion
from aga.potential.network import initialise
from aga.potential.symmetry.presets import automatic
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.dataset import describe, frame_weights, standardise
from aga.training.evaluators import Dense, Streamed, make_evaluator
from aga.training.fit import fit_member
from aga.training.loss import Targets, frame_losses
from aga.training.metrics import score


def settings(composition: str = "Si8", passes: int = 120, **training: object) -> Settings:
    return Settings.model_validate(
        {
            "search": {"composition": composition},
            "training": {"passes": passes, **training},
            "potential": {"hidden": [10, 10]},
        }
    )


def tersoff(atoms: Atoms, name: str) -> Frame:
    atoms.calc = Manybody(**TersoffBrenner(Tersoff_PRB_39_5566_Si_C))
    return Frame(
        candidate=Candidate.from_ase(atoms, name=name),
        energy=float(atoms.get_potential_energy()),
        forces=atoms.get_forces(),
        stress=atoms.get_stress(),
    )


def silicon(name: str) -> Frame:
    """Diamond, shaken, strained and compressed by a random amount."""
    rng = stream(7, name)
    atoms = bulk("Si", "diamond", a=5.432, cubic=True)
    strain = rng.normal(0, 0.02, (3, 3))
    scale = rng.uniform(0.97, 1.04) * (np.eye(3) + 0.5 * (strain + strain.T))
    atoms.set_cell(atoms.cell @ scale, scale_atoms=True)
    atoms.positions += rng.normal(0, rng.uniform(0.02, 0.12), (8, 3))
    return tersoff(atoms, name)


@pytest.fixture(scope="module")
def si_frames() -> list[Frame]:
    return [silicon(f"train-{k}") for k in range(30)]


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


def test_stored_jacobians_and_streamed_kernels_are_one_function() -> None:
    frames, functions = two_elements(9), automatic(["O", "Ti"], 5.0)
    data = describe(frames, functions, Repulsion(functions.elements))
    standard = standardise(data, 1.0)
    targets = data.targets(standard.reference_energies, frame_weights(data, standard, 1.0))
    generator = torch.Generator().manual_seed(2)
    weights = [initialise(functions.size, (6, 5), generator) for _ in range(2)]
    results = []
    for kind in (Dense, Streamed):
        leaves = [[p.clone() for layer in network for p in layer] for network in weights]
        flat = [p for network in leaves for p in network]
        for p in flat:
            p.requires_grad = True
        networks = [tuple(zip(n[::2], n[1::2], strict=True)) for n in leaves]
        predicted = kind(data, standard, "softplus")(networks)
        loss = frame_losses(predicted, targets, TrainingSettings()).sum()
        results.append(([p.detach() for p in predicted], torch.autograd.grad(loss, flat)))
    (dense, slopes), (streamed, others) = results
    for a, b in zip(dense, streamed, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    for a, b in zip(slopes, others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * float(a.abs().max()))
    assert isinstance(make_evaluator(data, standard, "tanh", data.jacobian_bytes()), Dense)
    assert isinstance(make_evaluator(data, standard, "tanh", data.jacobian_bytes() - 1), Streamed)


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
    weights = TrainingSettings(energy_weight=2.0, force_weight=3.0, stress_weight=5.0)
    expected = 0.5 * (2.0 * 2.0**2 + 3.0 * 14.0 / 6.0 + 5.0 * (1.0 + 2 * 2.0**2) / 9.0)
    assert float(frame_losses(predicted, targets, weights)) == pytest.approx(expected)


def test_frames_above_the_lowest_fade() -> None:
    frames = [silicon(f"h{k}") for k in range(3)]
    frames = [replace(f, energy=8 * e) for f, e in zip(frames, (-4.6, -4.1, -2.6), strict=True)]
    data = describe(frames, automatic(["Si"], 5.0), Repulsion(("Si",)))
    weights = frame_weights(data, standardise(data, 0.5), 0.5)
    assert weights == pytest.approx([1.0, 0.5, 1 / 17])


def test_training_learns_tersoff_silicon(si_frames: list[Frame]) -> None:
    models = [fit_member(si_frames, settings(), member=m, seed=1).model for m in range(2)]
    committee = NetworkCommittee(models)
    unseen = [silicon(f"test-{k}") for k in range(15)]
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
    results = [fit_member(si_frames, settings(passes=30), member=1, seed=4) for _ in range(2)]
    assert results[0].model.to_bytes() == results[1].model.to_bytes()
    other = fit_member(si_frames, settings(passes=30), member=2, seed=4)
    assert other.model.to_bytes() != results[0].model.to_bytes()


def test_training_leaves_the_number_of_threads_alone(si_frames: list[Frame]) -> None:
    before = torch.get_num_threads()
    fit_member(si_frames[:4], settings(passes=1), member=0, seed=0)
    assert torch.get_num_threads() == before


def test_a_warm_start_starts_low(si_frames: list[Frame]) -> None:
    first = fit_member(si_frames[:15], settings(), member=0, seed=3)
    more = fit_member(si_frames, settings(passes=1), member=0, seed=3, previous=first.model)
    fresh = fit_member(si_frames, settings(passes=1), member=0, seed=3)
    assert more.model.facts["start"] == "previous"
    assert not np.array_equal(more.model.mean, first.model.mean)
    assert more.history[0]["loss"] < 0.2 * fresh.history[0]["loss"]


def test_the_restated_start_is_exact(si_frames: list[Frame]) -> None:
    first = fit_member(si_frames[:8], settings(passes=20), member=0, seed=3).model
    still = settings(energy_weight=0.0, force_weight=0.0, stress_weight=0.0, smoothness=0.0)
    more = fit_member(si_frames, still, member=0, seed=3, previous=first).model
    candidates = [f.candidate for f in si_frames]
    before, after = (NetworkCommittee([m]).predict(candidates) for m in (first, more))
    for a, b in zip(before, after, strict=True):
        assert b.energy == pytest.approx(a.energy, rel=1e-11)
        np.testing.assert_allclose(b.forces, a.forces, atol=1e-9)


def test_a_fresh_start_is_taken_where_the_settings_or_the_layers_say_so(
    si_frames: list[Frame],
) -> None:
    first = fit_member(si_frames[:6], settings(passes=2), member=0, seed=3).model
    for changed in (
        settings(passes=2, start="fresh"),
        settings(passes=2).model_copy(
            update={"potential": settings().potential.model_copy(update={"hidden": (4,)})}
        ),
    ):
        result = fit_member(si_frames[:6], changed, member=0, seed=3, previous=first)
        assert result.model.facts["start"] == "fresh"


def test_focal_weights_are_reported_and_gamma_zero_is_unweighted(si_frames: list[Frame]) -> None:
    weighted = fit_member(si_frames, settings(passes=60, focal_gamma=1.0), member=0, seed=3)
    plain = fit_member(si_frames, settings(passes=60, focal_gamma=0.0), member=0, seed=3)
    assert set(plain.focal.values()) == {1.0}
    assert len(set(weighted.focal.values())) > 5
    assert np.mean(list(weighted.focal.values())) == pytest.approx(1.0)
    assert set(weighted.focal) <= {f.name for f in si_frames}


def test_frames_without_forces_or_stress_train() -> None:
    frames = two_elements(12)
    result = fit_member(frames, settings("TiO2", passes=80), member=0, seed=1)
    metrics = result.metrics["training"]
    assert metrics is not None
    assert metrics["energy_mae"] is not None
    assert result.history[-1]["loss"] < 0.5 * result.history[0]["loss"]
    bare = [replace(f, forces=None, stress=None) for f in frames]
    metrics = fit_member(bare, settings("TiO2", passes=20), member=0, seed=1).metrics["training"]
    assert metrics is not None
    assert (metrics["force_mae"], metrics["stress_mae"]) == (None, None)


def test_labels_outside_the_search_are_refused(si_frames: list[Frame]) -> None:
    with pytest.raises(DataError, match=r"frame 0: Si does not belong"):
        fit_member(si_frames, settings("TiO2"), member=0, seed=1)
    oxygen = two_elements(1)[0]
    lone = replace(oxygen.candidate, numbers=np.array([8, 8, 8]))
    with pytest.raises(DataError, match="contains Ti"):
        fit_member([replace(oxygen, candidate=lone)], settings("TiO2"), member=0, seed=1)


def test_two_atoms_on_one_point_are_named(si_frames: list[Frame]) -> None:
    positions = si_frames[1].candidate.positions.copy()
    positions[1] = positions[0]
    bad = replace(si_frames[1], candidate=si_frames[1].candidate.moved(positions))
    with pytest.raises(DataError, match=r"frame 1: train-1: two atoms"):
        fit_member(
            [si_frames[0], bad, *si_frames[2:]],
            settings(validation_fraction=0.0), member=0, seed=1,
        )  # fmt: skip


def test_a_training_without_a_finite_loss_keeps_the_previous_model(
    si_frames: list[Frame],
) -> None:
    first = fit_member(si_frames[:6], settings(passes=5), member=0, seed=3).model
    absurd = [replace(si_frames[0], forces=np.full((8, 3), 1e200)), *si_frames[1:6]]
    chosen = settings(passes=20, validation_fraction=0.0)
    kept = fit_member(absurd, chosen, member=0, seed=3, previous=first)
    assert kept.diverged
    assert kept.model is first
    with pytest.raises(SearchFailedError, match="no finite loss"):
        fit_member(absurd, chosen, member=0, seed=3)
