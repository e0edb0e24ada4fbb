"""What the machine itself has: Python, cores and threads, GPU, disks."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil

import aga
from aga.errors import SiteError
from aga.potential.device.choice import choose_device
from aga.store.server import default_directory
from aga.store.state import MIN_FREE
from aga.tasks.doctor.finding import Context, Finding, State, missing
from aga.tasks.doctor.slurm import has_slurm

__all__ = ["disks", "gpu", "python"]

LOW = 5 * 1024**3
"""Bytes of free disk below which a search may fill it overnight."""

FEW_FILES = 10_000
"""Files that may still be made, below which run directories may use them up."""

SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "panfs", "orangefs", "afs", "cifs", "wekafs")
"""Beginnings of the names of file systems that all nodes of a cluster see."""


def python(context: Context) -> list[Finding]:
    """Tell which Python and aga, and whether workers and threads fit on the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS")
    machine = context.machine
    wanted = machine.workers * max(machine.threads, machine.relax_ranks, machine.training_ranks)
    facts = {"python": platform.python_version(), "aga": aga.__version__, "cores": cores}
    facts |= {"OMP_NUM_THREADS": threads, "workers": machine.workers, "wanted_cores": wanted}
    told = f"Python {facts['python']}, aga {aga.__version__}, {cores} cores"
    found = [Finding(name="python", state="ok", message=told, facts=facts)]
    if threads != "1":
        found.append(
            Finding(
                name="threads",
                state="warn",
                message=f"OMP_NUM_THREADS is {threads or 'not set'}: programs started by hand "
                "take every core, and side by side they crawl",
                remedy="export OMP_NUM_THREADS=1 (`aga run` and our queue adapters set it)",
                facts={"OMP_NUM_THREADS": threads},
            )
        )
    if cores is not None and wanted > cores and context.settings is not None:
        found.append(
            Finding(
                name="cores",
                state="warn",
                message=f"{machine.workers} workers may use {wanted} cores, and there are {cores}",
                remedy="lower machine.workers, machine.threads, or the ranks",
                facts={"wanted": wanted, "cores": cores},
            )
        )
    return found


def gpu(context: Context) -> list[Finding]:
    """Look for a GPU that PyTorch can use."""
    wanted = context.machine.device
    try:
        choose_device("cuda")
    except SiteError as error:
        if wanted == "cuda":
            return [missing("gpu", error, needed=True)]
        told = "PyTorch sees no GPU: committees are computed on the processor"
        return [Finding(name="gpu", state="absent", message=told)]
    names = _gpu_names()
    told = ", ".join(names) or "a GPU that PyTorch can use"
    unused = "" if wanted != "cpu" else "; machine.device is cpu, so it stands idle"
    return [Finding(name="gpu", state="ok", message=told + unused, facts={"names": names})]


def _gpu_names() -> list[str]:
    """Ask the driver what the GPUs are called; nothing where it does not tell."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    words = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.stdout.splitlines() if line.strip()]


def disks(context: Context) -> list[Finding]:
    """Look for space for run directories, database and temporary files, where nodes see them."""
    places = {
        "run directories": context.machine.run_dir.expanduser().absolute(),
        "database": default_directory().expanduser().absolute(),
        "temporary files": Path(tempfile.gettempdir()),
    }
    shared = has_slurm()
    return [
        _disk(name, path, apart=shared and name == "run directories")
        for name, path in places.items()
    ]


def _disk(name: str, path: Path, *, apart: bool) -> Finding:
    """Look at the disk of one folder; ``apart``: other machines have to see it too."""
    exists = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(exists).free
    counts = os.statvfs(exists)
    files = counts.f_favail if counts.f_files else None
    kind = _filesystem(exists)
    facts = {"path": str(path), "free": free, "free_files": files, "filesystem": kind}
    told = f"{path}: {free / 1024**3:.1f} GiB free on {kind or 'an unknown file system'}"
    if files is not None:
        told += f", {files:,} more files"
    state, remedy = _judge(free, files)
    if state == "ok" and not os.access(exists, os.W_OK):
        state, remedy = "fail", f"make {exists} writable, or name another folder"
        told += "; it can't be written"
    if state == "ok" and apart and not (kind or "").lower().startswith(SHARED):
        state = "warn"
        told += "; other nodes may not see it"
        remedy = "let machine.run_dir name a folder on a file system that all nodes share"
    return Finding(name=f"disk: {name}", state=state, message=told, remedy=remedy, facts=facts)


def _judge(free: int, files: int | None) -> tuple[State, str | None]:
    """Say whether so many bytes and files suffice."""
    if free < MIN_FREE or files == 0:
        return "fail", "free some space, or name a folder on another disk; nothing stored is lost"
    if free < LOW or (files is not None and files < FEW_FILES):
        return "warn", "free some space before a long search: it stops when the disk is full"
    return "ok", None


def _filesystem(path: Path) -> str | None:
    """Give the type of the file system that holds a folder."""
    real = path.resolve()
    mounts = [
        (part.mountpoint, part.fstype)
        for part in psutil.disk_partitions(all=True)
        if real.is_relative_to(part.mountpoint)
    ]
    return max(mounts, key=lambda one: len(one[0]))[1] if mounts else None
