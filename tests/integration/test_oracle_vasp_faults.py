"""VASP's errors, custodian's proposals, and what of them is taken; a script stands in for VASP."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import OracleError, SettingsError
from aga.oracle.registry import build_oracle, check_oracle
from aga.structure.candidate import Candidate
from aga.structure.protocols import Oracle

FAKE = Path(__file__).resolve().parents[1] / "fake_vasp.py"
POTCAR = """\
  PAW_PBE {0} 01Jan2000
   4.00000000000000
 parameters from PSCTR are:
   VRHFIN ={0}: s2p2
   LEXCH  = PE
   TITEL  = PAW_PBE {0} 01Jan2000
   ZVAL   =    4.000
   ENMAX  =  245.345; ENMIN  =  184.009 eV
 END of PSCTR-controll parameters
 local part
  0.5 1.0 1.5
 End of Dataset
"""

pytestmark = pytest.mark.vasp


def potcars(folder: Path, *names: str) -> Path:
    for name in names:
        place = folder / "POT_PAW_PBE_64" / name
        place.mkdir(parents=True)
        (place / "POTCAR").write_text(POTCAR.format(name.split("_")[0]), encoding="utf-8")
    return folder


def silicon() -> Candidate:
    atoms = bulk("Si", a=5.4)
    atoms.positions[1] += [0.05, 0.02, -0.03]
    return Candidate.from_ase(atoms, name="g001-003")


def engine(tmp_path: Path, fault: str, **options: object) -> Oracle:
    if not (tmp_path / "potcars").exists():
        potcars(tmp_path / "potcars", "Si")
    command = f'{sys.executable} {FAKE} "{fault}"'
    machine = MachineSettings(vasp_command=command, vasp_potcar_dir=tmp_path / "potcars")
    return build_oracle(OracleSettings(engine="vasp", options=options), machine, ["Si"])


def failure(tmp_path: Path, fault: str) -> OracleError:
    with pytest.raises(OracleError) as caught:
        engine(tmp_path, fault).label(silicon(), tmp_path / "run")
    assert "g001-003" in caught.value.message
    return caught.value


def log(tmp_path: Path) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads((tmp_path / "run" / "repairs.json").read_text())
    return found


def test_custodian_mends_the_mixing(tmp_path: Path) -> None:
    label = engine(tmp_path, "brmix").label(silicon(), tmp_path / "run")
    (repair,) = label.details["repairs"]
    assert "VaspErrorHandler" in repair
    assert label.details["runs"] == 2
    whole = engine(tmp_path, "none").label(silicon(), tmp_path / "other")
    assert label.energy == whole.energy
    assert log(tmp_path)[0]["reason"] == "crashed"
    assert "BRMIX" in str(log(tmp_path)[0]["message"])


def test_custodian_takes_another_algorithm_where_nothing_converges(tmp_path: Path) -> None:
    label = engine(tmp_path, "not converged").label(silicon(), tmp_path / "run")
    assert "ALGO=All" in label.details["repairs"][0]
    told = (tmp_path / "run" / "run-002" / "INCAR").read_text(encoding="utf-8")
    assert "ALGO = All" in told


def test_what_never_converges_ends_with_the_budget(tmp_path: Path) -> None:
    error = failure(tmp_path, "never converges")
    assert error.reason == "not_converged"
    assert 2 <= len(list((tmp_path / "run").glob("run-*"))) <= 6
    assert error.facts["repairs"]
    assert "ALGO" in (error.remedy or "")


def test_another_grid_of_k_points_is_refused(tmp_path: Path) -> None:
    """Custodian would take other k-points or another smearing: that energy is of something else."""
    error = failure(tmp_path, "wants k-points")
    assert error.reason == "crashed"
    assert error.facts["repairs"] == []
    refused = error.facts["refused"]
    assert refused
    assert all("would change the energy" in text for text in refused)
    assert log(tmp_path)[-1]["refused"] == refused


@pytest.mark.parametrize(
    ("fault", "reason"), [("dies", "crashed"), ("cut", "incomplete"), ("other atoms", "garbage")]
)
def test_each_fault_has_its_reason(fault: str, reason: str, tmp_path: Path) -> None:
    assert failure(tmp_path, fault).reason == reason
    states = [json.loads(p.read_text()) for p in (tmp_path / "run").glob("run-*/state.json")]
    assert {state["state"] for state in states} == {"failed"}


def test_atoms_come_back_in_the_order_they_were_given(tmp_path: Path) -> None:
    """POSCAR has them by element; the forces must find their way back."""
    potcars(tmp_path / "potcars", "C", "Si")
    atoms = bulk("SiC", "zincblende", a=4.36, cubic=True)
    atoms.positions += np.random.default_rng(3).normal(0, 0.05, atoms.positions.shape)
    candidate = Candidate.from_ase(atoms, name="g001-003")  # Si C Si C …
    command = f"{sys.executable} {FAKE} none"
    machine = MachineSettings(vasp_command=command, vasp_potcar_dir=tmp_path / "potcars")
    oracle = build_oracle(OracleSettings(engine="vasp"), machine, ["Si", "C"])
    label = oracle.label(candidate, tmp_path / "run")
    tersoff = build_oracle(OracleSettings(engine="tersoff"), machine, ["Si", "C"])
    wanted = tersoff.label(candidate, tmp_path / "tersoff")
    np.testing.assert_allclose(label.forces, wanted.forces, atol=1e-9)
    poscar = (tmp_path / "run" / "run-001" / "POSCAR").read_text(encoding="utf-8").split("\n")
    assert poscar[5].split() == ["C", "Si"]
    names = (tmp_path / "run" / "run-001" / "POTCAR").read_text(encoding="utf-8")
    assert names.index("VRHFIN =C") < names.index("VRHFIN =Si")


def test_a_step_whose_electrons_did_not_converge_is_nothing_to_learn_from(tmp_path: Path) -> None:
    """VASP relaxes on from there; the structure and its numbers stay in vasprun.xml."""
    paths = {}
    for fault in ("none", "second step"):
        oracle = engine(tmp_path, fault, kpoint_spacing=0.7)
        _, label = oracle.relax(silicon(), tmp_path / fault, pressure=0.0)
        paths[fault] = [point.energy for point in label.path]
    whole, rest = paths["none"], paths["second step"]
    assert len(whole) > 3
    assert rest == [whole[0], *whole[2:]]


def test_options_reach_the_input(tmp_path: Path) -> None:
    oracle = engine(
        tmp_path,
        "none",
        incar={"ncore": 4, "ENCUT": 400},
        spin="collinear",
        magnetic_moments={"Si": 1.5},
        kpoint_spacing=0.7,
        kpoint_shift=True,
        sigma=0.2,
    )
    label = oracle.label(silicon(), tmp_path / "run")
    directory = tmp_path / "run" / "run-001"
    told = dict(line.split(" = ") for line in (directory / "INCAR").read_text("utf-8").splitlines())
    assert (told["NCORE"], told["ENCUT"], told["ISPIN"]) == ("4", "400.0", "2")
    assert told["MAGMOM"] == "2*1.5"
    assert float(told["SIGMA"]) == 0.2
    assert told["SYSTEM"] == f"aga-{label.details['sha256'][:16]}"
    points = (directory / "KPOINTS").read_text(encoding="utf-8").split("\n")
    assert points[2:5] == ["Gamma", "3 3 3", "0.5 0.5 0.5"]


def test_a_missing_potcar_names_the_folder_and_what_to_do(tmp_path: Path) -> None:
    folder = potcars(tmp_path / "potcars", "Si")
    machine = MachineSettings(vasp_command=sys.executable, vasp_potcar_dir=folder)
    settings = OracleSettings(engine="vasp", options={"pseudopotentials": {"Ti": "Ti_sv"}})
    problems = {p.key: p for p in check_oracle(settings, machine, ["Si", "Ti"])}
    assert set(problems) == {"oracle.options.pseudopotentials.Ti"}
    problem = problems["oracle.options.pseudopotentials.Ti"]
    assert "Ti_sv of PBE_64" in problem.message
    assert str(folder) in problem.message


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"aga\[vasp\]"):
        engine(tmp_path, "none")
