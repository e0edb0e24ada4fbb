"""What many workers would ask of the database, from what one job asks of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aga.bench.schedule.cost import Cost
from aga.config.machine import MachineSettings
from aga.tasks.shift import WorkerOptions

__all__ = ["JOB_SECONDS", "limits"]

JOB_SECONDS = 600.0
"""Time of a reference job that the estimate assumes."""

POLL = 5.0
"""Seconds between the looks of a worker that has long been idle."""

IDLE_COMMANDS = 3.0
"""Commands of one such look, counted in the code: ready fireworks, the search, the queue's jobs."""

REPAIR_COMMANDS = 8.0
"""Commands of one repair of a healthy search, counted in the code."""


def limits(cost: Cost, workers: tuple[int, ...] = (1_000, 10_000)) -> list[dict[str, Any]]:
    """Estimate the load of the database for numbers of workers.

    A job costs what was measured, with whatever number of finished jobs ``cost`` belongs to; a
    worker renews its lease four times per lease while it computes; an idle one looks for work.

    Returns
    -------
    list of dict
        For each number ``workers``: ``jobs_per_second``, ``commands_per_second`` (jobs, leases),
        ``idle_commands_per_second`` if all were idle instead, and ``server_cores`` that the
        commands keep busy at the measured cost (None where it was not measured).
    """
    lease = float(MachineSettings.model_fields["lease"].default)
    repairs = 1.0 / WorkerOptions(launch_dir=Path()).recover_every
    estimates = []
    for number in workers:
        jobs = number / JOB_SECONDS
        commands = jobs * cost.operations + number * 4 / lease
        idle = number * (IDLE_COMMANDS / POLL + REPAIR_COMMANDS * repairs)
        per_command = None if cost.server_ms is None else cost.server_ms / 1000 / cost.operations
        estimates.append(
            {
                "workers": number,
                "job_seconds": JOB_SECONDS,
                "jobs_per_second": jobs,
                "commands_per_second": commands,
                "idle_commands_per_second": idle,
                "server_cores": None if per_command is None else commands * per_command,
            }
        )
    return estimates
