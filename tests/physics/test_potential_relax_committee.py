"""On a committee: FIRE, L-BFGS and ASE come back to one minimum; what a relaxation cost."""

import numpy as np
import pytest
import torch
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from aga.potential.calculator import CommitteeCalculator
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import Repulsion
from aga.potential.minimise import Optimizer
from aga.potential.model import Model
from aga.potential.network import initialise
from aga.potential.presets import automatic
from aga.potential.relax import BatchedRelaxer, Limits, RelaxTimings
from aga.rng import stream
from aga.structure.candidate import Candidate

PRESSURE = 0.05
TIGHT = Limits(max_force=1e-3, max_steps=2000, volume_range=(0.1, 10.0))


@pytest.fixture(scope="module")
def committee() -> NetworkCommittee:
    """Random networks: no physics, but a smooth energy with minima under pressure."""
    functions = automatic(("O", "Ti"), 4.5)
    models = []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        networks = {el: initialise(functions.size, (7, 5), generator) for el in ("O", "Ti")}
        model = Model(
            functions=functions,
            hidden=(7, 5),
            activation="softplus",
            weights=networks,
            mean=np.ones((2, functions.size)),
            scale=np.ones((2, functions.size)),
            reference_energies=np.array([-5.0, -6.0]),
            energy_scale=0.7,
            repulsion=Repulsion(functions.elements),
        )
        models.append(model)
    return NetworkCommittee(models)


def tio2(seed: int) -> Candidate:
    rng = stream(seed, "start")
    fractions = np.array(
        [[0, 0, 0], [0.5, 0.5, 0.5], [0.3, 0.3, 0], [0.7, 0.7, 0], [0.2, 0.8, 0.5], [0.8, 0.2, 0.5]]
    )
    cell = np.diag([4.6, 4.4, 3.1]) + rng.normal(0, 0.2, (3, 3))
    positions = fractions @ cell + rng.normal(0, 0.1, (6, 3))
    return Candidate(
        name=f"t{seed}", numbers=np.array([22, 22, 8, 8, 8, 8]), positions=positions, cell=cell
    )


@pytest.fixture(scope="module")
def displaced(committee: NetworkCommittee) -> list[Candidate]:
    """Structures near minima: whoever goes down from there must end in the same ones."""
    starts = [tio2(seed) for seed in range(3)]
    relaxed = BatchedRelaxer(committee, TIGHT, pressure=PRESSURE).relax(starts)
    assert [one.reason for one in relaxed] == ["converged"] * 3
    rng = stream(7, "displace")
    return [
        one.candidate.moved(
            one.candidate.positions + rng.normal(0, 0.03, (6, 3)),
            one.candidate.cell @ (np.eye(3) + rng.normal(0, 0.01, (3, 3))),
        )
        for one in relaxed
    ]


def test_lbfgs_fire_and_ase_find_one_minimum(
    committee: NetworkCommittee, displaced: list[Candidate]
) -> None:
    optimizers: list[Optimizer] = ["lbfgs", "fire"]
    ours, others = (
        BatchedRelaxer(committee, TIGHT, pressure=PRESSURE, optimizer=optimizer).relax(displaced)
        for optimizer in optimizers
    )
    for one, other in zip(ours, others, strict=True):
        assert one.reason == other.reason == "converged"
        assert one.enthalpy == pytest.approx(other.enthalpy, abs=1e-4)
        assert one.candidate.volume == pytest.approx(other.candidate.volume, rel=2e-3)
    atoms = displaced[0].to_ase()
    atoms.calc = CommitteeCalculator(committee)
    optimizer = FIRE(FrechetCellFilter(atoms, scalar_pressure=PRESSURE), logfile=None)
    assert optimizer.run(4e-3, 1000)
    enthalpy = atoms.get_potential_energy() + PRESSURE * atoms.get_volume()
    assert ours[0].enthalpy == pytest.approx(enthalpy, abs=1e-3)
    assert ours[0].candidate.volume == pytest.approx(atoms.get_volume(), rel=5e-3)


def test_what_a_relaxation_cost(committee: NetworkCommittee, displaced: list[Candidate]) -> None:
    relaxer = BatchedRelaxer(committee, Limits(max_steps=5, batch_size=2), pressure=PRESSURE)
    assert relaxer.timings == RelaxTimings()
    assert relaxer.timings.optimizer_share == 0.0
    relaxed = relaxer.relax(displaced)
    timings = relaxer.timings
    assert timings.steps == sum(one.steps + 1 for one in relaxed)
    assert timings.steps / 2 <= timings.batches <= timings.steps
    assert 0.0 < timings.evaluator_seconds < timings.seconds
    assert 0.0 < timings.optimizer_share < 1.0
