"""What is looked at before jobs are submitted: what can't run is refused, the rest is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aga.config import Settings
from aga.errors import InputError
from aga.slurm.partitions import Partition
from aga.slurm.times import write_limit
from aga.tasks.adapter import JobKind
from aga.tasks.stopping import EARLY

__all__ = ["check_kind", "idle", "too_short"]

START = 60.0
"""Seconds that a worker may take to start on a slow file system."""


def check_kind(kind: JobKind, partitions: Mapping[str, Partition]) -> list[str]:
    """Compare an adapter with the partitions; give what the user should know.

    Raises
    ------
    aga.errors.InputError
        A partition doesn't exist or is too short for the walltime; the walltime is too short
        for the signal.
    """
    if kind.walltime < kind.warning + EARLY + START:
        raise InputError(
            f"{kind.file}: SLURM would send its signal {kind.warning:g} s before the end of a "
            f"walltime of {write_limit(kind.walltime)}, when the worker may not be there yet",
            remedy="raise `walltime`, or lower the number in `signal`",
        )
    known = ", ".join(str(item) for item in partitions.values())
    notes = []
    for name in filter(None, (kind.partition or "").split(",")):
        found = partitions.get(name)
        if found is None:
            raise InputError(
                f"{kind.file}: there is no partition {name}",
                remedy=f"set `queue` to one of {known}",
                partitions=sorted(partitions),
            )
        if found.limit is not None and kind.walltime > found.limit:
            raise InputError(
                f"{kind.file}: a walltime of {kind.walltime_text} is more than partition {name} "
                f"gives, {write_limit(found.limit)}",
                remedy=f"lower `walltime`, or set `queue` to another of {known}",
            )
        if not found.up:
            notes.append(f"partition {name} is down: the jobs wait until it is up again")
    return notes


def idle(settings: Settings, counts: Mapping[str, int]) -> list[str]:
    """Tell where more jobs are asked for than can work at a time."""
    search, members = settings.search, settings.potential.members
    ga, train = counts.get("ga", 0), counts.get("train", 0)
    notes = []
    if ga > search.islands:
        islands = f"search.islands is {search.islands}"
        notes.append(f"{ga} jobs for ga, but {islands}: {ga - search.islands} would be idle")
    if train > members:
        networks = f"potential.members is {members}"
        notes.append(f"{train} jobs for train, but {networks}: {train - members} would be idle")
    if search.schedule == "sequential" and sum(1 for n in counts.values() if n) > 1:
        notes.append(
            "search.schedule is sequential: one kind of job works at a time, the others wait "
            "for it and end after --max-idle seconds without work"
        )
    return notes


def too_short(settings: Settings, kinds: Sequence[JobKind]) -> list[str]:
    """Tell where a reference job may take longer than the jobs it runs in."""
    timeout = settings.oracle.timeout
    return [
        f"a reference job may take {write_limit(timeout)} (oracle.timeout), but {kind.file} asks "
        f"for {kind.walltime_text}: one that takes longer can't be finished"
        for kind in kinds
        if kind.name == "oracle" and kind.walltime < timeout
    ]
