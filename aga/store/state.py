"""What is written about the embedded server: its process, its port, its program."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from aga.errors import AgaError, DiskFullError, InputError
from aga.store.documents import Worker

__all__ = [
    "MIN_FREE",
    "State",
    "disk_error",
    "forget",
    "read_state",
    "remember_port",
    "write_state",
]


MIN_FREE = 128 * 1024 * 1024
"""Bytes of free disk below which the disk counts as full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the state file says of a server: process, port, program and data folder."""

    worker: Worker
    port: int
    engine: str
    data: str

    @property
    def uri(self) -> str:
        """Address of the database ``aga``."""
        return f"mongodb://127.0.0.1:{self.port}/aga"

    def is_alive(self) -> bool:
        """Tell whether this very process still runs on this machine.

        The start time and the data folder on its command line tell it from a process that
        got the number of a dead server.
        """
        if not self.worker.is_local() or self.worker.is_dead():
            return False
        try:
            return self.data in psutil.Process(self.worker.pid).cmdline()
        except psutil.Error:
            return False

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            **self.worker.to_dict(),
            "port": self.port,
            "engine": self.engine,
            "data": self.data,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            worker=Worker.from_dict(data),
            port=int(data["port"]),
            engine=str(data["engine"]),
            data=str(data["data"]),
        )


def read_state(root: Path) -> State | None:
    """Read the state file; None where there is none or it makes no sense."""
    try:
        return State.from_dict(json.loads((root / "server.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_state(root: Path, state: State) -> None:
    """Write the state file, whole or not at all, readable by the owner only.

    Raises
    ------
    aga.errors.DiskFullError
        There is no space for it.
    """
    try:
        _write(root / "server.json", json.dumps(state.to_dict(), indent=1) + "\n")
    except OSError as error:
        raise disk_error(root, error) from error


def remember_port(root: Path, port: int) -> None:
    """Note the port for the next start, so that addresses written elsewhere stay right."""
    try:
        _write(root / "port", f"{port}\n")
    except OSError as error:
        raise disk_error(root, error) from error


def forget(root: Path) -> None:
    """Remove the state file; the port stays remembered."""
    (root / "server.json").unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def disk_error(root: Path, error: OSError) -> AgaError:
    """Give the error that says what to do about a folder that can't be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"{root}: {error.strerror}",
            remedy="free some space, or set AGA_DB_DIR to a folder on another disk",
        )
    return InputError(
        f"{root}: {error.strerror}", remedy="set AGA_DB_DIR to a folder you can write"
    )
