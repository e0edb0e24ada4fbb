"""The process of the embedded server: lock, launch, readiness, end."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from aga.errors import DatabaseUnavailableError, InputError
from aga.store.documents import Worker
from aga.store.state import State, disk_error

__all__ = [
    "find_process",
    "free_port",
    "is_broken",
    "is_free",
    "last_lines",
    "launch",
    "locked",
    "prepare",
    "terminate",
    "wait_until_ready",
]

_LOCK_TIMEOUT = 180.0
_POLL = 0.05


def prepare(root: Path) -> None:
    """Create the directory, readable by its owner only.

    Raises
    ------
    aga.errors.DiskFullError
        There is no space for it.
    aga.errors.InputError
        It can't be created or written.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(root, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "no permission to write", str(root))
    except OSError as error:
        raise disk_error(root, error) from error


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the directory's lock: one process at a time starts or stops its server."""
    descriptor = os.open(root / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise DatabaseUnavailableError(
                        f"another process has been starting or stopping the database in {root} "
                        f"for {_LOCK_TIMEOUT:.0f} s",
                        remedy="try again",
                    ) from error
                time.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def free_port(root: Path, wanted: int | None) -> int:
    """Choose a port: the wanted one, the one used last time if it is free, or any free one.

    Raises
    ------
    aga.errors.InputError
        The wanted port is taken.
    """
    if wanted is not None:
        if not is_free(wanted):
            raise InputError(
                f"port {wanted} on 127.0.0.1 is taken or not allowed",
                remedy="name another port, or none",
                port=wanted,
            )
        return wanted
    with contextlib.suppress(OSError, ValueError):
        last = int((root / "port").read_text(encoding="ascii"))
        if is_free(last):
            return last
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def launch(command: Sequence[str], root: Path) -> subprocess.Popen[bytes]:
    """Start the server in a session of its own, its output appended to ``server.log``."""
    descriptor = os.open(root / "server.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=subprocess.STDOUT,
            cwd=root,  # so that no configuration file of the user's folder is picked up
            start_new_session=True,
        )
    except OSError as error:
        raise disk_error(root, error) from error
    finally:
        os.close(descriptor)


def wait_until_ready(state: State, root: Path, timeout: float) -> bool:
    """Poll until the server answers; False if its process ends before.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        It runs but does not answer in time.
    """
    deadline = time.monotonic() + timeout
    while not state.worker.is_dead():
        if _answers(state.port) and _listens(state):
            return True
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                f"the database server did not answer within {timeout:.0f} s; the end of its "
                f"log:\n{last_lines(root)}",
                remedy=f"see {root / 'server.log'}",
                log=str(root / "server.log"),
            )
        time.sleep(_POLL)
    return False


def terminate(worker: Worker, grace: float) -> None:
    """End a process: SIGTERM, and SIGKILL after ``grace`` seconds; waits until it is gone."""
    if worker.is_dead():
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(worker.pid)
        process.terminate()
        try:
            process.wait(grace)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(grace)


def find_process(*, folders: Sequence[Path] = (), port: int | None = None) -> State | None:
    """Find a running server by its data folder or by its port, without a state file."""
    options = {"--dbpath", "--storage-path"}
    for process in psutil.process_iter(["pid", "cmdline", "create_time"]):
        words: list[str] = process.info["cmdline"] or []
        values = dict(itertools.pairwise(words))
        data = next((values[option] for option in options if option in values), None)
        if data is None or not values.get("--port", "").isdigit():
            continue
        if Path(data) in folders or int(values["--port"]) == port:
            worker = Worker(
                host=socket.gethostname(),
                pid=process.info["pid"],
                started=process.info["create_time"],
            )
            engine = Path(data).name
            return State(worker=worker, port=int(values["--port"]), engine=engine, data=data)
    return None


def is_broken(port: int) -> bool:
    """Tell whether the server answers requests with internal errors: it has to be restarted."""
    options: dict[str, Any] = {"serverSelectionTimeoutMS": 5000, "directConnection": True}
    with MongoClient[dict[str, Any]]("127.0.0.1", port, **options) as client:
        try:
            client.list_database_names()
        except OperationFailure:
            return True
        except PyMongoError:  # slow is not broken
            return False
    return False


def last_lines(root: Path, count: int = 12) -> str:
    """Give the end of the server's log."""
    try:
        text = (root / "server.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-count:]) or "(the log is empty)"


def is_free(port: int) -> bool:
    """Tell whether a server can be started on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def _answers(port: int) -> bool:
    options: dict[str, Any] = {"serverSelectionTimeoutMS": 300, "directConnection": True}
    with MongoClient[dict[str, Any]]("127.0.0.1", port, **options) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


def _listens(state: State) -> bool:
    """Tell whether it is this server that has the port, not one that took it just before."""
    try:
        connections = psutil.Process(state.worker.pid).net_connections(kind="tcp")
    except psutil.AccessDenied:  # some systems ask for more rights: believe the answer
        return True
    except psutil.Error:
        return False
    return any(
        item.status == psutil.CONN_LISTEN and item.laddr.port == state.port for item in connections
    )
