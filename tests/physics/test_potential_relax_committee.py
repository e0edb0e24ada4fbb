"""On a committee: FIRE, L-BFGS and ASE come back to one minimum; what a relaxation cost."""

import numpy as np
import pytest
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from aga.config import Settings
from aga.oracle.tersoff import Tersoff
from aga.potential.calculator import CommitteeCalculator
from aga.potential.committee import NetworkCommittee
from aga.potential.model import Model
from aga.potential.relax.minimise import Optimizer
from aga.potential.relax.relaxer import BatchedRelaxer, Limits, RelaxTimings
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame
from aga.training.fit import fit_member
from aga.training.recipe import Recipe

PRESSURE = 0.02
TIGHT = Limits(max_force=1e-3, max_steps=500)


def displaced(number: int, strength: float) -> list[Candidate]:
    """Silicon near diamond, two atoms per cell."""
    rng = stream(number, "displaced")
    cell = 2.7 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    candidates = []
    for k in range(number):
        strain = rng.normal(0, strength, (3, 3))
        positions = np.array([[0, 0, 0], [0.25, 0.25, 0.25]]) @ cell
        positions += rng.normal(0, 2 * strength, (2, 3))
        f = np.eye(3) + 0.5 * (strain + strain.T)
        candidates.append(
            Candidate(
                name=f"si{k}", numbers=np.array([14, 14]), positions=positions @ f, cell=cell @ f
            )
        )
    return candidates


@pytest.fixture(scope="module")
def committee() -> NetworkCommittee:
    """Two members trained on strained and rattled diamond."""
    settings = Settings.model_validate(
        {
            "search": {"composition": "Si2"},
            "potential": {"cutoff": 4.5, "hidden": [10, 10]},
            "training": {"passes": 60, "validation_fraction": 0.0},
        }
    )
    oracle = Tersoff(settings.oracle, settings.machine, {"Si": 2})
    frames = []
    for candidate in displaced(30, 0.06):
        atoms = candidate.to_ase()
        atoms.calc = oracle.calculator()
        frames.append(
            Frame(
                candidate=candidate,
                energy=atoms.get_potential_energy(),
                forces=atoms.get_forces(),
                stress=atoms.get_stress(),
            )
        )
    fitted = [
        fit_member(frames, Recipe.of_search(settings, seed=0), member=m).model for m in range(2)
    ]
    return NetworkCommittee([model for model in fitted if isinstance(model, Model)])


def test_lbfgs_fire_and_ase_find_one_minimum(
    committee: NetworkCommittee,
) -> None:
    starts = displaced(3, 0.03)
    optimizers: list[Optimizer] = ["lbfgs", "fire"]
    ours, others = (
        BatchedRelaxer(committee, TIGHT, pressure=PRESSURE, optimizer=optimizer).relax(starts)
        for optimizer in optimizers
    )
    for one, other in zip(ours, others, strict=True):
        assert one.reason == other.reason == "converged"
        assert one.enthalpy == pytest.approx(other.enthalpy, abs=1e-4)
        assert one.candidate.volume == pytest.approx(other.candidate.volume, rel=1e-3)
    atoms = starts[0].to_ase()
    atoms.calc = CommitteeCalculator(committee)
    optimizer = FIRE(FrechetCellFilter(atoms, scalar_pressure=PRESSURE), logfile=None)
    assert optimizer.run(1e-3, 500)
    enthalpy = atoms.get_potential_energy() + PRESSURE * atoms.get_volume()
    assert ours[0].enthalpy == pytest.approx(enthalpy, abs=1e-4)
    assert ours[0].candidate.volume == pytest.approx(atoms.get_volume(), rel=1e-3)


def test_what_a_relaxation_cost(committee: NetworkCommittee) -> None:
    relaxer = BatchedRelaxer(committee, Limits(max_steps=5, batch_size=2), pressure=PRESSURE)
    assert relaxer.timings == RelaxTimings()
    assert relaxer.timings.optimizer_share == 0.0
    relaxed = relaxer.relax(displaced(3, 0.03))
    timings = relaxer.timings
    assert timings.steps == sum(one.steps + 1 for one in relaxed)
    assert timings.steps / 2 <= timings.batches <= timings.steps
    assert 0.0 < timings.evaluator_seconds < timings.seconds
    assert 0.0 < timings.optimizer_share < 1.0
