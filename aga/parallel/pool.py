"""Independent jobs side by side in worker processes.

Beside the standard library's pools this one keeps four promises that training members needs: a
worker that the system kills is an error and never a wait for ever; an interruption ends the
workers at once, and so does the death of this process; the variables that hold numerical
libraries to one thread are set before these are loaded; and a script that calls it is not run
again in each worker.
"""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeVar

from aga.errors import SiteError
from aga.parallel.process import GRACE, end_groups, start
from aga.parallel.reports import rebuild

__all__ = ["Progress", "Say", "run_each"]

Job = TypeVar("Job")
Result = TypeVar("Result")

Say = Callable[[Any], None]
"""What a job tells of its progress with."""

Progress = Callable[[int, Any], None]
"""Hears what jobs say: number of the job, value."""

LOOK = 1.0
"""Seconds between two looks at whether the workers live; a lost connection tells at once."""


def run_each(
    function: Callable[[Job, Say], Result],
    jobs: Sequence[Job],
    *,
    processes: int,
    progress: Progress | None = None,
) -> list[Result]:
    """Do all jobs, several at a time, each in a process with one thread.

    Parameters
    ----------
    function
        ``function(job, say)`` does a job; ``say(value)`` reaches ``progress`` at once. A
        function at the top of a module: workers import it by name.
    jobs
        Arguments; they, the results and what is said are pickled between our own processes.
    processes
        How many at a time. A single one, or a single job, runs in this process.
    progress
        Called in this thread with the number of a job (from 0) and what it says; a job's
        values come in their order.

    Returns
    -------
    list
        Results in the order of the jobs.

    Raises
    ------
    aga.errors.SiteError
        A worker was killed or ended by itself.
    Exception
        The first that a job raises, with its own type; the other jobs are ended.
    """

    def hear(number: int, value: object) -> None:
        if progress is not None:
            progress(number, value)

    if min(processes, len(jobs)) <= 1:
        return [function(job, _sayer(hear, number)) for number, job in enumerate(jobs)]
    results: dict[int, Result] = {}
    waiting = deque(enumerate(jobs))
    with _workers(min(processes, len(jobs)), len(jobs)) as workers:
        for worker in workers:
            worker.give(function, *waiting.popleft())
        while len(results) < len(jobs):
            for worker in _ready(workers):
                kind, value = worker.receive()
                if kind == "said":
                    hear(worker.job, value)
                    continue
                results[worker.job] = value
                worker.busy = False
                if waiting:
                    worker.give(function, *waiting.popleft())
    return [results[number] for number in range(len(jobs))]


def _sayer(hear: Progress, number: int) -> Say:
    return lambda value: hear(number, value)


@dataclass(slots=True, kw_only=True)
class _Worker:
    """A worker process, our end of its connection, and the number of its job (of ``count``)."""

    process: subprocess.Popen[bytes]
    connection: Connection[Any, Any]
    count: int
    job: int = 0
    busy: bool = False

    def give(self, function: Callable[..., Any], number: int, job: object) -> None:
        """Hand it a job."""
        self.job, self.busy = number, True
        try:
            self.connection.send(number)
            self.connection.send((function, job))
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self.death() from error

    def receive(self) -> tuple[str, Any]:
        """Give what it says, or its result; raise what its job has raised."""
        try:
            kind, value = self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise self.death() from error
        if kind == "refused":
            raise rebuild(value)
        if kind == "raised":
            raise self._raised(value)
        return kind, value

    def _raised(self, trace: str) -> Exception:
        """Receive an exception; one that can't be rebuilt here gives its traceback as text."""
        try:
            error = self.connection.recv()
        except Exception:  # noqa: BLE001 - unpickling calls the exception's own class
            error = None
        if not isinstance(error, Exception):
            return RuntimeError(f"job {self.job + 1} of {self.count} failed:\n{trace}")
        error.add_note(f"in a worker process:\n{trace}")
        return error

    def death(self) -> SiteError:
        """Say how it ended, and what to do about it."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=GRACE)
        status = self.process.returncode
        how = f"ended with status {status}"
        remedy = "what it wrote to the terminal tells why"
        if status is not None and status < 0:
            how = f"was killed by {signal.Signals(-status).name}"
        if status == -signal.SIGKILL:
            remedy = "where nobody killed it the memory ran out: use fewer processes"
        return SiteError(
            f"the process that worked at job {self.job + 1} of {self.count} {how}",
            remedy=remedy,
            job=self.job,
            status=status,
        )


def _ready(workers: Sequence[_Worker]) -> Iterator[_Worker]:
    """Wait until workers have something to tell, and give these."""
    busy = {worker.connection: worker for worker in workers if worker.busy}
    ready = wait(list(busy), timeout=LOOK)
    for worker in busy.values():
        if worker.connection in ready:
            yield worker
        # A process that a job has left behind may hold the connection of a dead worker open.
        elif not ready and worker.process.poll() is not None and not worker.connection.poll():
            raise worker.death()


@contextmanager
def _workers(processes: int, count: int) -> Iterator[list[_Worker]]:
    """Start worker processes, and end them whatever happens."""
    workers: list[_Worker] = []
    try:
        for _ in range(processes):
            ours, theirs = multiprocessing.Pipe()
            with theirs:
                process = start(
                    [sys.executable, "-m", "aga.parallel.worker", str(theirs.fileno())],
                    stdout=2,  # the output of this process is for its results
                    stderr=2,
                    descriptors=[theirs.fileno()],
                )
            workers.append(_Worker(process=process, connection=ours, count=count))
            ours.send(sys.path)
        yield workers
    finally:
        end_groups(worker.process for worker in workers)
        for worker in workers:
            worker.connection.close()
