"""The partitions of the cluster: `sinfo`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aga.slurm.command import run
from aga.slurm.times import read_limit, write_limit

__all__ = ["Partition", "list_partitions", "parse_partitions"]

_FORMAT = "%R|%a|%l|%P"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition; ``limit`` is the longest walltime in seconds, None for any."""

    name: str
    up: bool
    default: bool
    limit: float | None

    def __str__(self) -> str:
        """Give name and limit for a message."""
        longest = "" if self.limit is None else f" (at most {write_limit(self.limit)})"
        return f"{self.name}{longest}{'' if self.up else ' (down)'}"


def list_partitions() -> dict[str, Partition]:
    """Ask for the partitions, by name.

    Raises
    ------
    aga.errors.UnavailableError, aga.errors.MissingExecutableError
        As :func:`aga.slurm.command.run`.
    """
    answer = run("sinfo", "-h", "-o", _FORMAT)
    return {item.name: item for item in parse_partitions(answer.output.splitlines())}


def parse_partitions(lines: Iterable[str]) -> list[Partition]:
    """Read the lines that `sinfo` prints in our format, a partition may have several."""
    found: dict[str, Partition] = {}
    for line in lines:
        parts = line.strip().split("|")
        if len(parts) == 4:
            name, available, limit, marked = parts
            found[name] = Partition(
                name=name,
                up=available == "up",
                default=marked.endswith("*"),
                limit=read_limit(limit),
            )
    return list(found.values())
