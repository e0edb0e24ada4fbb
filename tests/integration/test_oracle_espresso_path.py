"""What a relaxation by pw.x came through is data where its plane waves are converged, else not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate
from aga.structure.protocols import Oracle
from aga.structure.relaxation_path import thinned

pytestmark = pytest.mark.espresso


def engine(cutoff: float) -> Oracle:
    options = {
        "pseudopotentials": {"Si": "Si.pz-vbc.UPF"},
        "ecutwfc": cutoff,
        "kpoint_spacing": 0.7,
        "kpoint_shift": True,
    }
    settings = OracleSettings(engine="espresso", options=options, relax_steps=30)
    return build_oracle(settings, MachineSettings(), ["Si"])


def start() -> Candidate:
    atoms = bulk("Si", a=5.25)
    atoms.positions[1] += [0.15, 0.05, -0.1]
    return Candidate.from_ase(atoms, name="g001-003")


def test_steps_in_a_converged_basis_are_what_single_points_say(tmp_path: Path) -> None:
    oracle, candidate = engine(30), start()
    relaxed, label = oracle.relax(candidate, tmp_path / "relax", pressure=0.0)
    chosen = thinned(label.path, 3, known=[relaxed])
    assert len(chosen) == 3
    np.testing.assert_allclose(chosen[0].positions, candidate.positions, atol=1e-6)
    for point in chosen:
        there = candidate.moved(point.positions, point.cell)
        fresh = oracle.label(there, tmp_path / "fresh")
        assert point.energy / 2 == pytest.approx(fresh.energy / 2, abs=0.002)
        np.testing.assert_allclose(point.forces, fresh.forces, atol=0.02)
        assert point.stress is not None
        assert fresh.stress is not None
        np.testing.assert_allclose(point.stress, fresh.stress, atol=0.001)


def test_steps_in_a_poor_basis_are_left_out(tmp_path: Path) -> None:
    relaxed, label = engine(8).relax(start(), tmp_path / "relax", pressure=0.0)
    assert label.details["unlike_single_points"] > 3
    assert len(thinned(label.path, 9, known=[relaxed])) < 3
