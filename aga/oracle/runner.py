"""Running an external program: own directory, own process group, a time limit, no shell."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["SCRATCH", "Run", "fresh_directory", "mark", "run"]

GRACE = 3.0
"""Seconds between asking a program to end and ending it."""

SCRATCH = "scratch"
"""Folder inside a run's directory for files that are worth nothing afterwards."""

STATE = "state.json"

# A worker may itself run under MPI; its rank and server must not reach the program's own MPI.
_PARENT_MPI = ("OMPI_COMM_WORLD_", "OMPI_UNIVERSE_", "PMIX_", "PMI_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a program ended: ``returncode`` (negative: the signal), time in s, its folder."""

    directory: Path
    returncode: int
    timed_out: bool
    seconds: float

    def text(self, name: str) -> str:
        """Give the text of one of its files; empty where there is none."""
        try:
            return (self.directory / name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""


def fresh_directory(run_dir: Path, stem: str) -> Path:
    """Make a directory that nobody has used yet.

    They are named ``stem-001``, ``stem-002``, … A result is only ever read from the directory
    that its own process was given, so what a killed attempt left behind can't be mistaken for
    one. Scratch files of attempts whose process is gone are removed.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    for left in run_dir.glob(f"{stem}-[0-9]*"):
        _tidy(left)
    number = 1
    while True:
        directory = run_dir / f"{stem}-{number:03d}"
        try:
            directory.mkdir()
        except FileExistsError:
            number += 1
            continue
        (directory / SCRATCH).mkdir()
        mark(directory, "running")
        return directory


def mark(directory: Path, state: str, **facts: str) -> None:
    """Write down how far a run has come: ``running``, ``done``, ``failed``, ``abandoned``."""
    document = {"state": state, "host": socket.gethostname(), "pid": os.getpid(), **facts}
    (directory / STATE).write_text(json.dumps(document) + "\n", encoding="utf-8")


def _tidy(directory: Path) -> None:
    """Mark a directory whose process has died, and remove its scratch files."""
    try:
        document = json.loads((directory / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    here = document.get("host") == socket.gethostname()
    if document.get("state") != "running" or not here or psutil.pid_exists(document["pid"]):
        return
    shutil.rmtree(directory / SCRATCH, ignore_errors=True)
    with suppress(OSError):  # tidying must never cost a label
        mark(directory, "abandoned")


def run(
    command: Sequence[str],
    directory: Path,
    *,
    stdout: str,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a program to its end, or to the time limit.

    It gets its own session and process group, which are ended as a whole at the limit and
    when this process is interrupted; it dies with this process; OpenMP is held to one thread.

    Parameters
    ----------
    command
        Program and arguments.
    directory
        Working directory; the files ``stdout`` and ``stderr.txt`` are written there.
    stdout
        Name of the file for the standard output.
    timeout
        Seconds.
    environment
        Variables beside those of this process.
    """
    start = time.perf_counter()
    guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("die_with_parent.py"))]
    with (directory / stdout).open("wb") as out, (directory / "stderr.txt").open("wb") as err:
        process = subprocess.Popen(
            [*guard, str(os.getpid()), *command],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=_environment(environment or {}),
            start_new_session=True,
        )
        timed_out = False
        try:
            process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            timed_out = True
            _end_group(process)
        except BaseException:
            _end_group(process)
            raise
    return Run(
        directory=directory,
        returncode=process.returncode,
        timed_out=timed_out,
        seconds=time.perf_counter() - start,
    )


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_PARENT_MPI)}
    return {**kept, "OMP_NUM_THREADS": "1", **extra}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program with everything it has started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE)
