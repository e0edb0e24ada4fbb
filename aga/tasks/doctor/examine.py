"""All checks of a machine, one after the other. To add one: a function, and a line here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from aga.errors import AgaError
from aga.tasks.doctor.database import clock, database, latency, users, writes
from aga.tasks.doctor.engines import engines
from aga.tasks.doctor.finding import Context, Finding
from aga.tasks.doctor.fireworks import launchpad, launchpad_file
from aga.tasks.doctor.machine import disks, gpu, python
from aga.tasks.doctor.mpi import mpi
from aga.tasks.doctor.slurm import adapters, slurm

__all__ = ["CHECKS", "Check", "examine"]

Check = Callable[[Context], list[Finding]]

CHECKS: Mapping[str, Check] = {
    "python": python,
    "database": database,
    "users": users,
    "latency": latency,
    "writes": writes,
    "clock": clock,
    "fireworks": launchpad,
    "launchpad file": launchpad_file,
    "mpi": mpi,
    "slurm": slurm,
    "queue adapters": adapters,
    "engines": engines,
    "gpu": gpu,
    "disk": disks,
}
"""Name → check, in the order in which they are told."""

LIMIT = 60.0
"""Seconds after which a check is given up."""


def examine(
    context: Context, checks: Mapping[str, Check] = CHECKS, *, limit: float = LIMIT
) -> Iterator[Finding]:
    """Make all checks, one after the other; give what they find as soon as it is known.

    A check that raises or does not end is itself a finding: nothing stops the others.

    Parameters
    ----------
    context
        What is looked at.
    checks
        Name → check.
    limit
        Seconds of each.
    """
    for name, check in checks.items():
        yield from _in_time(name, check, context, limit)


def _in_time(name: str, check: Check, context: Context, limit: float) -> list[Finding]:
    found: list[Finding] = []

    def look() -> None:
        try:
            found.extend(check(context))
        except AgaError as error:
            failed = Finding(
                name=name,
                state="fail",
                message=error.message,
                remedy=error.remedy,
                facts=error.facts,
            )
            found.append(failed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
            told = f"the check failed: {type(error).__name__}: {error}"
            found.append(Finding(name=name, state="fail", message=told))

    # A thread that hangs in a mount that is away can't be ended; it dies with this process.
    worker = threading.Thread(target=look, name=f"doctor: {name}", daemon=True)
    worker.start()
    worker.join(limit)
    if worker.is_alive():
        told = f"no answer within {limit:g} s"
        remedy = "what it waits for hangs: a disk that is away, a queue or a server in trouble"
        return [Finding(name=name, state="fail", message=told, remedy=remedy)]
    return found
