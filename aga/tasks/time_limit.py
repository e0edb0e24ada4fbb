"""How long a worker may work: the walltime of its job, and what still fits into it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aga.slurm.details import JobDetails
from aga.slurm.environment import JobEnvironment
from aga.store.documents import CATEGORIES
from aga.store.repository import Repository

__all__ = ["CUSHION", "KINDS_OF_STEPS", "Durations", "TimeLimit"]

CUSHION = 15.0
"""Seconds before the end at which a step in hand is given back: its programs have to end too."""

KINDS_OF_STEPS = tuple(sorted(set(CATEGORIES.values())))
"""Categories of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimit:
    """The end of a worker's time.

    ``ends`` in seconds since the epoch, infinite where there is no end; within ``margin``
    seconds of it no step is begun.
    """

    ends: float = math.inf
    margin: float = 0.0

    @classmethod
    def find(
        cls,
        walltime: float | None,
        margin: float,
        job: JobEnvironment | None,
        details: JobDetails | None,
    ) -> TimeLimit:
        """Take what was asked for, else what the job or the queue says."""
        if walltime is not None:
            return cls(ends=time.time() + walltime, margin=margin)
        known = (job.ends if job else None) or (details.ends if details else None)
        return cls(ends=math.inf if known is None else known.timestamp(), margin=margin)

    @property
    def last_moment(self) -> float:
        """Time (s since the epoch) at which a step in hand is given back."""
        return self.ends - min(CUSHION, self.margin)

    @property
    def moment(self) -> datetime | None:
        """The end as a time with zone; None where there is none."""
        return None if math.isinf(self.ends) else datetime.fromtimestamp(self.ends, UTC)

    def remaining(self) -> float:
        """Seconds until a step in hand is given back."""
        return self.last_moment - time.time()

    def is_near(self) -> bool:
        """Tell whether no further step is to be begun."""
        return time.time() >= self.ends - self.margin


@dataclass(slots=True, kw_only=True)
class Durations:
    """How long the steps of a search took lately, asked for once a minute at most."""

    repository: Repository
    search_id: str | None
    every: float = 60.0
    longest: dict[str, float | None] = field(default_factory=dict)
    asked_at: float = -math.inf

    def fitting(self, categories: Sequence[str], remaining: float) -> list[str]:
        """Give those categories whose longest recent step fits into the time left."""
        if self.search_id is None or math.isinf(remaining):
            return list(categories)
        if time.monotonic() - self.asked_at > self.every:
            self.asked_at = time.monotonic()
            ask = self.repository.longest_step
            self.longest = {name: ask(self.search_id, name) for name in categories}
        return [name for name in categories if (self.longest.get(name) or 0.0) < remaining]
