"""Work a search off on this machine: a few worker processes, watched and replaced."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from aga.errors import AgaError, DiskFullError, SearchFailedError, SiteError

__all__ = ["WorkerPool", "worker_environment"]

MAX_RESTARTS = 10
"""Times that each worker is replaced, without a step ending, before the machine is unfit."""

UNFIT = {SiteError.exit_code: SiteError, DiskFullError.exit_code: DiskFullError}
"""Exit codes of a worker that would do no better if it was started again."""

log = logging.getLogger(__name__)


def worker_environment() -> dict[str, str]:
    """Give the environment of a worker: one thread per process unless the user says otherwise."""
    one = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
    )
    # spglib tells on stderr of each cell that it finds no symmetry in; P1 is the answer there.
    return {**one, "SPGLIB_WARNING": "OFF", **os.environ}


@dataclass(slots=True, kw_only=True)
class WorkerPool:
    """Worker processes of one search; they end when this process does.

    Parameters
    ----------
    command
        Arguments after ``python -m aga worker``.
    count
        Number of processes.
    log_dir
        Folder of their logs, ``worker-0.log`` ….
    """

    command: list[str]
    count: int
    log_dir: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: list[IO[bytes]] = field(default_factory=list)
    restarts: int = 0

    def __enter__(self) -> Self:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        for index in range(self.count):
            self.logs.append((self.log_dir / f"worker-{index}.log").open("ab"))
            self.processes.append(self._start(index))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        for file in self.logs:
            file.close()

    def _start(self, index: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "aga", "worker", "--follow-parent", *self.command],
            stdin=subprocess.DEVNULL,
            stdout=self.logs[index],
            stderr=subprocess.STDOUT,
            env=worker_environment(),
            start_new_session=True,
        )

    def unfit(self) -> type[AgaError] | None:
        """Give what a worker ended with because this machine keeps it from working."""
        codes = [process.poll() for process in self.processes]
        return next((UNFIT[code] for code in codes if code in UNFIT), None)

    def tend(self) -> int:
        """Replace workers that ended although the search runs; give how many were replaced.

        Raises
        ------
        aga.errors.SearchFailedError
            They die again and again.
        """
        replaced = 0
        for index, process in enumerate(self.processes):
            if process.poll() is None:
                continue
            if self.restarts >= MAX_RESTARTS * self.count:
                raise SearchFailedError(
                    f"{self.restarts} workers died, the last with status {process.returncode}",
                    remedy=f"read {self.log_dir}/worker-{index}.log; the search is stored and "
                    "goes on with the same command",
                )
            log.warning("worker %d ended with status %s", index, process.returncode)
            self.restarts += 1
            replaced += 1
            self.processes[index] = self._start(index)
        return replaced

    def stop(self, patience: float = 5.0) -> None:
        """Ask the workers to end after the step in hand; kill those that take longer."""
        alive = [p for p in self.processes if p.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + patience
        for process in alive:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
