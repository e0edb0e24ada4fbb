"""What every reference method promises, asked of each of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from oracle_cases import CASES, Bench, parameters

from aga.errors import OracleError
from aga.oracle.registry import engine_names
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label
from aga.structure.relaxation_path import thinned

every_engine = pytest.mark.parametrize("name", parameters(list(CASES)))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def test_every_registered_engine_is_under_contract() -> None:
    assert set(engine_names()) <= {case.engine for case in CASES.values()}


def check_label(label: Label, candidate: Candidate) -> None:
    assert np.isfinite(label.energy)
    assert label.forces.shape == (len(candidate), 3)
    assert label.stress is not None
    assert label.stress.shape == (6,)
    assert np.isfinite(label.forces).all()
    assert np.isfinite(label.stress).all()
    np.testing.assert_allclose(label.forces.sum(axis=0), 0, atol=1e-3)
    again = Label.from_dict(json.loads(json.dumps(label.to_dict(), allow_nan=False)))
    assert again.energy == label.energy
    np.testing.assert_array_equal(again.forces, label.forces)


@every_engine
def test_label_is_complete_and_costs_one_evaluation(name: str, bench: Bench) -> None:
    label = bench.label(name)
    check_label(label, CASES[name].candidate())
    assert label.evaluations == 1
    assert label.seconds > 0
    assert label.details["engine"] == CASES[name].engine


@every_engine
def test_energy_does_not_depend_on_how_the_structure_is_written_down(
    name: str, bench: Bench, tmp_path: Path
) -> None:
    """Another origin, another order of the atoms, another cell of the same lattice."""
    case, one = CASES[name], bench.label(name)
    candidate = case.candidate()
    order = np.roll(np.arange(len(candidate)), 1)
    shift = np.array([0.31, 0.17, -0.23])
    basis = np.array([[1, 0, 0], [2, 1, 0], [0, -1, 1]])
    other = Candidate(
        name="other",
        numbers=candidate.numbers[order],
        positions=(candidate.positions + shift)[order],
        cell=basis @ candidate.cell,
    )
    two = case.oracle(tmp_path).label(other, tmp_path)
    n = len(candidate)
    assert two.energy / n == pytest.approx(one.energy / n, abs=case.precision)
    force_tolerance = 20 * case.precision + 1e-6
    np.testing.assert_allclose(two.forces, one.forces[order], atol=force_tolerance)
    assert one.stress is not None
    assert two.stress is not None
    np.testing.assert_allclose(two.stress, one.stress, atol=force_tolerance)


@every_engine
def test_forces_and_stress_point_downhill(name: str, bench: Bench, tmp_path: Path) -> None:
    """A small step along the forces, or against the stress, lowers the energy as they say."""
    case, label = CASES[name], bench.label(name)
    candidate, oracle = case.candidate(), case.oracle(tmp_path)
    scale = 0.02 / np.linalg.norm(label.forces, axis=1).max()
    moved = candidate.moved(candidate.positions + scale * label.forces)
    middle = candidate.moved(candidate.positions + 0.5 * scale * label.forces)
    work = float((oracle.label(middle, tmp_path).forces * scale * label.forces).sum())
    gained = label.energy - oracle.label(moved, tmp_path).energy
    assert gained == pytest.approx(work, rel=0.02, abs=2 * case.precision)
    assert gained > 0


@every_engine
def test_forces_are_the_derivatives_of_the_energy(name: str, bench: Bench, tmp_path: Path) -> None:
    case, label = CASES[name], bench.label(name)
    candidate, oracle, step = case.candidate(), case.oracle(tmp_path), case.move
    direction = np.zeros((len(candidate), 3))
    direction[0], direction[1] = [0.6, 0, 0.8], [0, -1, 0]
    energies = [
        oracle.label(candidate.moved(candidate.positions + s * direction), tmp_path).energy
        for s in (step, -step)
    ]
    measured = -(energies[0] - energies[1]) / (2 * step)
    told = float((label.forces * direction).sum())
    assert told == pytest.approx(measured, abs=case.force_error + 2e-3 * abs(measured))


@every_engine
def test_stress_is_the_derivative_of_the_energy(name: str, bench: Bench, tmp_path: Path) -> None:
    case, label = CASES[name], bench.label(name)
    candidate, oracle, step = case.candidate(), case.oracle(tmp_path), case.strain
    direction = np.array([[1.0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])
    energies = []
    for s in (step, -step):
        strain = np.eye(3) + s * direction
        moved = candidate.moved(candidate.positions @ strain, candidate.cell @ strain)
        energies.append(oracle.label(moved, tmp_path).energy)
    measured = (energies[0] - energies[1]) / (2 * step) / candidate.volume
    assert label.stress is not None
    told = label.stress[0] + label.stress[3]
    assert told == pytest.approx(measured, abs=case.stress_error + 2e-3 * abs(measured))


@every_engine
def test_relaxation_lowers_the_enthalpy_and_ends_at_rest(
    name: str, bench: Bench, tmp_path: Path
) -> None:
    case, before, (relaxed, after) = CASES[name], bench.label(name), bench.relaxed(name)
    candidate = case.candidate()
    check_label(after, relaxed)
    assert after.details["converged"] is True
    assert after.energy < before.energy
    assert after.evaluations > 1
    assert relaxed.name == candidate.name
    np.testing.assert_array_equal(relaxed.numbers, candidate.numbers)
    assert np.linalg.norm(after.forces, axis=1).max() <= 0.02
    # The lattice vectors are those given, deformed: not another choice of them.
    np.testing.assert_allclose(relaxed.cell @ np.linalg.inv(candidate.cell), np.eye(3), atol=0.3)
    fresh = case.oracle(tmp_path).label(relaxed, tmp_path / "after")
    assert fresh.energy == pytest.approx(after.energy, abs=1e-6)


@every_engine
def test_the_path_of_a_relaxation_is_made_of_labels(
    name: str, bench: Bench, tmp_path: Path
) -> None:
    """Whoever learns from it learns what single points say: same basis, same k-points."""
    case, (relaxed, after) = CASES[name], bench.relaxed(name)
    candidate = case.candidate()
    # Plane waves that are far from converged may say something else in every cell: no path then.
    assert len(after.path) > 3 or after.details["unlike_single_points"] > 0
    assert len(after.path) <= after.evaluations
    oracle = case.oracle(tmp_path)
    for point in thinned(after.path, 3, known=[relaxed]):
        there = candidate.moved(point.positions, point.cell)
        fresh = oracle.label(there, tmp_path / "fresh")
        n = len(candidate)
        assert fresh.energy / n == pytest.approx(point.energy / n, abs=max(1e-6, case.precision))
        np.testing.assert_allclose(point.forces, fresh.forces, atol=20 * case.precision + 1e-5)
        assert point.stress is not None
        assert fresh.stress is not None
        np.testing.assert_allclose(point.stress, fresh.stress, atol=case.stress_error)
    again = Label.from_dict(json.loads(json.dumps(after.to_dict(), allow_nan=False)))
    assert [one.to_dict() for one in again.path] == [one.to_dict() for one in after.path]


@every_engine
def test_a_relaxation_out_of_steps_gives_its_best(name: str, bench: Bench, tmp_path: Path) -> None:
    case = CASES[name]
    oracle = case.oracle(tmp_path, relax_steps=2, relax_force=1e-4)
    _, after = oracle.relax(case.candidate(), tmp_path / "relax", pressure=0.0)
    assert after.details["converged"] is False
    assert after.energy < bench.label(name).energy


@every_engine
def test_pressure_compresses(name: str, bench: Bench, tmp_path: Path) -> None:
    case, pressure = CASES[name], 0.05  # eV/Å³: 8 GPa
    free, _ = bench.relaxed(name)
    pressed, label = case.oracle(tmp_path).relax(
        case.candidate(), tmp_path / "p", pressure=pressure
    )
    assert pressed.volume < 0.99 * free.volume
    assert label.stress is not None
    np.testing.assert_allclose(label.stress[:3], -pressure, atol=0.003)


@every_engine
def test_a_force_above_the_limit_is_refused(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with pytest.raises(OracleError) as caught:
        case.oracle(tmp_path, max_force=1e-3).label(case.candidate(), tmp_path)
    assert caught.value.reason == "exploded"
    assert "max_force" in (caught.value.remedy or "")


@every_engine
def test_a_job_out_of_time_says_so(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    with pytest.raises(OracleError) as caught:
        case.oracle(tmp_path, timeout=1e-9).label(case.candidate(), tmp_path)
    assert caught.value.reason == "timeout"
