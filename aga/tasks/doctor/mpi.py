"""MPI: whether two ranks start and can add up."""

from __future__ import annotations

import shlex
import tempfile
import time
from pathlib import Path

from aga.errors import AgaError
from aga.parallel.launch import find_launcher, run_ranks
from aga.tasks.doctor.finding import Context, Finding, missing

__all__ = ["mpi"]

PROGRAM = "aga.tasks.doctor.two_ranks"
LIMIT = 40.0
SUM = "the sum is 3"


def mpi(context: Context) -> list[Finding]:
    """Start two ranks with the launcher of the machine settings and let them add up."""
    machine = context.machine
    needed = max(machine.relax_ranks, machine.training_ranks) > 1
    command = shlex.split(machine.mpi_command)
    try:
        launcher = find_launcher(command, 2)
    except AgaError as error:
        return [missing("mpi", error, needed=needed)]
    facts = {"launcher": " ".join(launcher)}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="aga-doctor-") as folder:
        log = Path(folder) / "log.txt"
        try:
            run_ranks(PROGRAM, [], ranks=2, log=log, command=command, timeout=LIMIT)
        except AgaError as error:
            return [_broken(error, facts, needed=needed)]
        right = log.read_text(encoding="utf-8").count(SUM) == 2
    seconds = time.perf_counter() - began
    if not right:
        wrong = AgaError(
            "two ranks ran, but did not add up one and two",
            remedy="let machine.mpi_command name the launcher of the MPI library that mpi4py uses",
        )
        return [_broken(wrong, facts, needed=needed)]
    return [
        Finding(
            name="mpi",
            state="ok",
            message=f"{facts['launcher']}: two ranks start and add up in {seconds:.1f} s",
            facts=facts | {"seconds": seconds},
        )
    ]


def _broken(error: AgaError, facts: dict[str, str], *, needed: bool) -> Finding:
    """Say that MPI is there and does not work; where nobody needs it, that is a warning."""
    first, *rest = error.message.splitlines()
    return Finding(
        name="mpi",
        state="fail" if needed else "warn",
        message=f"{first} {rest[-1]}" if rest else first,
        remedy=error.remedy,
        facts=facts,
    )
