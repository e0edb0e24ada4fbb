"""What the commands print: documents for programs, errors and tables for people."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["SCHEMA", "console", "keep_traceback", "plain", "print_document", "say", "show_error"]

SCHEMA = 1
"""Version of the documents that `--json` prints."""


def console(*, stderr: bool = False) -> Console:
    """Give a rich console; plain and not wrapped where the output is not a terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else 200
    return Console(file=stream, width=width, highlight=False, soft_wrap=False)


def say(text: str = "") -> None:
    """Print one line for people."""
    sys.stdout.write(text + "\n")


def print_document(document: Mapping[str, Any]) -> None:
    """Print one JSON document with its schema version; NaN and infinities as null."""
    text = json.dumps(
        {"schema": SCHEMA, **plain(document)}, ensure_ascii=False, allow_nan=False, indent=1
    )
    sys.stdout.write(text + "\n")


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Give JSON values: times as ISO text, NaN and infinities as None, other objects as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def show_error(message: str, remedy: str | None) -> None:
    """Print an error to stderr: what is wrong and where, then what to do."""
    if not sys.stderr.isatty():
        sys.stderr.write(f"error: {message}\n")
        if remedy:
            sys.stderr.write(f"what to do: {remedy}\n")
        return
    from rich.text import Text

    screen = console(stderr=True)
    screen.print(Text("error: ", style="bold red") + Text(message))
    if remedy:
        screen.print(Text("what to do: ", style="bold cyan") + Text(remedy))


def keep_traceback(error: BaseException) -> str | None:
    """Write the traceback to a file of its own; None where even that fails."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="aga-error-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(f"command: {' '.join(sys.argv)}\n\n{text}")
    except OSError:
        sys.stderr.write(text)
        return None
    return str(Path(name))
