"""Batched relaxation on analytic energies: right minima, every way of ending."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from ase.calculators.lj import LennardJones
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from aga.errors import InputError, StructureError
from aga.potential.batch import Batch, Evaluation, stress_from_strain
from aga.potential.neighbours import find_pairs
from aga.potential.relax.minimise import Optimizer
from aga.potential.relax.relaxer import BatchedRelaxer, Limits
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Prediction, Relaxed

SIGMA, EPSILON, CUTOFF, ONSET = 2.6, 0.4, 6.5, 5.2


def lennard_jones(r: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Energy and slope of a pair, switched off smoothly like ASE's ``smooth=True``."""
    x6 = (SIGMA / r) ** 6
    e, de = 4 * EPSILON * (x6**2 - x6), 4 * EPSILON * (-12 * x6**2 + 6 * x6) / r
    d, o, c = r**2, ONSET**2, CUTOFF**2
    outer = r > ONSET
    f = np.where(outer, (c - d) ** 2 * (c + 2 * d - 3 * o) / (c - o) ** 3, 1.0)
    df = np.where(outer, 12 * r * (c - d) * (o - d) / (c - o) ** 3, 0.0)
    return e * f, de * f + e * df


@dataclass
class PairModel:
    """A Lennard-Jones solid as an energy model; ``spread`` eV/atom is what it claims to doubt."""

    spread: float = 0.0
    calls: list[int] = field(default_factory=list)

    def evaluate(self, batch: Batch) -> Evaluation:
        self.calls.append(len(batch))
        pairs = find_pairs(batch, CUTOFF, (18,))
        r = np.linalg.norm(pairs.vectors, axis=1)
        energy, slope = lennard_jones(r)
        f = 0.5 * (slope / r)[:, None] * pairs.vectors
        gradient = np.zeros_like(batch.positions)
        np.add.at(gradient, pairs.second, f)
        np.add.at(gradient, pairs.first, -f)
        strain, energies = np.zeros((len(batch), 3, 3)), np.zeros(len(batch))
        owners = pairs.owners[pairs.first]
        np.add.at(strain, owners, f[:, :, None] * pairs.vectors[:, None, :])
        np.add.at(energies, owners, 0.5 * energy)
        return Evaluation(
            energies=energies,
            energy_spread=np.full(len(batch), self.spread),
            gradient=gradient,
            strain=strain,
        )

    def predict(self, candidates: Sequence[Candidate]) -> list[Prediction]:
        batch = Batch.pack(candidates)
        said = self.evaluate(batch)
        stress = stress_from_strain(said.strain, batch.volumes)
        return [
            Prediction(
                energy=float(said.energies[b]),
                energies=np.full(batch.counts[b], said.energies[b] / batch.counts[b]),
                energy_spread=self.spread,
                forces=-said.gradient[batch.offsets[b] : batch.offsets[b + 1]],
                forces_spread=np.full(batch.counts[b], 0.25),
                force_spread=0.25,
                stress=stress[b],
            )
            for b in range(len(batch))
        ]


def argon(n: int, seed: int, scale: float = 1.0) -> Candidate:
    """n atoms on a jittered grid in a random cell."""
    rng = np.random.default_rng(seed)
    cell = scale * (np.diag([5.6, 5.9, 6.1]) + rng.uniform(-0.9, 0.9, (3, 3)))
    grid = np.array([[a, b, c] for a in (0, 0.5) for b in (0, 0.5) for c in (0, 0.5)])
    fractions = rng.permutation(grid)[:n] + rng.uniform(-0.08, 0.08, (n, 3))
    return Candidate(name=f"a{seed}", numbers=np.full(n, 18), positions=fractions @ cell, cell=cell)


TIGHT = Limits(max_force=1e-4, max_steps=400, volume_range=(0.1, 10.0))


def close_to_fcc(seed: int) -> Candidate:
    rng = np.random.default_rng(seed)
    fractions = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cell = 4.3 * np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))
    positions = fractions @ cell + rng.normal(scale=0.1, size=(4, 3))
    return Candidate(name=f"f{seed}", numbers=np.full(4, 18), positions=positions, cell=cell)


@pytest.mark.parametrize("pressure", [0.0, 0.1])
def test_the_minimum_is_the_one_ase_finds(pressure: float) -> None:
    candidate = close_to_fcc(1)
    relaxed = BatchedRelaxer(PairModel(), TIGHT, pressure=pressure).relax([candidate])[0]
    atoms = candidate.to_ase()
    atoms.calc = LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=CUTOFF, ro=ONSET, smooth=True)
    FIRE(FrechetCellFilter(atoms, scalar_pressure=pressure), logfile=None).run(1e-4, 2000)
    assert relaxed.reason == "converged"
    assert relaxed.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    assert relaxed.candidate.volume == pytest.approx(atoms.get_volume(), rel=1e-4)
    assert relaxed.enthalpy == pytest.approx(relaxed.energy + pressure * relaxed.candidate.volume)
    final = relaxed.candidate.to_ase()
    final.calc = atoms.calc
    target = [-pressure] * 3 + [0.0] * 3
    np.testing.assert_allclose(final.get_stress(), target, atol=1e-4)


def test_random_structures_converge_quickly() -> None:
    candidates = [argon(n, seed) for seed in range(6) for n in (1, 3, 8)]
    limits = Limits(volume_range=(0.01, 10.0))  # the single atoms start in far too large cells
    results = BatchedRelaxer(PairModel(), limits).relax(candidates)
    assert [r.candidate.name for r in results] == [c.name for c in candidates]
    assert [r.reason for r in results] == ["converged"] * len(results)
    for result in results:
        forces = PairModel().predict([result.candidate])[0].forces
        assert np.linalg.norm(forces, axis=1).max() == pytest.approx(result.max_force, abs=1e-9)
        assert result.max_force <= 0.02
        assert result.force_spread == 0.25
    assert np.median([r.steps for r in results]) < 100


def same(one: Relaxed, other: Relaxed) -> bool:
    return (
        one.steps == other.steps
        and one.energy == other.energy
        and np.array_equal(one.candidate.positions, other.candidate.positions)
        and np.array_equal(one.candidate.cell, other.candidate.cell)
    )


@pytest.mark.parametrize("optimizer", ["lbfgs", "fire"])
@pytest.mark.parametrize("tolerance", [None, 0.05])
def test_the_result_does_not_depend_on_order_or_company(
    optimizer: Optimizer, tolerance: float | None
) -> None:
    candidates = [argon(n, seed) for seed in range(3) for n in (2, 8)]
    limits = Limits(volume_range=(0.1, 10.0))
    how: Any = {"optimizer": optimizer, "symmetry_tolerance": tolerance}
    together = BatchedRelaxer(PairModel(), limits, **how).relax(candidates)
    backwards = BatchedRelaxer(PairModel(), limits, **how).relax(candidates[::-1])[::-1]
    model = PairModel()
    in_turns = BatchedRelaxer(model, replace(limits, batch_size=2), **how).relax(candidates)
    assert max(model.calls[:-1]) == 2
    for one, two, three in zip(together, backwards, in_turns, strict=True):
        assert same(one, two)
        assert same(one, three)


def test_finished_structures_leave_the_batch() -> None:
    model = PairModel()
    done = BatchedRelaxer(model, TIGHT).relax([close_to_fcc(1)])[0].candidate
    model.calls.clear()
    results = BatchedRelaxer(model, replace(TIGHT, max_force=2e-4)).relax([done, argon(8, 0)])
    assert results[0].steps == 0
    assert model.calls[:3] == [2, 1, 1]


def test_the_enthalpy_never_ends_higher_and_the_step_limit_is_kept() -> None:
    candidates = [argon(8, seed) for seed in range(4)]
    before = PairModel().predict(candidates)
    results = BatchedRelaxer(PairModel(), Limits(max_steps=7)).relax(candidates)
    for prediction, result in zip(before, results, strict=True):
        assert result.reason == "step_limit"
        assert result.steps == 7
        assert result.energy < prediction.energy
    none = BatchedRelaxer(PairModel(), Limits(max_steps=0)).relax(candidates[:1])[0]
    assert (none.steps, none.reason, none.energy) == (0, "step_limit", before[0].energy)


def test_the_enthalpy_never_rises_on_the_way() -> None:
    candidates = [argon(8, seed) for seed in range(3)]
    paths = [
        [
            one.enthalpy
            for one in BatchedRelaxer(PairModel(), Limits(max_steps=n), pressure=0.02).relax(
                candidates
            )
        ]
        for n in range(12)
    ]
    rises = np.diff(np.array(paths), axis=0)
    assert rises.max() <= 1e-9
    assert rises.min() < -0.1


def test_a_structure_flying_apart_explodes() -> None:
    inflated = argon(8, 1, scale=0.72)  # compressed: it wants to expand
    limits = Limits(volume_range=(0.5, 1.2))
    result = BatchedRelaxer(PairModel(), limits).relax([inflated, close_to_fcc(2)])
    assert [r.reason for r in result] == ["exploded", "converged"]
    assert result[0].candidate.volume <= 1.2 * inflated.volume
    assert np.isfinite(result[0].energy)


def test_the_volume_is_counted_in_the_given_unit() -> None:
    limits = Limits(volume_range=(0.5, 1.2), volume_per_atom=1000.0)
    result = BatchedRelaxer(PairModel(), limits).relax([argon(8, 1)])[0]
    assert result.reason == "exploded"  # it starts below the range and would shrink
    right = replace(limits, volume_per_atom=16.0)
    assert BatchedRelaxer(PairModel(), right).relax([close_to_fcc(1)])[0].reason == "converged"


def test_a_committee_that_disagrees_stops_the_relaxation_after_a_grace() -> None:
    limits = replace(TIGHT, spread_limit=0.1)
    candidate = argon(8, 0)
    doubtful = BatchedRelaxer(PairModel(spread=0.2), limits).relax([candidate])[0]
    assert doubtful.reason == "untrusted"
    assert 10 <= doubtful.steps < 20
    assert doubtful.energy_spread == 0.2
    trusted = BatchedRelaxer(PairModel(spread=0.05), limits).relax([candidate])[0]
    assert trusted.reason == "converged"


class Broken(PairModel):
    """NaN for structures of three atoms."""

    def evaluate(self, batch: Batch) -> Evaluation:
        said = super().evaluate(batch)
        energies = np.where(batch.counts == 3, np.nan, said.energies)
        return replace(said, energies=energies)


@pytest.mark.parametrize("optimizer", ["lbfgs", "fire"])
def test_nan_from_the_model_is_an_explosion_of_that_structure_alone(optimizer: Optimizer) -> None:
    relaxer = BatchedRelaxer(Broken(), TIGHT, optimizer=optimizer)
    result = relaxer.relax([argon(3, 0), close_to_fcc(1), argon(3, 1)])
    assert [r.reason for r in result] == ["exploded", "converged", "exploded"]


@pytest.mark.parametrize("size", [1, 2, 64])
def test_a_structure_that_cannot_be_evaluated_does_not_stop_the_others(size: int) -> None:
    limits = replace(TIGHT, batch_size=size)
    good = close_to_fcc(1)
    bad = good.moved(np.zeros((4, 3))).renamed("bad")
    flat = good.moved(good.positions, np.diag([80.0, 80.0, 1e-3])).renamed("flat")
    result = BatchedRelaxer(PairModel(), limits).relax([bad, good, flat, bad])
    assert [r.reason for r in result] == ["exploded", "converged", "exploded", "exploded"]
    assert result[0].energy == np.inf
    np.testing.assert_array_equal(result[0].candidate.positions, bad.positions)
    alone = BatchedRelaxer(PairModel(), TIGHT).relax([bad])
    assert alone[0].reason == "exploded"
    assert BatchedRelaxer(PairModel(), TIGHT).relax([]) == []


def test_an_element_the_model_does_not_know_is_an_error() -> None:
    gold = Candidate(
        name="g", numbers=np.array([79]), positions=np.zeros((1, 3)), cell=4 * np.eye(3)
    )
    with pytest.raises(StructureError, match="Au"):
        BatchedRelaxer(PairModel()).relax([gold])


@pytest.mark.parametrize(
    "change", [{"max_force": 0.0}, {"batch_size": 0}, {"volume_range": (2, 1)}]
)
def test_senseless_limits_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Limits(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"optimizer": "newton"}, {"symmetry_tolerance": 0.0}])
def test_senseless_ways_are_refused(change: Any) -> None:
    with pytest.raises(InputError, match=r"newton.*lbfgs, fire|tolerance"):
        BatchedRelaxer(PairModel(), **change)
