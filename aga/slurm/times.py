"""Times and time limits as SLURM writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from aga.errors import InputError

__all__ = ["read_limit", "read_time", "write_limit"]

_NEVER = {"", "n/a", "none", "unknown", "(null)", "invalid"}
_UNLIMITED = {"infinite", "unlimited", "not_set", "partition_limit", *_NEVER}
_LIMIT = re.compile(r"(?:(?P<days>\d+)-)?(?P<rest>\d+(?::\d+){0,2})")


def read_time(text: str) -> datetime | None:
    """Give a time in UTC, None where there is none.

    Parameters
    ----------
    text
        Seconds since the epoch, as :func:`aga.slurm.command.run` asks for; SLURM's own
        ``2026-01-31T12:00:00`` in the local time zone is read too.
    """
    word = text.strip()
    if word.lower() in _NEVER:
        return None
    try:
        if word.isdigit():
            return datetime.fromtimestamp(int(word), UTC) if int(word) else None
        return datetime.fromisoformat(word).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_limit(text: str) -> float | None:
    """Give a time limit in seconds, None for no limit.

    Parameters
    ----------
    text
        ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``,
        ``days-hours:minutes`` or ``days-hours:minutes:seconds``; ``infinite`` and the like.

    Raises
    ------
    aga.errors.InputError
        It is none of these.
    """
    word = text.strip().lower()
    if word in _UNLIMITED:
        return None
    found = _LIMIT.fullmatch(word)
    if found is None:
        raise InputError(
            f"{text!r} is no time limit", remedy="write hours:minutes:seconds, such as 24:00:00"
        )
    parts = [int(part) for part in found["rest"].split(":")]
    if found["days"] is not None:
        hours, minutes, seconds = (*parts, 0, 0, 0)[:3]
        return 86400.0 * int(found["days"]) + 3600.0 * hours + 60.0 * minutes + seconds
    if len(parts) == 1:
        return 60.0 * parts[0]
    if len(parts) == 2:
        return 60.0 * parts[0] + parts[1]
    return 3600.0 * parts[0] + 60.0 * parts[1] + parts[2]


def write_limit(seconds: float) -> str:
    """Write a time limit as hours:minutes:seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
