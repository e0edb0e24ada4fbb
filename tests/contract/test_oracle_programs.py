"""What every engine that runs a program promises: no answer but that to the question asked."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from oracle_cases import CASES, PROGRAMS, Bench, parameters

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import MissingExecutableError, MissingPseudopotentialError, OracleError
from aga.oracle.executables import EXECUTABLES
from aga.oracle.registry import build_oracle, check_oracle

SPOILER = Path(__file__).with_name("spoiler.py")

every_program = pytest.mark.parametrize("name", parameters(PROGRAMS))
installed_or_not = pytest.mark.parametrize("name", PROGRAMS)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("bench"))


def with_command(machine: MachineSettings, name: str, command: str) -> MachineSettings:
    return machine.model_copy(update={EXECUTABLES[name].setting: command})


def spoiled(folder: Path, name: str, how: str) -> MachineSettings:
    machine = CASES[name].machine(folder)
    real = getattr(machine, EXECUTABLES[name].setting)
    return with_command(machine, name, f"{sys.executable} {SPOILER} {how} -- {real}")


def test_all_programs_are_here() -> None:
    assert set(EXECUTABLES) == set(PROGRAMS) == {CASES[name].engine for name in PROGRAMS}


@every_program
def test_the_input_is_sealed(name: str, bench: Bench, tmp_path: Path) -> None:
    """The hash of structure and settings is kept with the label and beside the input."""
    case, sha256 = CASES[name], bench.label(name).details["sha256"]
    (directory,) = (bench.folder / name / "label").glob("*-001")
    document = json.loads((directory / "input.json").read_text(encoding="utf-8"))
    assert document["sha256"] == sha256
    assert document["files"]
    assert document["structure"]["symbols"] == case.candidate().symbols
    candidate = case.candidate()
    moved = candidate.moved(candidate.positions + 0.01)
    assert case.oracle(tmp_path).label(moved, tmp_path / "run").details["sha256"] != sha256


@every_program
def test_a_run_killed_midway_leaves_no_result(name: str, bench: Bench, tmp_path: Path) -> None:
    case, candidate = CASES[name], CASES[name].candidate()
    oracle = case.oracle(tmp_path, machine=spoiled(tmp_path, name, "killed"))
    with pytest.raises(OracleError) as caught:
        oracle.label(candidate, tmp_path / "run")
    assert caught.value.reason == "crashed"
    assert "signal 9" in caught.value.message
    assert caught.value.facts["repairs"] == ["once more"]  # somebody may have killed it by mistake
    log = json.loads((tmp_path / "run" / "repairs.json").read_text(encoding="utf-8"))
    assert [entry["repair"] for entry in log] == ["once more", None]
    again = case.oracle(tmp_path).label(candidate, tmp_path / "run")
    assert again.energy == pytest.approx(bench.label(name).energy, abs=1e-6)


@every_program
def test_an_output_cut_short_is_refused(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    oracle = case.oracle(tmp_path, machine=spoiled(tmp_path, name, "cut"))
    with pytest.raises(OracleError) as caught:
        oracle.label(case.candidate(), tmp_path / "run")
    assert caught.value.reason in {"incomplete", "garbage"}


@every_program
def test_the_answer_to_another_question_is_refused(name: str, bench: Bench, tmp_path: Path) -> None:
    """A whole and good output of the same atoms, elsewhere: its numbers would be believed."""
    case, candidate = CASES[name], CASES[name].candidate()
    bench.label(name)
    (other,) = (bench.folder / name / "label").glob("*-001")
    machine = spoiled(tmp_path, name, f"replay:{other}")
    moved = candidate.moved(candidate.positions + 0.01)
    with pytest.raises(OracleError, match="does not bear the mark") as caught:
        case.oracle(tmp_path, machine=machine).label(moved, tmp_path / "run")
    assert caught.value.reason == "garbage"
    same = case.oracle(tmp_path, machine=machine).label(candidate, tmp_path / "same")
    assert same.energy == bench.label(name).energy  # of the same question it is the answer


@every_program
def test_a_wrong_program_is_told(name: str, tmp_path: Path) -> None:
    """It starts, ends well, and has done nothing."""
    case = CASES[name]
    machine = with_command(case.machine(tmp_path), name, "true")
    with pytest.raises(OracleError) as caught:
        case.oracle(tmp_path, machine=machine).label(case.candidate(), tmp_path / "run")
    assert caught.value.reason == "garbage"
    assert EXECUTABLES[name].title in caught.value.message
    assert EXECUTABLES[name].key in (caught.value.remedy or "")
    assert "aga recover --retry" in (caught.value.remedy or "")


@installed_or_not
def test_a_missing_program_is_told_before_anything_runs(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    machine = with_command(case.machine(tmp_path), name, "mpirun -np 4 no-such-program")
    machine = with_command(machine, name, "no-such-program")
    with pytest.raises(MissingExecutableError, match="no-such-program") as caught:
        case.oracle(tmp_path, machine=machine)
    assert caught.value.exit_code == 3
    assert EXECUTABLES[name].key in caught.value.message
    assert EXECUTABLES[name].key in (caught.value.remedy or "")
    settings = OracleSettings(engine=name, options=case.options)
    assert EXECUTABLES[name].key in {p.key for p in check_oracle(settings, machine, ["Si"])}


@installed_or_not
def test_a_missing_pseudopotential_is_told_before_anything_runs(name: str, tmp_path: Path) -> None:
    """For LAMMPS, a file of its potential."""
    folder = tmp_path / "empty"
    folder.mkdir()
    setting = {
        "espresso": "pseudo_dir",
        "gpaw": "gpaw_setup_dir",
        "abinit": "abinit_pseudo_dir",
        "cp2k": "cp2k_data_dir",
        "lammps": "lammps_potential_dir",
        "vasp": "vasp_potcar_dir",
    }[name]
    machine = MachineSettings(**{setting: folder, EXECUTABLES[name].setting: sys.executable})
    settings = OracleSettings(engine=name, options=CASES[name].options)
    with pytest.raises(MissingPseudopotentialError) as caught:
        build_oracle(settings, machine, ["Si"])
    assert caught.value.exit_code == 3
    assert str(folder) in caught.value.message
    assert caught.value.remedy
    missing = machine.model_copy(update={setting: tmp_path / "nowhere"})
    with pytest.raises(MissingPseudopotentialError, match="nowhere"):
        build_oracle(settings, missing, ["Si"])
