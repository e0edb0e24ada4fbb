"""pw.x dies, hangs, lies or fills the disk: each gives its reason and loses nothing.

A small script stands in for pw.x; it replays the output of a real run, damaged as named.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from ase.build import bulk

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import (
    DiskFullError,
    MissingExecutableError,
    MissingPseudopotentialError,
    OracleError,
    SettingsError,
)
from aga.oracle import runner
from aga.oracle.espresso import Espresso
from aga.structure.candidate import Candidate

REAL = Path(__file__).resolve().parent.parent / "data" / "pw-si2.out"

UPF = """<UPF version="2.0.1"><PP_HEADER element="{element}" pseudo_type="NC" has_so="F"
functional="{functional}" z_valence="4.0" wfc_cutoff="0.0" rho_cutoff="0.0"/></UPF>
"""

PREAMBLE = f"""
import os, re, subprocess, sys, time
from pathlib import Path
given = Path("pw.in").read_text()
title = re.search("title += '(.*)'", given)[1]
real = Path({str(REAL)!r}).read_text()
anchor = "     Current dimensions"
real = real.replace(anchor, "     Title: \\n     " + title + "\\n\\n" + anchor)
assert title in real
"""


def silicon(n: int = 2) -> Candidate:
    atoms = bulk("Si", a=5.4) if n == 2 else bulk("Si", a=5.4, cubic=True)
    return Candidate.from_ase(atoms, name="g001-003")


def write_upf(folder: Path, name: str, element: str, functional: str) -> None:
    folder.mkdir(exist_ok=True)
    text = UPF.format(element=element, functional=functional)
    (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def pseudos(tmp_path: Path) -> Path:
    folder = tmp_path / "pseudo"
    write_upf(folder, "Si.pz-test.UPF", "Si", "SLA PZ NOGX NOGC")
    return folder


def engine(tmp_path: Path, pseudos: Path, body: str, **settings: float) -> Espresso:
    script = tmp_path / "pw.py"
    script.write_text(PREAMBLE + body, encoding="utf-8")
    machine = MachineSettings(espresso_command=f"{sys.executable} {script}", pseudo_dir=pseudos)
    return Espresso(OracleSettings(engine="espresso", **settings), machine, {"Si": 2})


def failure(oracle: Espresso, tmp_path: Path, candidate: Candidate | None = None) -> OracleError:
    with pytest.raises(OracleError) as caught:
        oracle.label(candidate or silicon(), tmp_path / "run")
    assert "g001-003" in caught.value.message
    return caught.value


def test_the_stand_in_gives_what_the_real_run_gave(tmp_path: Path, pseudos: Path) -> None:
    label = engine(tmp_path, pseudos, "print(real)").label(silicon(), tmp_path / "run")
    assert label.energy == pytest.approx(-15.60912297 * 13.605693, abs=1e-3)
    assert label.forces[0, 1] == pytest.approx(0.7321, abs=1e-3)
    directory = tmp_path / "run" / "scf-001"
    assert not (directory / runner.SCRATCH).exists()
    assert '"state": "done"' in (directory / "state.json").read_text(encoding="utf-8")


DAMAGE = {
    "dies": ("print(real[:900]); sys.exit(3)", "crashed"),
    "dies with pw.x's message": (
        (
            "print('%' * 78, '\\n Error in routine cdiaghg (1):\\n  S matrix\\n', '%' * 78);"
            "sys.exit(1)"
        ),
        "crashed",
    ),
    "is killed": ("os.kill(os.getpid(), 9)", "crashed"),
    "does not converge": (
        "print(real.replace('convergence has been achieved', 'convergence NOT achieved'))",
        "not_converged",
    ),
    "prints garbage": ("sys.stdout.buffer.write(bytes(range(256)) * 40)", "garbage"),
    "prints nothing": ("pass", "garbage"),
    "prints stars": ("print(real.replace('-15.60', '******'))", "garbage"),
    "prints another crystal": ("print(real.replace('Si', 'Ge'))", "garbage"),
    "prints forces that do not sum to zero": (
        "print(real.replace('=     0.02227197', '=     0.92227197'))",
        "garbage",
    ),
    "prints NaN as energy": ("print(real.replace('-15.60912037', 'NaN'))", "non_finite"),
    "prints NaN as force": ("print(re.sub(r'force = +\\S+', 'force = NaN', real))", "non_finite"),
    "stops early": ("print(real[:len(real) // 2])", "incomplete"),
    "leaves out the forces": (
        "print(real.replace('Forces acting on atoms', ''))",
        "incomplete",
    ),
    "leaves out the stress": ("print(real.replace('total   stress', ''))", "incomplete"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_fault_has_its_reason(damage: str, tmp_path: Path, pseudos: Path) -> None:
    body, reason = DAMAGE[damage]
    error = failure(engine(tmp_path, pseudos, f"import re\n{body}"), tmp_path)
    assert error.reason == reason
    assert error.to_dict()["facts"]["reason"] == reason


def test_a_crash_tells_the_last_lines_and_where_they_are(tmp_path: Path, pseudos: Path) -> None:
    body = "print('all is well so far'); print('out of luck', file=sys.stderr); sys.exit(7)"
    error = failure(engine(tmp_path, pseudos, body), tmp_path)
    assert "exit code 7" in error.message
    assert "out of luck" in error.message
    assert "all is well so far" in error.facts["tail"]
    assert (Path(error.facts["directory"]) / "pw.in").is_file()


def test_explosion_is_seen_in_the_forces(tmp_path: Path, pseudos: Path) -> None:
    oracle = engine(tmp_path, pseudos, "print(real)", max_force=0.5)
    assert failure(oracle, tmp_path).reason == "exploded"


def test_a_cycle_that_converges_with_gentler_mixing_is_repaired(
    tmp_path: Path, pseudos: Path
) -> None:
    body = """
gentle = any("mixing_beta" in line and "0.2" in line for line in given.splitlines())
print(real if gentle else real.replace("convergence has been achieved", "convergence NOT achieved"))
"""
    label = engine(tmp_path, pseudos, body).label(silicon(), tmp_path / "run")
    assert label.details["runs"] == 2
    assert label.details["repairs"] == ["mixing_beta 0.2"]
    assert label.evaluations == 1


def test_repairs_come_to_an_end(tmp_path: Path, pseudos: Path) -> None:
    failure(engine(tmp_path, pseudos, DAMAGE["does not converge"][0]), tmp_path)
    assert len(list((tmp_path / "run").glob("scf-*"))) == 4


def gone(pid: int) -> bool:
    """Whether a process has ended within a few seconds (a zombie has ended)."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


HANG = """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path("pids").write_text(f"{os.getpid()} {child.pid}")
print(real[:900], flush=True)
time.sleep(600)
"""


def pids(folder: Path) -> list[int]:
    return [int(word) for word in (folder / "pids").read_text(encoding="utf-8").split()]


def test_a_hanging_run_is_ended_with_all_it_has_started(tmp_path: Path, pseudos: Path) -> None:
    error = failure(engine(tmp_path, pseudos, HANG, timeout=1.5), tmp_path)
    assert error.reason == "timeout"
    assert "oracle.timeout" in (error.remedy or "")
    assert all(gone(pid) for pid in pids(tmp_path / "run" / "scf-001"))


def test_an_interrupted_worker_takes_its_run_along(
    tmp_path: Path, pseudos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = engine(tmp_path, pseudos, HANG)
    folder = tmp_path / "run" / "scf-001"
    wait = subprocess.Popen.wait

    def interrupted(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout is not None and timeout > 100:  # the wait for the result
            while not (folder / "pids").exists() or len(pids(folder)) < 2:
                time.sleep(0.02)
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        oracle.label(silicon(), tmp_path / "run")
    monkeypatch.undo()
    assert all(gone(pid) for pid in pids(folder))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_worker_killed_outright_leaves_no_run_behind(tmp_path: Path, pseudos: Path) -> None:
    engine(tmp_path, pseudos, HANG)  # writes the script
    worker = f"""
from pathlib import Path
from ase.build import bulk
from aga.config.schema import MachineSettings, OracleSettings
from aga.oracle.espresso import Espresso
from aga.structure.candidate import Candidate
machine = MachineSettings(espresso_command={f"{sys.executable} {tmp_path / 'pw.py'}"!r},
                          pseudo_dir=Path({str(pseudos)!r}))
oracle = Espresso(OracleSettings(engine="espresso"), machine, {{"Si": 2}})
oracle.label(Candidate.from_ase(bulk("Si"), name="x"), Path({str(tmp_path / "run")!r}))
"""
    process = subprocess.Popen([sys.executable, "-c", worker])
    marker = tmp_path / "run" / "scf-001" / "pids"
    while not marker.exists() or not marker.read_text(encoding="utf-8"):
        assert process.poll() is None
        time.sleep(0.05)
    fake, child = pids(marker.parent)
    process.kill()
    process.wait()
    assert gone(fake)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)  # of the stand-in's own making; pw.x has none


def test_what_a_killed_attempt_left_is_not_taken_for_a_result(
    tmp_path: Path, pseudos: Path
) -> None:
    left = tmp_path / "run" / "scf-001"
    (left / runner.SCRATCH).mkdir(parents=True)
    (left / "pw.out").write_text(REAL.read_text(encoding="utf-8"), encoding="utf-8")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    runner.mark(left, "running")
    state = (left / "state.json").read_text(encoding="utf-8")
    state = state.replace(f'"pid": {os.getpid()}', f'"pid": {ended.pid}')
    (left / "state.json").write_text(state, encoding="utf-8")

    assert failure(engine(tmp_path, pseudos, "sys.exit(1)"), tmp_path).reason == "crashed"
    assert (tmp_path / "run" / "scf-002").is_dir()
    assert not (left / runner.SCRATCH).exists()
    assert '"abandoned"' in (left / "state.json").read_text(encoding="utf-8")


def test_a_full_disk_met_by_pw_x_is_one(tmp_path: Path, pseudos: Path) -> None:
    body = "print('At line 60: No space left on device', file=sys.stderr); sys.exit(2)"
    with pytest.raises(DiskFullError) as caught:
        engine(tmp_path, pseudos, body).label(silicon(), tmp_path / "run")
    assert caught.value.exit_code == 5
    assert "run_dir" in (caught.value.remedy or "")


def test_a_full_disk_met_by_aga_is_one(
    tmp_path: Path, pseudos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("aga.oracle.espresso.write_input", full)
    with pytest.raises(DiskFullError):
        engine(tmp_path, pseudos, "print(real)").label(silicon(), tmp_path / "run")


def test_a_relaxation_that_dies_keeps_the_steps_before(tmp_path: Path, pseudos: Path) -> None:
    body = """
if "vc-relax" in given:
    print(real.replace("JOB DONE.", ""))
    sys.exit(3)
print(real)
"""
    oracle = engine(tmp_path, pseudos, body)
    relaxed, label = oracle.relax(silicon(), tmp_path / "run", pressure=0.0)
    assert label.details["converged"] is False
    assert label.evaluations == 6  # three rounds: a step of vc-relax and a single point each
    assert len(relaxed) == 2


def test_a_relaxation_without_any_step_fails(tmp_path: Path, pseudos: Path) -> None:
    with pytest.raises(OracleError) as caught:
        engine(tmp_path, pseudos, "sys.exit(3)").relax(silicon(), tmp_path / "run", pressure=0.0)
    assert caught.value.reason == "crashed"


def test_the_input_tells_pw_x_what_was_asked(tmp_path: Path, pseudos: Path) -> None:
    script = "print(real)"
    oracle = engine(tmp_path, pseudos, script)
    oracle.label(silicon(), tmp_path / "run")
    given = (tmp_path / "run" / "scf-001" / "pw.in").read_text(encoding="utf-8")
    words = {
        line.split("=")[0].strip(): line.split("=")[1].strip()
        for line in given.splitlines()
        if "=" in line
    }
    assert words["calculation"] == "'scf'"
    assert words["tprnfor"] == words["tstress"] == ".true."
    assert float(words["ecutwfc"]) == 40.0
    assert float(words["ecutrho"]) == 160.0
    assert words["pseudo_dir"] == f"'{pseudos}'"
    assert "Si.pz-test.UPF" in given
    grid = given.split("K_POINTS automatic")[1].split()[:6]
    assert grid == ["7", "7", "7", "0", "0", "0"]  # 2π√3/5.4 Å = 2.02/Å in steps of 0.3/Å


def test_openmp_and_the_workers_own_mpi_do_not_reach_pw_x(
    tmp_path: Path, pseudos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setenv("PMI_RANK", "1")
    body = "print(real); print(dict(os.environ), file=sys.stderr)"
    engine(tmp_path, pseudos, body).label(silicon(), tmp_path / "run")
    seen = (tmp_path / "run" / "scf-001" / "stderr.txt").read_text(encoding="utf-8")
    assert "'OMP_NUM_THREADS': '1'" in seen
    assert "PMI_RANK" not in seen


def test_a_machine_without_pw_x_or_files_is_told_at_once(tmp_path: Path, pseudos: Path) -> None:
    settings = OracleSettings(engine="espresso")
    machine = MachineSettings(espresso_command="no-such-pw.x", pseudo_dir=pseudos)
    with pytest.raises(MissingExecutableError, match="no-such-pw") as caught:
        Espresso(settings, machine, {"Si": 2})
    assert caught.value.exit_code == 3
    assert "apt-get" in (caught.value.remedy or "")
    machine = MachineSettings(espresso_command=sys.executable, pseudo_dir=pseudos)
    with pytest.raises(MissingPseudopotentialError, match="Au"):
        Espresso(settings, machine, {"Au": 2})
    write_upf(pseudos, "O.pbe-test.UPF", "O", "PBE")
    with pytest.raises(SettingsError, match="functional"):
        Espresso(settings, machine, {"Si": 1, "O": 2})
