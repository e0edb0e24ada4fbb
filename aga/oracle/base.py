"""What every engine shares: its options, its elements and the checks before a search starts."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from aga.config.schema import MachineSettings, OracleSettings
from aga.errors import DiskFullError, Problem
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label

__all__ = ["Engine", "EngineOptions", "disk_full_as_error"]


class EngineOptions(BaseModel):
    """The options of an engine that has none; the parent of those that have some."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Engine(ABC):
    """A reference method; fulfils :class:`aga.structure.protocols.Oracle`.

    Subclasses name their options (``Options``) and the elements they know (``known``; None
    where that depends on the machine).

    Parameters
    ----------
    settings
        Limits of a job, and the options of the engine.
    machine
        Executables and folders of this machine.
    composition
        Atoms of each element in the cell.
    """

    name: str = ""
    Options: ClassVar[type[EngineOptions]] = EngineOptions
    known: ClassVar[frozenset[str] | None] = None

    def __init__(
        self, settings: OracleSettings, machine: MachineSettings, composition: Mapping[str, int]
    ) -> None:
        self.settings = settings
        self.machine = machine
        self.composition = dict(composition)
        self.options: Any = self.Options.model_validate(settings.options)

    @classmethod
    def check(
        cls,
        options: Any,  # noqa: ANN401 - each engine has its own options class
        machine: MachineSettings,
        composition: Mapping[str, int],
    ) -> list[Problem]:
        """Give everything that would keep the engine from running here; changes nothing.

        Parameters
        ----------
        options
            Valid ``Options``.
        machine
            Executables and folders.
        composition
            Atoms of each element in the cell; 0 where only the element is known.
        """
        del options, machine, composition
        return []

    @abstractmethod
    def label(self, candidate: Candidate, run_dir: Path) -> Label:
        """Compute energy, forces and stress; see :class:`aga.structure.protocols.Oracle`."""

    @abstractmethod
    def relax(
        self, candidate: Candidate, run_dir: Path, *, pressure: float
    ) -> tuple[Candidate, Label]:
        """Relax atoms and cell at a pressure in eV/Å³.

        ``details["converged"]`` of the label says whether the force limit was reached; where
        the step limit came first, the best structure so far is given. The label's ``path`` has
        what was evaluated on the way and is good enough to learn from
        (:func:`aga.oracle.path.path_points`), in the cell vectors of the candidate.
        """


@contextmanager
def disk_full_as_error(folder: Path) -> Iterator[None]:
    """Turn the operating system's "no space left" into :class:`aga.errors.DiskFullError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise disk_full(folder) from error


def disk_full(folder: Path) -> DiskFullError:
    """Give the error that says there is no space left for a folder."""
    return DiskFullError(
        f"no space left for the run directory {folder}",
        remedy="free some space or set machine.run_dir to another disk, then start again: "
        "nothing stored is lost",
        folder=str(folder),
    )
