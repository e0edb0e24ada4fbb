"""What a job's output says of its end, where nobody else remembers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from aga.slurm.states import JobState

__all__ = ["end_in_log", "tail"]

_SIGNS: Sequence[tuple[str, JobState]] = (
    (r"CANCELLED AT .* DUE TO TIME LIMIT", "timeout"),
    (r"CANCELLED AT .* DUE TO PREEMPTION", "preempted"),
    (r"CANCELLED AT .* DUE TO JOB REQUEUE", "preempted"),
    (r"CANCELLED AT .* DUE TO NODE FAIL", "node_fail"),
    (r"CANCELLED AT .* (?:DUE TO SIGNAL|\*\*\*)", "cancelled"),
    (r"oom[-_ ]?kill|out of memory|exceeded (?:job|step) memory limit", "out_of_memory"),
    (r"aga: (?:command )?not found|activate: No such file|No module named aga", "failed"),
)
_BYTES = 64 * 1024


def tail(path: Path, lines: int = 20) -> list[str]:
    """Give the last lines of a file; none where it can't be read."""
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def end_in_log(lines: Sequence[str]) -> tuple[JobState, str] | None:
    """Find the last line that tells how the job ended; the state, and the line."""
    for line in reversed(lines):
        for pattern, state in _SIGNS:
            if re.search(pattern, line, re.IGNORECASE):
                return state, line.strip()
    return None
