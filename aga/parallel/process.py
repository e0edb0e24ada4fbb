"""Starting other programs: they end with this process, as a whole, and keep to one thread."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

__all__ = [
    "RANKS_VARIABLE",
    "child_environment",
    "end_group",
    "end_groups",
    "ended_in_time",
    "start",
]

GRACE = 3.0
"""Seconds between asking a program to end and ending it."""

RANKS_VARIABLE = "AGA_RANKS"
"""Environment variable that tells a rank how many of them we asked the launcher for."""

# A worker may itself run under MPI; its rank and server must not reach the program's own MPI.
_PARENT_MPI = (
    RANKS_VARIABLE,
    "HYDI_",
    "MPI_LOCAL",
    "OMPI_COMM_WORLD_",
    "OMPI_UNIVERSE_",
    "PMIX_",
    "PMI_",
)

# Processes stand side by side, one per core: a thread pool in each makes them crawl.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the environment of a program: one thread, and nothing of this process's own MPI."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_PARENT_MPI)}
    return {**kept, **_ONE_THREAD, **(extra or {})}


def start(
    command: Sequence[str],
    *,
    directory: Path | None = None,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    descriptors: Iterable[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in its own session and process group; it dies with this process.

    Parameters
    ----------
    command
        Program and arguments; no shell reads them. A program that can't be started ends with
        the status :data:`aga.parallel.die_with_parent.CANNOT_START`.
    directory
        Working directory; that of this process where None.
    stdout, stderr
        Where its output goes.
    environment
        Variables beside those of :func:`child_environment`.
    descriptors
        Open files that it keeps, under their numbers.
    """
    guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("die_with_parent.py"))]
    return subprocess.Popen(
        [*guard, str(os.getpid()), *command],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=child_environment(environment),
        start_new_session=True,
        pass_fds=tuple(descriptors),
    )


def ended_in_time(process: subprocess.Popen[bytes], timeout: float | None) -> bool:
    """Wait for a program; end its whole group after ``timeout`` s, or when interrupted.

    Returns
    -------
    bool
        Whether it ended by itself.
    """
    try:
        process.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        end_group(process)
        return False
    except BaseException:
        end_group(process)
        raise
    return True


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program with everything it has started."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        _signal(process, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=GRACE)


def end_groups(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """End several programs as :func:`end_group` does, all at the same time."""
    chosen = list(processes)
    for process in chosen:
        _signal(process, signal.SIGTERM)
    for process in chosen:
        end_group(process)


def _signal(process: subprocess.Popen[bytes], sign: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, sign)
