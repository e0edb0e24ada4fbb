"""Files that are written as a whole or not at all, and only where nothing is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from aga.errors import InputError

__all__ = ["check_new", "write_whole"]


def check_new(path: Path, *, overwrite: bool, endings: Sequence[str] = ()) -> None:
    """Refuse a file that exists, or whose ending names no format.

    Raises
    ------
    aga.errors.InputError
        It exists and may not be replaced, or has another ending.
    """
    if endings and path.suffix.lower() not in endings:
        raise InputError(
            f"{path}: the ending names no format", remedy=f"one of {', '.join(endings)}"
        )
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} exists already",
            remedy="name another file, or replace it with --force",
            file=str(path),
        )


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Write beside the file first, so that a full disk leaves no half file."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".aga-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
