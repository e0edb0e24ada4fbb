"""Running an external program: own directory, own process group, a time limit, no shell."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from aga.parallel.process import ended_in_time, start

__all__ = ["SCRATCH", "STATE", "Run", "fresh_directory", "mark", "run"]

SCRATCH = "scratch"
"""Folder inside a run's directory for files that are worth nothing afterwards."""

STATE = "state.json"
"""File that says how far a run has come."""


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
    began = time.perf_counter()
    with (directory / stdout).open("wb") as out, (directory / "stderr.txt").open("wb") as err:
        process = start(
            command, directory=directory, stdout=out, stderr=err, environment=environment
        )
        in_time = ended_in_time(process, timeout)
    return Run(
        directory=directory,
        returncode=process.returncode,
        timed_out=not in_time,
        seconds=time.perf_counter() - began,
    )
