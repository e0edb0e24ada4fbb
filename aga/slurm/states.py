"""States of a job, told in a few words that stand in our documents and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

__all__ = ["ENDED", "STATES", "JobState", "normalise"]

JobState = Literal[
    "pending",
    "running",
    "completed",
    "failed",
    "timeout",
    "cancelled",
    "node_fail",
    "preempted",
    "out_of_memory",
    "unknown",
]
"""``unknown``: it ended and nobody can say how."""

STATES: Final[tuple[JobState, ...]] = get_args(JobState)

ENDED: Final[frozenset[JobState]] = frozenset(STATES) - {"pending", "running"}
"""States in which no process of the job is left."""

_WORDS: Final[Mapping[str, JobState]] = {
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "CONFIGURING", "RESIZING", "SIGNALING", "STAGE_OUT"), "running"
    ),
    **dict.fromkeys(("SUSPENDED", "STOPPED"), "running"),
    **dict.fromkeys(
        ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
        "pending",
    ),
    "COMPLETED": "completed",
    "FAILED": "failed",
    "TIMEOUT": "timeout",
    "DEADLINE": "timeout",
    "CANCELLED": "cancelled",
    "REVOKED": "cancelled",
    "NODE_FAIL": "node_fail",
    "BOOT_FAIL": "node_fail",
    "PREEMPTED": "preempted",
    "OUT_OF_MEMORY": "out_of_memory",
}


def normalise(word: str) -> JobState:
    """Give our word for a state of SLURM, such as ``CANCELLED by 1000`` or ``NODE_FAIL+``.

    What a later SLURM may call a state that is not known here counts as ``unknown``.
    """
    first = word.split(maxsplit=1)[0].rstrip("+") if word.split() else ""
    return _WORDS.get(first.upper(), "unknown")
