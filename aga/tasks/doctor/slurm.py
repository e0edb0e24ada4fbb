"""SLURM: whether it answers, its partitions, and those that the queue adapters name."""

from __future__ import annotations

from collections.abc import Sequence

from aga.errors import AgaError
from aga.slurm.command import is_installed, run
from aga.slurm.partitions import Partition, list_partitions
from aga.tasks.adapter import load_kind
from aga.tasks.doctor.finding import Context, Finding

__all__ = ["adapters", "has_slurm", "slurm"]

LIMIT = 15.0
KINDS = ("ga", "oracle", "train")
"""Kinds of jobs that `aga submit` knows."""


def has_slurm() -> bool:
    """Tell whether jobs may run on other machines than this one: a controller answers."""
    if not is_installed():
        return False
    try:
        return bool(list_partitions())
    except AgaError:
        return False


def slurm(context: Context) -> list[Finding]:
    """Ask the controller which partitions have nodes."""
    del context
    if not is_installed():
        told = "there are no SLURM commands on this machine: searches run here, by `aga run`"
        return [Finding(name="slurm", state="absent", message=told)]
    try:
        answer = run("sinfo", "-h", "-o", "%R|%D|%T", timeout=LIMIT)
    except AgaError as error:
        first = error.message.splitlines()[0]
        return [Finding(name="slurm", state="warn", message=first, remedy=error.remedy)]
    nodes = count_nodes(answer.output.splitlines())
    if not nodes:
        told = answer.error or "the controller answers, and has no partition"
        remedy = "ask who runs the cluster; `sinfo` shows the partitions you may use"
        return [Finding(name="slurm", state="warn", message=told, remedy=remedy)]
    parts = [f"{name} {up} of {up + down} nodes up" for name, (up, down) in nodes.items()]
    dead = [name for name, (up, _) in nodes.items() if not up]
    return [
        Finding(
            name="slurm",
            state="warn" if dead else "ok",
            message="; ".join(parts),
            remedy=f"jobs in {', '.join(dead)} wait for ever: `sinfo -R` tells why"
            if dead
            else None,
            facts={"partitions": {n: {"up": up, "down": down} for n, (up, down) in nodes.items()}},
        )
    ]


def count_nodes(lines: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Read ``partition|nodes|state`` lines: nodes up and down of each partition."""
    found: dict[str, tuple[int, int]] = {}
    for line in lines:
        name, _, rest = line.strip().partition("|")
        number, _, state = rest.partition("|")
        if not number.isdigit():
            continue
        word = state.lower()
        # A star marks nodes that do not answer; drained ones take no jobs.
        bad = "*" in word or word.startswith(("down", "drain", "fail", "unk", "power_down"))
        up, down = found.get(name, (0, 0))
        found[name] = (up, down + int(number)) if bad else (up + int(number), down)
    return found


def adapters(context: Context) -> list[Finding]:
    """Tell whether the queue adapters name partitions that there are."""
    folder = context.machine.queue_dir.expanduser()
    if not is_installed():
        return []
    if not folder.is_dir():
        told = f"there is no folder of queue adapters {folder}"
        remedy = f"`aga submit --init --files {folder}` writes them, to be edited"
        return [Finding(name="queue adapters", state="absent", message=told, remedy=remedy)]
    try:
        partitions = list_partitions()
    except AgaError:  # told already
        return []
    return [_adapter(context, kind, partitions) for kind in KINDS]


def _adapter(context: Context, kind: str, partitions: dict[str, Partition]) -> Finding:
    name, folder = f"queue adapter {kind}", context.machine.queue_dir.expanduser()
    try:
        job = load_kind(folder, kind)
    except AgaError as error:
        return Finding(name=name, state="warn", message=error.message, remedy=error.remedy)
    queue = job.content.get("queue")
    facts = {"file": str(job.file), "partition": queue}
    if queue is None or queue in partitions:
        told = f"{job.file}: partition {partitions[queue] if queue else 'of the site (none named)'}"
        return Finding(name=name, state="ok", message=told, facts=facts)
    known = ", ".join(str(one) for one in partitions.values()) or "none"
    return Finding(
        name=name,
        state="warn",
        message=f"{job.file}: there is no partition {queue!r}",
        remedy=f"set `queue` in {job.file} to one of: {known}",
        facts=facts,
    )
