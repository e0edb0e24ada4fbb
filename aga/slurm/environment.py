"""What a process in a job knows of it by itself, without asking the queue."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from aga.slurm.times import read_time

__all__ = ["JobEnvironment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEnvironment:
    """The job of this process.

    ``restarts`` counts how often it was requeued; ``ends`` is the end of its walltime where
    SLURM tells it (from 23.02 on); ``folder`` the one it was submitted from.
    """

    id: str
    name: str
    partition: str | None
    cores: int | None
    restarts: int
    ends: datetime | None
    folder: Path

    @classmethod
    def current(cls, environment: Mapping[str, str] | None = None) -> Self | None:
        """Read the environment variables; None outside a job."""
        given = os.environ if environment is None else environment
        number = given.get("SLURM_JOB_ID")
        if not number:
            return None
        cores = given.get("SLURM_CPUS_ON_NODE", "")
        return cls(
            id=number,
            name=given.get("SLURM_JOB_NAME", "?"),
            partition=given.get("SLURM_JOB_PARTITION"),
            cores=int(cores) if cores.isdigit() else None,
            restarts=int(given.get("SLURM_RESTART_COUNT") or 0),
            ends=read_time(given.get("SLURM_JOB_END_TIME", "")),
            folder=Path(given.get("SLURM_SUBMIT_DIR", ".")).absolute(),
        )
