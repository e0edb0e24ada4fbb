"""What every reference method promises, asked of each of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.spacegroup import crystal

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError
from aga.oracle.registry import build_oracle, engine_names
from aga.rng import stream
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label, Oracle


@dataclass(frozen=True)
class Case:
    """An engine with a structure it knows.

    ``precision``: eV/atom within which equivalent structures agree (a plane-wave method works
    on grids); ``steps``: more than the relaxation needs.
    """

    engine: str
    atoms: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)
    precision: float = 1e-9
    steps: int = 200

    def oracle(self, **settings: Any) -> Oracle:
        values = {"relax_steps": self.steps, "relax_force": 0.02} | settings
        machine = MachineSettings()
        return build_oracle(
            OracleSettings(engine=self.engine, options=self.options, **values),
            machine,
            self.candidate().symbols,
        )

    def candidate(self) -> Candidate:
        atoms = self.atoms()
        rng = stream(1, self.engine)
        atoms.positions += rng.normal(0, 0.06, atoms.positions.shape)
        strain = np.eye(3) + rng.normal(0, 0.02, (3, 3))
        atoms.set_cell(atoms.cell[:] @ strain, scale_atoms=True)
        # A skewed cell of the same lattice, as crossover and strain make them.
        atoms.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ atoms.cell[:])
        return Candidate.from_ase(atoms, name="c")


def rutile() -> Any:
    return crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0.305, 0.305, 0)],
        spacegroup=136,
        cellpar=[4.59, 4.59, 2.96, 90, 90, 90],
    )


# Cheap settings: what is shown here does not depend on their convergence.
SILICON_LDA = {
    "pseudopotentials": {"Si": "Si.pz-vbc.UPF"},
    "ecutwfc": 16,
    "kpoint_spacing": 0.7,
    "kpoint_shift": True,
}

CASES = {
    "tersoff": Case("tersoff", lambda: bulk("Si", a=5.3, cubic=True)),
    "tersoff-2": Case("tersoff", lambda: bulk("Si", a=5.3)),
    "tersoff-sic": Case("tersoff", lambda: bulk("SiC", "zincblende", a=4.3)),
    "matsui-akaogi": Case("matsui-akaogi", rutile),
    "custom": Case(
        "ase.calculators.lj:LennardJones",
        lambda: bulk("Ar", a=5.0, cubic=True),
        # A smooth cutoff, as every potential has that can be relaxed on.
        {"sigma": 3.4, "epsilon": 0.1, "rc": 8.0, "ro": 7.0, "smooth": True},
    ),
    "espresso": Case("espresso", lambda: bulk("Si", a=5.3), SILICON_LDA, precision=2e-3, steps=60),
}
PARAMETERS = [
    pytest.param(case, id=name, marks=[pytest.mark.espresso] if name == "espresso" else [])
    for name, case in CASES.items()
]
every_engine = pytest.mark.parametrize("case", PARAMETERS)


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
def test_label_is_complete_and_costs_one_evaluation(case: Case, tmp_path: Path) -> None:
    candidate = case.candidate()
    label = case.oracle().label(candidate, tmp_path)
    check_label(label, candidate)
    assert label.evaluations == 1
    assert label.seconds > 0
    assert label.details["engine"] == case.engine


@every_engine
def test_energy_does_not_depend_on_how_the_structure_is_written_down(
    case: Case, tmp_path: Path
) -> None:
    """Another origin, another order of the atoms, another cell of the same lattice."""
    candidate, oracle = case.candidate(), case.oracle()
    order = np.roll(np.arange(len(candidate)), 1)
    shift = np.array([0.31, 0.17, -0.23])
    basis = np.array([[1, 0, 0], [2, 1, 0], [0, -1, 1]])
    other = Candidate(
        name="other",
        numbers=candidate.numbers[order],
        positions=(candidate.positions + shift)[order],
        cell=basis @ candidate.cell,
    )
    one, two = oracle.label(candidate, tmp_path), oracle.label(other, tmp_path)
    n = len(candidate)
    assert two.energy / n == pytest.approx(one.energy / n, abs=case.precision)
    force_tolerance = 20 * case.precision + 1e-6
    np.testing.assert_allclose(two.forces, one.forces[order], atol=force_tolerance)
    assert one.stress is not None
    assert two.stress is not None
    np.testing.assert_allclose(two.stress, one.stress, atol=force_tolerance)


@every_engine
def test_forces_and_stress_point_downhill(case: Case, tmp_path: Path) -> None:
    """A small step along the forces, or against the stress, lowers the energy as they say."""
    candidate, oracle = case.candidate(), case.oracle()
    label = oracle.label(candidate, tmp_path)
    scale = 0.02 / np.linalg.norm(label.forces, axis=1).max()
    moved = candidate.moved(candidate.positions + scale * label.forces)
    middle = candidate.moved(candidate.positions + 0.5 * scale * label.forces)
    work = float((oracle.label(middle, tmp_path).forces * scale * label.forces).sum())
    gained = label.energy - oracle.label(moved, tmp_path).energy
    assert gained == pytest.approx(work, rel=0.02, abs=2 * case.precision)
    assert gained > 0


@every_engine
def test_relaxation_lowers_the_enthalpy_and_ends_at_rest(case: Case, tmp_path: Path) -> None:
    candidate, oracle = case.candidate(), case.oracle()
    before = oracle.label(candidate, tmp_path / "before")
    relaxed, after = oracle.relax(candidate, tmp_path / "relax", pressure=0.0)
    check_label(after, relaxed)
    assert after.details["converged"] is True
    assert after.energy < before.energy
    assert after.evaluations > 1
    assert relaxed.name == candidate.name
    np.testing.assert_array_equal(relaxed.numbers, candidate.numbers)
    assert np.linalg.norm(after.forces, axis=1).max() <= 0.02
    # The lattice vectors are those given, deformed: not another choice of them.
    np.testing.assert_allclose(relaxed.cell @ np.linalg.inv(candidate.cell), np.eye(3), atol=0.3)
    fresh = oracle.label(relaxed, tmp_path / "after")
    assert fresh.energy == pytest.approx(after.energy, abs=1e-6)


@every_engine
def test_a_relaxation_out_of_steps_gives_its_best(case: Case, tmp_path: Path) -> None:
    candidate, oracle = case.candidate(), case.oracle(relax_steps=2, relax_force=1e-4)
    before = oracle.label(candidate, tmp_path / "before")
    _, after = oracle.relax(candidate, tmp_path / "relax", pressure=0.0)
    assert after.details["converged"] is False
    assert after.energy < before.energy


@every_engine
def test_pressure_compresses(case: Case, tmp_path: Path) -> None:
    pressure = 0.05  # eV/Å³: 8 GPa
    oracle = case.oracle()
    free, _ = oracle.relax(case.candidate(), tmp_path / "0", pressure=0.0)
    pressed, label = oracle.relax(case.candidate(), tmp_path / "p", pressure=pressure)
    assert pressed.volume < 0.99 * free.volume
    assert label.stress is not None
    np.testing.assert_allclose(label.stress[:3], -pressure, atol=0.003)


@every_engine
def test_a_force_above_the_limit_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(OracleError) as caught:
        case.oracle(max_force=1e-3).label(case.candidate(), tmp_path)
    assert caught.value.reason == "exploded"
    assert "max_force" in (caught.value.remedy or "")


@every_engine
def test_a_job_out_of_time_says_so(case: Case, tmp_path: Path) -> None:
    with pytest.raises(OracleError) as caught:
        case.oracle(timeout=1e-9).label(case.candidate(), tmp_path)
    assert caught.value.reason == "timeout"
