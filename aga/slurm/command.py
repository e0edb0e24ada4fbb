"""Running a command of SLURM: with a time limit, and errors that say what to do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass

from aga.errors import MissingExecutableError, UnavailableError

__all__ = ["TIMEOUT", "Answer", "is_installed", "run"]

TIMEOUT = 20.0
"""Seconds after which a queue that does not answer is given up."""

_AWAY = re.compile(
    r"unable to contact slurm controller|socket timed out|connection refused|timed out|"
    r"zero bytes were transmitted|communication connection failure|"
    r"failed to fetch config|unable to establish|slurm backup controller in standby|"
    r"munge|protocol authentication|credential|resource temporarily unavailable",
    re.IGNORECASE,
)

# A user's defaults for the display would hide jobs or fields that are asked for here.
_DISPLAY = ("SQUEUE_", "SINFO_", "SACCT_", "SCONTROL_", "SLURM_TIME_FORMAT", "LC_", "LANG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    output: str
    error: str


def is_installed() -> bool:
    """Tell whether this machine has SLURM's commands."""
    return shutil.which("squeue") is not None


def run(program: str, *arguments: str, timeout: float | None = None) -> Answer:
    """Run a command of SLURM to its end.

    Times are printed as seconds since the epoch, texts in English, whatever the user prefers.

    Parameters
    ----------
    program, arguments
        The command; no shell reads it.
    timeout
        Seconds; :data:`TIMEOUT` where None. Its whole process group is ended then.

    Raises
    ------
    aga.errors.MissingExecutableError
        There is no such program on this machine.
    aga.errors.UnavailableError
        The queue does not answer.
    """
    limit = TIMEOUT if timeout is None else timeout
    # Files, not pipes: a child of a command that hangs may hold a pipe open for ever.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_environment(),
                start_new_session=True,
            )
        except OSError as error:
            raise MissingExecutableError(
                f"cannot start SLURM's {program}: {error.strerror}",
                remedy="give the command on a machine of the cluster that has SLURM's commands, "
                "such as its login node",
                program=program,
            ) from error
        try:
            process.wait(limit)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise _no_answer(program, f"did not answer within {limit:g} s") from error
            raise
        out.seek(0)
        err.seek(0)
        answer = Answer(
            status=process.returncode,
            output=out.read().decode(errors="replace"),
            error=err.read().decode(errors="replace").strip(),
        )
    if answer.status != 0 and _AWAY.search(answer.error):
        raise _no_answer(program, f"does not answer: {answer.error.splitlines()[0]}")
    return answer


def _no_answer(program: str, how: str) -> UnavailableError:
    return UnavailableError(
        f"the queue ({program}) {how}",
        remedy="nothing is lost: jobs and steps go on by themselves. Try again in a few minutes; "
        "`scontrol ping` tells whether the controller is up",
        program=program,
    )


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_DISPLAY)}
    return {**kept, "SLURM_TIME_FORMAT": "%s", "LC_ALL": "C.UTF-8"}
