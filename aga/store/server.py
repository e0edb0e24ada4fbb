"""Start, stop and ask after the embedded database server.

The server is a process of its own: MongoDB's ``mongod`` if it is on the PATH, otherwise
``secantusd-py`` of the package SecantusDB, which is never imported. Either listens on
127.0.0.1 only and knows no users: everybody who can log in to the machine can reach it.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from aga.errors import (
    DatabaseUnavailableError,
    DiskFullError,
    InputError,
    MissingExecutableError,
)
from aga.store.documents import Worker
from aga.store.process import (
    find_process,
    free_port,
    is_broken,
    is_free,
    last_lines,
    launch,
    locked,
    prepare,
    terminate,
    wait_until_ready,
)
from aga.store.state import MIN_FREE, State, forget, read_state, remember_port, write_state

__all__ = ["Engine", "ServerStatus", "default_directory", "find_engine", "start", "status", "stop"]

READY_TIMEOUT = 60.0
STOP_GRACE = 20.0
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStatus:
    """The embedded server of one directory.

    ``uri`` and ``pid`` are None while it does not run; ``engine`` is ``mongod``,
    ``secantusdb``, or None where no server was ever started.
    """

    running: bool
    uri: str | None
    pid: int | None
    directory: Path
    engine: str | None
    log: Path

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "running": self.running,
            "uri": self.uri,
            "pid": self.pid,
            "directory": str(self.directory),
            "engine": self.engine,
            "log": str(self.log),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A database server program: its name, which is also the name of its data folder."""

    name: str
    program: Path

    def command(self, data: Path, port: int) -> list[str]:
        """Give the command line of a durable server on the loopback interface."""
        if self.name == "mongod":
            return [
                *(str(self.program), "--bind_ip", "127.0.0.1", "--port", str(port)),
                *("--dbpath", str(data), "--wiredTigerCacheSizeGB", "0.5"),
            ]
        # Without --sync-on-commit it loses acknowledged writes when it is killed.
        return [
            *(str(self.program), "--host", "127.0.0.1", "--port", str(port)),
            *("--storage-path", str(data), "--standalone", "--sync-on-commit"),
        ]


def default_directory() -> Path:
    """Give ``$AGA_DB_DIR``, or ``aga/db`` in the user's data folder."""
    named = os.environ.get("AGA_DB_DIR")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_DATA_HOME")
    root = Path(base) if base else Path.home() / ".local" / "share"
    return root / "aga" / "db"


def find_engine(directory: Path | None = None) -> Engine:
    """Find the server program; a directory that holds data keeps the engine that wrote it.

    Raises
    ------
    aga.errors.MissingExecutableError
        Neither program is installed, or not the one that wrote the data.
    """
    programs = {"mongod": _which("mongod"), "secantusdb": _which("secantusd-py")}
    root = directory or default_directory()
    wrote = [name for name in programs if (root / name).is_dir() and any((root / name).iterdir())]
    for name in wrote or list(programs):
        program = programs[name]
        if program is not None:
            return Engine(name=name, program=program)
    missing = " and ".join(wrote) or "mongod or secantusd-py"
    raise MissingExecutableError(
        f"no database server is installed: {missing} is neither beside {sys.executable} "
        "nor on the PATH",
        remedy="`pip install 'aga[embedded]'` brings a small one; or install MongoDB",
        executable=missing,
    )


def status(directory: Path | None = None) -> ServerStatus:
    """Tell whether the embedded server runs, without waiting for it."""
    root = (directory or default_directory()).expanduser().absolute()
    state = read_state(root)
    return _status(root, state if state is not None and state.is_alive() else None)


def start(directory: Path | None = None, port: int | None = None) -> ServerStatus:
    """Start the embedded server; one that runs already is left alone, unless it is broken.

    The server outlives this process. Processes that start it at the same time wait for each
    other and get the same server. The port is remembered: the next start uses it again.

    Parameters
    ----------
    directory
        Folder of the data, the log and the state file; see :func:`default_directory`.
    port
        Port on 127.0.0.1; a free one where None.

    Raises
    ------
    aga.errors.DatabaseUnavailableError
        The server did not come up, with the last lines of its log; or the directory is in use
        on another machine.
    aga.errors.DiskFullError
        There is no space for the data.
    aga.errors.InputError
        The server runs already on another port than the one asked for, or the port is taken.
    aga.errors.MissingExecutableError
        No server program is installed.
    """
    root = (directory or default_directory()).expanduser().absolute()
    prepare(root)
    with locked(root):
        state = _running(root)
        if state is not None and is_broken(state.port):
            terminate(state.worker, STOP_GRACE)
            state = None
        if state is None:
            state = _start(root, port)
        elif port not in (None, state.port):
            raise InputError(
                f"the embedded server in {root} runs already on port {state.port}",
                remedy="`aga db stop` first, or leave the port away",
            )
        return _status(root, state)


def stop(directory: Path | None = None) -> bool:
    """Stop the embedded server: SIGTERM, and SIGKILL if it is still there after 20 s.

    Returns
    -------
    bool
        False if it did not run.
    """
    root = (directory or default_directory()).expanduser().absolute()
    if not root.is_dir():
        return False
    with locked(root):
        state = _running(root)
        if state is not None:
            terminate(state.worker, STOP_GRACE)
        forget(root)
        return state is not None


def _running(root: Path) -> State | None:
    """Give the live server of a directory; adopts one whose starter died too early."""
    state = read_state(root)
    if state is not None and not state.worker.is_local():
        raise DatabaseUnavailableError(
            f"the database in {root} was started on {state.worker.host} and listens only there",
            remedy=f"stop it there with `aga db stop`; if that machine is gone for good, delete "
            f"{root / 'server.json'}; or set AGA_DB_DIR to another folder",
            host=state.worker.host,
        )
    if state is not None and state.is_alive():
        return state
    found = find_process(folders=(root / "mongod", root / "secantusdb"))
    if found is None:
        return None
    write_state(root, found)
    return found if wait_until_ready(found, root, READY_TIMEOUT) else None


def _start(root: Path, port: int | None) -> State:
    _check_space(root)
    engine = find_engine(root)
    data = root / engine.name
    data.mkdir(mode=0o700, exist_ok=True)
    for _ in range(_TRIES):
        chosen = free_port(root, port)
        state = _launch(root, engine, data, chosen)
        if state is not None:
            remember_port(root, chosen)
            return state
        if is_free(chosen):  # otherwise somebody took the port just before: try another
            break
    lines = last_lines(root)
    if "No space left" in lines:
        raise DiskFullError(f"the database server can't write to {root}:\n{lines}")
    raise DatabaseUnavailableError(
        f"the database server {engine.program} did not come up; the end of its log:\n{lines}",
        remedy=f"see {root / 'server.log'}",
        log=str(root / "server.log"),
    )


def _launch(root: Path, engine: Engine, data: Path, port: int) -> State | None:
    """Start the server and wait until it answers; None if it ends before."""
    process = launch(engine.command(data, port), root)
    started = psutil.Process(process.pid).create_time()
    worker = Worker(host=socket.gethostname(), pid=process.pid, started=started)
    state = State(worker=worker, port=port, engine=engine.name, data=str(data))
    ready = False
    try:
        write_state(root, state)
        ready = wait_until_ready(state, root, READY_TIMEOUT)
    finally:
        if not ready:
            terminate(worker, STOP_GRACE)
            process.poll()
            forget(root)
    return state if ready else None


def _check_space(root: Path) -> None:
    free = shutil.disk_usage(root).free
    if free < MIN_FREE:
        raise DiskFullError(
            f"{root} has {free // 1024**2} MiB of free disk; the database needs at least "
            f"{MIN_FREE // 1024**2} MiB",
            remedy="free some space, or set AGA_DB_DIR to a folder on another disk",
            free=free,
        )


def _status(root: Path, state: State | None) -> ServerStatus:
    engines = [name for name in ("mongod", "secantusdb") if (root / name).is_dir()]
    return ServerStatus(
        running=state is not None,
        uri=None if state is None else state.uri,
        pid=None if state is None else state.worker.pid,
        directory=root,
        engine=state.engine if state is not None else (engines[0] if engines else None),
        log=root / "server.log",
    )


def _which(program: str) -> Path | None:
    beside = Path(sys.executable).parent / program
    if program != "mongod" and os.access(beside, os.X_OK):
        return beside
    found = shutil.which(program)
    return Path(found) if found else None
