"""Plain torch and our training compute the same loss and gradient, so their times compare."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aga.bench.cases import random_cells
from aga.bench.peers.torch_training import TorchTraining
from aga.bench.peers.torch_triplets import Variant
from aga.bench.training_speed import PREFACTORS, Bench, Stored, make_bench
from aga.config.potential import PotentialSettings
from aga.rng import stream
from aga.structure.protocols import Frame
from aga.training.schedule import Prefactors

POTENTIAL = PotentialSettings(cutoff=3.5, hidden=(7, 5))
EVERYTHING = Prefactors(energy=100.0, force=1.0, stress=4.0)


def cells(*, stress: bool) -> list[Frame]:
    """Random cells with labels at random; where they come from does not matter here."""
    frames = []
    for number, cell in enumerate(random_cells(3)):
        rng = stream(3, "labels", number)
        frames.append(
            Frame(
                candidate=cell,
                energy=float(-90.0 + rng.normal()),
                forces=rng.normal(size=(len(cell), 3)),
                stress=0.05 * rng.normal(size=6) if stress and number else None,
            )
        )
    return frames


def peer(bench: Bench, frames: list[Frame], variant: Variant) -> TorchTraining:
    candidates = [frame.candidate for frame in frames]
    return TorchTraining(bench.model, candidates, bench.objective.part.targets, variant)


@pytest.mark.parametrize(("stored", "relative"), [("descriptors", 1e-9), ("jacobians", 1e-6)])
@pytest.mark.parametrize("variant", ["formula", "factored"])
@pytest.mark.parametrize("stress", [False, True])
def test_loss_and_gradient_agree(
    stored: Stored, relative: float, variant: Variant, *, stress: bool
) -> None:
    frames = cells(stress=stress)
    bench = make_bench(frames, POTENTIAL, stored=stored)
    value, slope = bench.gradient(EVERYTHING)
    there = peer(bench, frames, variant)
    other, another = there.gradient(bench.start, bench.objective.layout, EVERYTHING)
    assert slope.dtype == another.dtype == torch.float64
    assert other == pytest.approx(value, rel=relative)
    largest = float(slope.abs().max())
    assert largest > 0.1
    torch.testing.assert_close(another, slope, rtol=0.0, atol=relative * largest)
    without = peer(bench, cells(stress=False), variant)
    if stress:  # the virial is not left out by both
        assert without.gradient(bench.start, bench.objective.layout, PREFACTORS["forces"])[
            0
        ] != pytest.approx(value, rel=1e-3)


def test_the_slope_of_the_peer_is_that_of_its_loss() -> None:
    frames = cells(stress=True)
    bench = make_bench(frames, POTENTIAL, stored="descriptors")
    there, layout = peer(bench, frames, "factored"), bench.objective.layout
    step = torch.from_numpy(stream(1, "step").normal(size=len(bench.start)))
    slope = there.gradient(bench.start, layout, EVERYTHING)[1]
    up, down = (
        there.gradient(bench.start + h * step, layout, EVERYTHING)[0] for h in (1e-6, -1e-6)
    )
    assert float(slope @ step) == pytest.approx((up - down) / 2e-6, rel=1e-5)


@pytest.mark.parametrize("stored", ["descriptors", "jacobians"])
def test_energies_alone_need_no_forces(stored: Stored) -> None:
    """The gradient is that with forces whose prefactor is as good as nothing, without the work."""
    bench = make_bench(cells(stress=True), POTENTIAL, stored=stored)
    value, slope = bench.gradient(Prefactors(energy=100.0, force=1e-30, stress=1e-30))

    def refuse(*_: object) -> None:
        raise AssertionError("no product with a Jacobian is needed")

    for piece in bench.objective.part.evaluator.pieces():  # kept, the same objects every time
        object.__setattr__(piece, "pull", refuse)
        object.__setattr__(piece, "push", refuse)
    other, another = bench.gradient(PREFACTORS["energies"])
    assert other == value
    np.testing.assert_allclose(another.numpy(), slope.numpy(), rtol=1e-13)
    with pytest.raises(AssertionError, match="Jacobian"):
        bench.gradient(PREFACTORS["forces"])


@pytest.mark.parametrize("stored", ["descriptors", "jacobians"])
def test_frames_without_forces_need_none(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = [Frame(candidate=f.candidate, energy=f.energy) for f in cells(stress=False)]
    bench = make_bench(bare, POTENTIAL, stored=stored)
    monkeypatch.setattr("aga.training.evaluators._Pull.apply", None)
    losses, errors = bench.objective.look(bench.start, EVERYTHING)
    assert np.isnan(errors.force).all()
    assert losses.mean() == pytest.approx(bench.gradient(EVERYTHING)[0], rel=1e-12)
