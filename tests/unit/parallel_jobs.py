"""Jobs that worker processes do in tests; the module is light, for each worker imports it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from aga.errors import DataError
from aga.parallel.pool import Say
from aga.parallel.reports import rebuild


class AwkwardError(Exception):
    """An exception that can be packed, but not unpacked."""

    def __init__(self, *, atoms: int) -> None:
        super().__init__(f"{atoms} atoms are too many")


def counted(job: tuple[int, float], say: Say) -> dict[str, Any]:
    number, seconds = job
    for step in range(3):
        say(step)
        time.sleep(seconds)
    return {"square": number**2, "pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")}


def refused(job: dict[str, Any] | None, say: Say) -> int:
    if job is not None:
        raise rebuild(job)
    return 1


def failing(job: Exception | None, say: Say) -> int:
    if job is not None:
        raise job
    return 1


def awkward(job: int, say: Say) -> int:
    raise AwkwardError(atoms=job)


def odd_result(job: int, say: Say) -> Any:
    return lambda: job


def dying(job: int | str, say: Say) -> None:
    if isinstance(job, str):
        sys.exit(int(job))
    if job:
        os.kill(os.getpid(), job)
    time.sleep(60)


def sleeping(job: str, say: Say) -> None:
    Path(job).write_text(str(os.getpid()))
    say("asleep")
    time.sleep(600)


def refused_beside_a_sleeper(job: str, say: Say) -> None:
    if job:
        sleeping(job, say)
    time.sleep(0.5)
    raise DataError("frame 3 has no energy")


def dead_with_a_child_left(job: str, say: Say) -> None:
    """Die, and leave a process behind that keeps all open files."""
    if job:
        for name in Path("/dev/fd").iterdir():
            if name.exists():
                os.set_inheritable(int(name.name), True)
        child = subprocess.Popen(["sleep", "30"], close_fds=False, start_new_session=True)
        Path(job).write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
