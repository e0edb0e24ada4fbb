"""An engine asked for single points one by one answers as it does by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError, SettingsError
from aga.oracle.registry import build_oracle, check_oracle
from aga.oracle.single_points import SINGLE_POINTS
from aga.structure.candidate import Candidate
from aga.structure.protocols import Oracle

COPPER = {"Cu": 4}


def settings(engine: str = "emt", **limits: float) -> OracleSettings:
    return OracleSettings(engine=SINGLE_POINTS, options={"engine": engine}, **limits)  # type: ignore[arg-type] # numbers


def oracle(**limits: float) -> Oracle:
    return build_oracle(settings(**limits), MachineSettings(), COPPER)


@pytest.fixture
def rattled() -> Candidate:
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.rattle(0.1, seed=3)
    return Candidate.from_ase(atoms, name="rattled")


def test_labels_are_those_of_the_engine_inside(rattled: Candidate, tmp_path: Path) -> None:
    alone = build_oracle(OracleSettings(engine="emt"), MachineSettings(), COPPER)
    wrapped, said = oracle().label(rattled, tmp_path), alone.label(rattled, tmp_path)
    assert oracle().name == "emt"
    assert wrapped.energy == said.energy
    assert np.array_equal(wrapped.forces, said.forces)
    assert wrapped.stress == pytest.approx(said.stress)


def test_relaxations_are_steps_of_single_points(rattled: Candidate, tmp_path: Path) -> None:
    relaxed, label = oracle().relax(rattled, tmp_path, pressure=0.0)
    assert label.details["converged"]
    assert label.evaluations > 3
    assert relaxed.volume / 4 == pytest.approx(11.6, abs=0.2)


def test_forces_are_judged_outside(rattled: Candidate, tmp_path: Path) -> None:
    careful = oracle(max_force=0.01)
    with pytest.raises(OracleError, match="force"):
        careful.label(rattled, tmp_path)
    relaxed, _ = careful.relax(rattled, tmp_path, pressure=0.0)  # begins above, ends below
    assert relaxed.volume < rattled.volume


def test_what_the_engine_inside_lacks_is_said() -> None:
    (problem,) = check_oracle(settings("emtt"), MachineSettings(), COPPER)
    assert "there is no engine 'emtt'" in problem.message
    (problem,) = check_oracle(settings(), MachineSettings(), {"Si": 2})
    assert "no parameters for Si" in problem.message
    with pytest.raises(SettingsError, match="no parameters for Si"):
        build_oracle(settings(), MachineSettings(), {"Si": 2})
