"""The reference methods: their programs, versions and pseudopotentials."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from aga.config import Settings
from aga.config.machine import MachineSettings
from aga.config.schema import OracleSettings
from aga.errors import Problem
from aga.oracle.executables import EXECUTABLES, split_command
from aga.oracle.registry import check_oracle, engine_names, resolve_engine
from aga.parallel.process import ended_in_time, start
from aga.tasks.doctor.finding import Context, Finding

__all__ = ["engines"]

LIMIT = 15.0

VERSIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "espresso": ((), r"PWSCF\s+v\.?\s*(\S+)"),
    "gpaw": (("-c", "import gpaw; print('gpaw', gpaw.__version__)"), r"gpaw (\S+)"),
    "abinit": (("--version",), r"^\s*(\d+\.\S+)"),
    "cp2k": (("--version",), r"CP2K version (\S+)"),
    "lammps": (("-h",), r"Simulator - ([^\n]+)"),
}
"""Arguments with which a program tells its version, and where it stands in the output."""


def engines(context: Context) -> list[Finding]:
    """Look for the reference method of the search; without a search, for all."""
    if context.settings is not None:
        return [_needed(context.settings, context.machine)]
    return [_any(name, context.machine) for name in engine_names() if name in EXECUTABLES]


def _needed(settings: Settings, machine: MachineSettings) -> Finding:
    composition = settings.search.atom_counts()
    name = resolve_engine(settings.oracle.engine, composition)
    elements = ", ".join(sorted(composition))
    problems = check_oracle(settings.oracle, machine, composition)
    if problems:
        return _problem(name, problems, needed=True)
    return Finding(
        name=name,
        state="ok",
        message=f"{_title(name, machine)}, and all it needs for {elements}",
        facts=_facts(name, machine) | {"elements": sorted(composition)},
    )


def _any(name: str, machine: MachineSettings) -> Finding:
    problems = check_oracle(OracleSettings(engine=name), machine, {})
    # What only settings can tell is not asked of a machine.
    lacking = [p for p in problems if p.key.startswith("machine.")]
    if lacking:
        return _problem(name, lacking, needed=False)
    return Finding(
        name=name, state="ok", message=_title(name, machine), facts=_facts(name, machine)
    )


def _problem(name: str, problems: list[Problem], *, needed: bool) -> Finding:
    return Finding(
        name=name,
        state="fail" if needed else "absent",
        message="; ".join(f"{p.key}: {p.message}" if p.key else p.message for p in problems),
        remedy=next((p.hint for p in problems if p.hint), None),
        facts={"problems": [{"key": p.key, "message": p.message} for p in problems]},
    )


def _facts(name: str, machine: MachineSettings) -> dict[str, str | None]:
    if name not in EXECUTABLES:
        return {"command": None}
    return {"command": str(getattr(machine, EXECUTABLES[name].setting))}


def _title(name: str, machine: MachineSettings) -> str:
    """Say what an engine is called, with the version of its program where that is cheap."""
    if name not in EXECUTABLES:
        return f"{name} is computed in the worker itself"
    entry = EXECUTABLES[name]
    command = str(getattr(machine, entry.setting))
    told = version(name, command)
    return f"{entry.title}{f' {told}' if told else ''}: {command}"


def version(name: str, command: str) -> str | None:
    """Give the version that an engine's program tells of itself; None where it tells none."""
    if name not in VERSIONS:
        return None
    arguments, pattern = VERSIONS[name]
    with tempfile.TemporaryDirectory(prefix="aga-doctor-") as folder:
        log = Path(folder) / "said.txt"
        with log.open("wb") as out:
            process = start(
                [*split_command(command), *arguments],
                directory=Path(folder),  # some leave files where they run
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            ended_in_time(process, LIMIT)
        found = re.search(pattern, log.read_text("utf-8", errors="replace"), re.MULTILINE)
    return found[1].strip() if found else None
