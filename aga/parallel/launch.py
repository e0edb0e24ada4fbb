"""Running a module on several MPI ranks, as a program of its own."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from aga.errors import MissingExecutableError, SiteError
from aga.parallel.process import RANKS_VARIABLE, ended_in_time, start
from aga.parallel.reports import reported_error

__all__ = ["MPIEXEC", "find_launcher", "run_ranks"]

MPIEXEC = ("mpiexec", "-n", "{ranks}")
"""How ranks are started where the machine settings say nothing else."""

REMEDY = "pip install mpi4py mpich, or set machine.mpi_command, or ranks to 1"

TAIL = 20
"""Lines of the log that an error quotes."""


def find_launcher(command: Sequence[str] | None, ranks: int) -> list[str]:
    """Give program and arguments that start so many ranks.

    Parameters
    ----------
    command
        Program and arguments, ``{ranks}`` for their number; :data:`MPIEXEC` where None. The
        program is looked for beside this Python, where ``pip install mpich`` puts it, then on
        the PATH.
    ranks
        How many.

    Raises
    ------
    aga.errors.MissingExecutableError
        There is no such program.
    aga.errors.SiteError
        mpi4py is not installed.
    """
    program, *words = (word.replace("{ranks}", str(ranks)) for word in command or MPIEXEC)
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    if found is None:
        raise MissingExecutableError(
            f"there is no program {program!r} on this machine to start {ranks} ranks with",
            remedy=REMEDY,
            program=program,
        )
    if importlib.util.find_spec("mpi4py") is None:
        raise SiteError(f"{ranks} ranks need mpi4py, which is not installed", remedy=REMEDY)
    return [found, *words]


def run_ranks(
    module: str,
    arguments: Sequence[str],
    *,
    ranks: int,
    log: Path,
    command: Sequence[str] | None = None,
    timeout: float | None = None,
) -> None:
    """Run ``python -m MODULE ARG…`` on several ranks to its end.

    The ranks keep to one thread each; they end with this process, and when it is interrupted.
    mpi4py runs the module: it ends all ranks as soon as one raises an exception or exits with
    a status, where they would wait for each other for ever otherwise.

    Parameters
    ----------
    module
        Name of the module; it calls :func:`aga.parallel.mpi.open_ranks`, and ends with
        :func:`aga.parallel.reports.report_error` where the user has to know.
    arguments
        Its arguments.
    ranks
        How many; a single one needs neither launcher nor MPI.
    log
        File for the output of all ranks; written anew.
    command
        Launcher, as in :func:`find_launcher`.
    timeout
        Seconds; no limit where None.

    Raises
    ------
    aga.errors.MissingExecutableError
        The launcher is not on this machine.
    aga.errors.AgaError
        What a rank has reported, with its own type.
    aga.errors.SiteError
        A rank died or failed without a report, or the time is over; quotes the end of the log.
    """
    python = [sys.executable]
    if ranks > 1:
        python = [*find_launcher(command, ranks), sys.executable, "-m", "mpi4py"]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = start(
            [*python, "-m", module, *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            environment={RANKS_VARIABLE: str(ranks)},
        )
        in_time = ended_in_time(process, timeout)
    text = log.read_text(encoding="utf-8", errors="replace")
    reported = reported_error(text)
    if reported is not None:
        reported.add_note(f"reported by {module} on {ranks} ranks; log: {log}")
        raise reported
    if process.returncode == 0 and in_time:
        return
    how = f"ended with status {process.returncode}" if in_time else f"took more than {timeout:g} s"
    lines = [line for line in text.splitlines() if line.strip()][-TAIL:]
    raise SiteError(
        "\n".join([f"{module} on {ranks} ranks {how}; the end of {log}:", *lines]),
        remedy=f"read {log}; where a rank was killed (signal 9, status 137) the memory ran out: "
        "use fewer ranks",
        status=process.returncode,
        ranks=ranks,
        log=str(log),
    )
