"""The folder of a scan of γ: whose it is, and files that are whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path

from aga.errors import InputError

__all__ = ["claim", "marked", "write_whole"]

SCHEMA = 1

MARK = "scan.json"
"""The file that says which scan a folder holds."""


def claim(folder: Path, digest: str, *, overwrite: bool) -> None:
    """Mark the folder as that of this scan.

    Raises
    ------
    aga.errors.InputError
        It is that of another scan, or holds files that are of none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / MARK
    if mark.exists():
        if marked(folder) == digest:
            return
        if not overwrite:
            raise InputError(
                f"{folder} holds a scan of other frames or settings",
                remedy="name another folder with --output, or replace the scan with --force",
                folder=str(folder),
            )
        for path in [mark, *folder.glob("seed-*")]:
            path.unlink()
    elif any(folder.iterdir()):
        raise InputError(
            f"{folder} is not empty, and holds no scan",
            remedy="name another folder with --output",
            folder=str(folder),
        )
    write_whole(mark, json.dumps({"schema": SCHEMA, "digest": digest}).encode())


def marked(folder: Path) -> str | None:
    """Give the digest of the scan that a folder holds."""
    try:
        return str(json.loads((folder / MARK).read_text("utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_whole(path: Path, content: bytes) -> None:
    """Write beside the file first, so that an interruption leaves no half file."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    draft.write_bytes(content)
    draft.replace(path)
