"""The programs of the engines: the command of each, and what to do where it is missing.

They are run as separate processes. Some are under the GPL (ABINIT, CP2K, GPAW, LAMMPS, Quantum
ESPRESSO): nothing of theirs is imported into this process.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from aga.config.schema import MachineSettings
from aga.errors import (
    MissingExecutableError,
    MissingPseudopotentialError,
    OracleError,
    Problem,
    SettingsError,
)
from aga.oracle.runner import Run

__all__ = [
    "EXECUTABLES",
    "PSEUDOPOTENTIALS",
    "Executable",
    "check_command",
    "not_started",
    "raise_problems",
    "split_command",
    "wrong_program",
]

PSEUDOPOTENTIALS = "oracle.options.pseudopotentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class Executable:
    """A program that an engine runs.

    ``setting``: its key of the machine settings; ``names``: what it may be called, looked for
    behind a launcher such as ``mpirun -np 16``; ``title``: what people call it; ``install``: how
    it gets here.
    """

    setting: str
    names: tuple[str, ...]
    title: str
    install: str

    @property
    def key(self) -> str:
        """The setting as it stands in the file."""
        return f"machine.{self.setting}"

    @property
    def hint(self) -> str:
        """What to do where it is missing."""
        return f"{self.install} or set {self.key} to the command that starts {self.names[0]}"


EXECUTABLES = {
    "espresso": Executable(
        setting="espresso_command",
        names=("pw.x",),
        title="Quantum ESPRESSO",
        install="install Quantum ESPRESSO (Debian: apt-get install quantum-espresso)",
    ),
    "gpaw": Executable(
        setting="gpaw_command",
        names=("gpaw", "python3", "python"),
        title="GPAW",
        install="install GPAW (Debian: apt-get install gpaw gpaw-data)",
    ),
    "cp2k": Executable(
        setting="cp2k_command",
        names=("cp2k", "cp2k.psmp", "cp2k.popt", "cp2k.ssmp", "cp2k.sopt"),
        title="CP2K",
        install="install CP2K (Debian: apt-get install cp2k cp2k-data)",
    ),
    "abinit": Executable(
        setting="abinit_command",
        names=("abinit",),
        title="ABINIT",
        install="install ABINIT (Debian: apt-get install abinit abinit-data)",
    ),
    "vasp": Executable(
        setting="vasp_command",
        names=("vasp_std", "vasp_gam", "vasp"),
        title="VASP",
        install="VASP is licensed by VASP Software GmbH: load it (module load vasp)",
    ),
    "lammps": Executable(
        setting="lammps_command",
        names=("lmp", "lmp_mpi", "lmp_serial"),
        title="LAMMPS",
        install="install LAMMPS (Debian: apt-get install lammps)",
    ),
}
"""By the name of the engine."""


def split_command(command: str) -> tuple[str, ...]:
    """Give program and arguments; files of the present folder by their full path.

    Raises
    ------
    ValueError
        Quotation marks that do not close.
    """
    words = shlex.split(command)
    return tuple(str(Path(w).absolute()) if "/" in w and Path(w).exists() else w for w in words)


def check_command(engine: str, machine: MachineSettings) -> list[Problem]:
    """Say which program of an engine's command is missing."""
    entry = EXECUTABLES[engine]
    command = getattr(machine, entry.setting)
    try:
        words = split_command(command)
    except ValueError as error:
        return [Problem(key=entry.key, message=f"{command!r}: {error}", hint=entry.hint)]
    # With a launcher in front, the program itself is looked for too.
    programs = list(words[:1]) + [w for w in words[1:] if Path(w).name in entry.names]
    return [
        Problem(
            key=entry.key, message=f"there is no program {word!r} on this machine", hint=entry.hint
        )
        for word in programs or entry.names[:1]
        if shutil.which(word) is None
    ]


def not_started(engine: str, machine: MachineSettings, ended: Run) -> None:
    """Raise what is missing after a command that could not be started, if that is the reason.

    Raises
    ------
    aga.errors.MissingExecutableError
        The program has gone, or is none that this machine can run.
    """
    raise_problems(check_command(engine, machine))
    complaint = ended.text("stderr.txt").strip()
    if complaint.startswith("cannot start"):
        entry = EXECUTABLES[engine]
        raise MissingExecutableError(f"{entry.key}: {complaint}", remedy=entry.hint)


def wrong_program(engine: str, ended: Run, *, where: str) -> OracleError:
    """Give the error for an output that the engine's program has not written."""
    entry = EXECUTABLES[engine]
    return OracleError(
        f"{where}: the output is not one of {entry.title}; see {ended.directory}",
        reason="garbage",
        remedy=f"see that {entry.key} starts {entry.names[0]}; then `aga recover --retry` "
        "computes the structures again",
        directory=str(ended.directory),
    )


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise the exception that fits the problems, if there are any.

    Raises
    ------
    aga.errors.MissingExecutableError
        A command is not there.
    aga.errors.MissingPseudopotentialError
        An element has no file, or the folder of them is missing.
    aga.errors.SettingsError
        The settings do not belong together.
    """
    found = list(problems)
    if not found:
        return
    message = "; ".join(f"{p.key}: {p.message}" for p in found)
    keys = {p.key for p in found}
    if keys & {entry.key for entry in EXECUTABLES.values()}:
        raise MissingExecutableError(message, remedy=found[0].hint)
    if any(key.startswith((f"{PSEUDOPOTENTIALS}.", "machine.")) for key in keys):
        raise MissingPseudopotentialError(message, remedy=found[0].hint, keys=sorted(keys))
    raise SettingsError(found)
