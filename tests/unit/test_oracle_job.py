"""Jobs of external programs: ladders of repairs, budgets, seals; the program is a small script."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from ase.build import bulk

from aga.errors import MissingExecutableError, OracleError
from aga.oracle.abinit import Abinit
from aga.oracle.cp2k import Cp2k
from aga.oracle.espresso import Espresso
from aga.oracle.gpaw import Gpaw
from aga.oracle.job import LOG, Job, Program
from aga.oracle.lammps import Lammps
from aga.oracle.repair import ONCE_MORE, Ceiling, Floor, Inputs, Ladder, Repair, changed
from aga.oracle.runner import Run
from aga.oracle.seal import FILE, hashes, seal_of
from aga.oracle.vasp import Vasp
from aga.structure.candidate import Candidate

SILICON = Candidate.from_ase(bulk("Si", a=5.4), name="g001-003")
INPUTS: Inputs = {"basis": {"cutoff": 20}, "cycle": {"mixing": 0.5, "steps": 10}}

SCRIPT = """
import json, sys, time
from pathlib import Path
told = json.loads(Path("told.json").read_text())
with Path("history").open("a") as file:
    file.write(json.dumps(told) + "\\n")
time.sleep(told["cycle"].get("sleep", 0))
print(told["seal"])
steps = told["cycle"]["steps"]
sys.exit(0 if steps >= 30 else 3)
"""

GENTLER = Repair(
    name="gentler",
    after=re.compile("not_converged"),
    changes={"cycle": {"mixing": Ceiling(value=0.2), "steps": Floor(value=20)}},
)
LONGER = Repair(
    name="longer",
    after=re.compile("not_converged"),
    changes={"cycle": {"steps": 30}},
    warm_up={"basis": {"cutoff": 5}},
)


class Toy(Program):
    name = "toy"
    output = "out.txt"

    def __init__(self, folder: Path, *repairs: Repair, runs: int = 6, command: str = "") -> None:
        self.ladder = Ladder(repairs=repairs, kept=frozenset({"basis.cutoff"}), runs=runs)
        script = folder / "toy.py"
        script.write_text(SCRIPT, encoding="utf-8")
        self.words = [command] if command else [sys.executable, str(script)]

    def command(self) -> list[str]:
        return self.words

    def write(self, directory: Path, candidate: Candidate, inputs: Inputs, seal: str) -> None:
        text = json.dumps({**inputs, "seal": seal, "atoms": candidate.symbols})
        (directory / "told.json").write_text(text, encoding="utf-8")

    def examine(self, ended: Run, candidate: Candidate) -> None:
        if ended.returncode == 3:
            raise OracleError(
                f"toy: {candidate.name}: no", reason="not_converged", directory=str(ended.directory)
            )

    def missing(self, ended: Run) -> None:
        raise MissingExecutableError(ended.text("stderr.txt"), remedy="install toy")


def history(directory: Path) -> list[Inputs]:
    lines = (directory / "history").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_repairs_are_tried_in_their_order_and_written_down(tmp_path: Path) -> None:
    job = Job(Toy(tmp_path, GENTLER, LONGER), tmp_path / "run", "x", 60)
    done = job.run(SILICON, INPUTS)
    assert job.repairs == ["gentler", "longer"]
    assert job.runs == 3
    assert done.inputs["cycle"] == {"mixing": 0.2, "steps": 30}
    assert INPUTS["cycle"] == {"mixing": 0.5, "steps": 10}
    log = json.loads((tmp_path / "run" / LOG).read_text(encoding="utf-8"))
    assert [entry["repair"] for entry in log] == ["gentler", "longer"]
    assert [Path(entry["directory"]).name for entry in log] == ["x-001", "x-002"]


def test_a_warm_up_may_be_coarse_and_the_run_after_it_is_not(tmp_path: Path) -> None:
    done = Job(Toy(tmp_path, LONGER), tmp_path / "run", "x", 60).run(SILICON, INPUTS)
    cutoffs = [told["basis"]["cutoff"] for told in history(done.directory)]
    assert cutoffs == [5, 20]
    assert done.inputs["basis"]["cutoff"] == 20
    done.seal.check(done.directory, done.ended.text("out.txt"), where="toy")


def test_the_budget_of_runs_ends_a_job(tmp_path: Path) -> None:
    job = Job(Toy(tmp_path, GENTLER, LONGER, runs=2), tmp_path / "run", "x", 60)
    with pytest.raises(OracleError) as caught:
        job.run(SILICON, INPUTS)
    assert job.runs == 2
    assert caught.value.facts["repairs"] == ["gentler"]


def test_the_budget_of_time_is_for_all_runs_together(tmp_path: Path) -> None:
    slow = {"basis": {"cutoff": 20}, "cycle": {"mixing": 0.5, "steps": 10, "sleep": 1.5}}
    job = Job(Toy(tmp_path, GENTLER, LONGER), tmp_path / "run", "x", 2.5)
    with pytest.raises(OracleError) as caught:
        job.run(SILICON, slow)
    assert caught.value.reason == "timeout"
    assert job.runs < 3
    assert "oracle.timeout" in (caught.value.remedy or "")


def test_a_program_that_is_not_there_is_the_machines_fault(tmp_path: Path) -> None:
    job = Job(Toy(tmp_path, command="no-such-toy"), tmp_path / "run", "x", 60)
    with pytest.raises(MissingExecutableError, match="no-such-toy"):
        job.run(SILICON, INPUTS)


def test_a_repair_leaves_values_that_go_further_already() -> None:
    careful = {"cycle": {"mixing": 0.05, "steps": 500}}
    assert changed(careful, GENTLER.changes) == careful
    assert changed({}, GENTLER.changes) == {"cycle": {"mixing": 0.2, "steps": 20}}


def test_a_repair_fits_its_symptom_and_has_its_number_of_times() -> None:
    twice = Repair(name="again", after=re.compile("lost"), times=2)
    ladder = Ladder(repairs=(twice,))
    error = OracleError("the way is lost", reason="crashed")
    assert ladder.after(error, [], 1) is twice
    assert ladder.after(error, ["again"], 2) is twice
    assert ladder.after(error, ["again", "again"], 3) is None
    assert ladder.after(OracleError("other", reason="crashed"), [], 1) is None
    for reason in ("timeout", "garbage", "exploded", "non_finite", "incomplete"):
        assert ladder.after(OracleError("lost", reason=reason), [], 1) is None  # type: ignore[arg-type] # a word of the list


def test_a_repair_that_changes_the_energy_is_refused() -> None:
    coarser = Repair(name="coarser", after=re.compile(""), changes={"kpoints": {"grid": [1, 1, 1]}})
    with pytest.raises(ValueError, match="would change the energy: kpoints"):
        Ladder(repairs=(coarser,), kept=frozenset({"kpoints.grid"}))


@pytest.mark.parametrize("engine", [Espresso, Gpaw, Abinit, Cp2k, Vasp, Lammps])
def test_no_engine_coarsens_what_its_energies_are_of(engine: type[Program]) -> None:
    touched = {
        f"{section}.{key}"
        for repair in engine.ladder.repairs
        for section, entries in repair.changes.items()
        for key in entries
    }
    assert not touched & engine.ladder.kept
    assert not {name for name in touched if name.startswith("kpoints")}
    assert engine is Lammps or "kpoints.grid" in engine.ladder.kept
    assert ONCE_MORE in engine.ladder.repairs


@pytest.mark.parametrize(
    ("how", "times"),
    [("signal 9", 1), ("signal 15", 1), ("exit code 137", 1), ("exit code 1", 0), ("signal 11", 0)],
)
def test_what_was_killed_from_outside_is_run_once_more(how: str, times: int) -> None:
    ladder = Ladder(repairs=(ONCE_MORE,))
    error = OracleError(f"toy ended with {how}: nothing", reason="crashed")
    assert (ladder.after(error, [], 1) is not None) == bool(times)


def test_a_seal_is_of_structure_settings_and_engine(tmp_path: Path) -> None:
    seal = seal_of("toy", SILICON, INPUTS)
    assert re.fullmatch(r"aga-[0-9a-f]{16}", seal.mark)
    assert seal_of("toy", SILICON.renamed("other"), INPUTS) == seal
    others = [
        seal_of("toy2", SILICON, INPUTS),
        seal_of("toy", SILICON.moved(SILICON.positions + 1e-9), INPUTS),
        seal_of("toy", SILICON, changed(INPUTS, {"cycle": {"steps": 11}})),
    ]
    assert len({seal.sha256, *(other.sha256 for other in others)}) == 4


@pytest.mark.parametrize("damage", ["none", "mark", "file", "seal", "gone"])
def test_a_broken_seal_is_refused(damage: str, tmp_path: Path) -> None:
    (tmp_path / "told.txt").write_text("all", encoding="utf-8")
    seal = seal_of("toy", SILICON, INPUTS)
    seal.write(tmp_path, hashes(tmp_path))
    output = "nothing" if damage == "mark" else f"title {seal.mark} end"
    if damage == "file":
        (tmp_path / "told.txt").write_text("else", encoding="utf-8")
    elif damage == "seal":
        seal_of("toy", SILICON, {}).write(tmp_path, {})
    elif damage == "gone":
        (tmp_path / FILE).unlink()
    if damage == "none":
        seal.check(tmp_path, output, where="toy: c")
        return
    with pytest.raises(OracleError, match="toy: c") as caught:
        seal.check(tmp_path, output, where="toy: c")
    assert caught.value.reason == "garbage"
    assert caught.value.facts["sha256"] == seal.sha256
