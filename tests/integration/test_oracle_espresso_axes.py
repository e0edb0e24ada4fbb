"""Which way a crystal lies and where its origin is makes no difference to pw.x."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.cell import Cell
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from scipy.spatial.transform import Rotation

from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle.registry import build_oracle
from aga.structure.candidate import Candidate, FloatArray
from aga.structure.protocols import Oracle
from aga.structure.symmetry import space_group

pytestmark = pytest.mark.espresso

TURN = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()


def engine() -> Oracle:
    options = {
        "pseudopotentials": {"Si": "Si.pz-vbc.UPF"},
        "ecutwfc": 20,
        "kpoint_spacing": 0.6,
        "kpoint_shift": True,
    }
    return build_oracle(
        OracleSettings(engine="espresso", options=options), MachineSettings(), ["Si"]
    )


def diamond(pulled: float = 0.0) -> Candidate:
    """Give diamond, one atom pulled away along a bond."""
    atoms = bulk("Si", a=5.3)
    atoms.positions[1] += pulled / np.sqrt(3)
    return Candidate.from_ase(atoms, name="g001-003")


def lonsdaleite() -> Candidate:
    """Give hexagonal diamond."""
    heights = [(1 / 3, 2 / 3, z) for z in (0.0625, 0.4375)]
    places = [*heights, *(tuple(-x for x in place) for place in heights)]
    cell = Cell.new([3.8, 3.8, 6.2, 90, 90, 120])
    return Candidate.from_ase(Atoms("Si4", scaled_positions=places, cell=cell), name="g001-004")


def turned(candidate: Candidate) -> Candidate:
    return candidate.moved(
        (candidate.positions + np.array([0.3, 1.7, -0.9])) @ TURN, candidate.cell @ TURN
    )


def operations(folder: Path) -> int:
    text = (folder / "scf-001" / "pw.out").read_text(encoding="utf-8")
    found = re.search(r"(\d+) Sym\. Ops\.", text)
    return int(found.group(1)) if found else 1


@pytest.mark.parametrize(
    ("straight", "symmetries"), [(diamond(), 48), (diamond(0.2), 12), (lonsdaleite(), 24)]
)
def test_a_turned_crystal_is_the_same(tmp_path: Path, straight: Candidate, symmetries: int) -> None:
    oracle = engine()
    one = oracle.label(straight, tmp_path / "straight")
    other = oracle.label(turned(straight), tmp_path / "turned")
    assert operations(tmp_path / "straight") == symmetries
    assert operations(tmp_path / "turned") == symmetries
    assert other.energy == pytest.approx(one.energy, abs=1e-5)
    np.testing.assert_allclose(other.forces, one.forces @ TURN, atol=1e-4)
    assert one.stress is not None
    assert other.stress is not None
    tensor: FloatArray = TURN.T @ voigt_6_to_full_3x3_stress(one.stress) @ TURN
    np.testing.assert_allclose(other.stress, full_3x3_to_voigt_6_stress(tensor), atol=1e-5)


def test_almost_symmetric_crystals_relax_with_that_symmetry(tmp_path: Path) -> None:
    start = turned(diamond())
    shaken = start.moved(
        start.positions + 0.005 * np.random.default_rng(1).standard_normal((2, 3)),
        start.cell + 0.005 * np.random.default_rng(2).standard_normal((3, 3)),
    )
    assert space_group(shaken, 1e-3).number < 227
    relaxed, label = engine().relax(shaken, tmp_path, pressure=0.0)
    assert label.details["converged"] is True
    assert space_group(relaxed, 1e-3).number == 227
    assert relaxed.volume > 1.02 * shaken.volume
    np.testing.assert_allclose(relaxed.cell @ np.linalg.inv(shaken.cell), np.eye(3), atol=0.1)
