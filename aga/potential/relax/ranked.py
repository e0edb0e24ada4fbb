"""Relaxation shared by several ranks: each relaxes every n-th structure.

The ranks are MPI's where a launcher and mpi4py are installed, worker processes of this machine
otherwise. Data goes by files in a folder that all of them see.
"""

from __future__ import annotations

import json
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aga.config import SearchSettings
from aga.config.machine import MachineSettings
from aga.errors import SiteError
from aga.parallel.launch import find_launcher, run_ranks
from aga.parallel.pool import Say, run_each
from aga.potential.kinds import load_model, make_committee
from aga.potential.relax.relaxer import BatchedRelaxer
from aga.structure.candidate import Candidate
from aga.structure.protocols import Relaxed

__all__ = ["RankedRelaxer", "relax_on_ranks", "relax_share"]

JOB, MODELS, RESULT = "job.json", "member-{:03d}.safetensors", "relaxed-{:03d}.json"
"""Files in the folder of one call: what is to be done, the members, what each rank gave."""

PROGRAM = "aga.potential.relax.one_rank"
"""What runs on each MPI rank."""


@dataclass(frozen=True, slots=True)
class RankedRelaxer:
    """Relaxes on ``machine.relax_ranks`` ranks; implements ``Relaxer``.

    Parameters
    ----------
    models
        Model files of the members, as :func:`aga.potential.kinds.load_model` reads them.
    settings
        Of the search: when a relaxation ends, pressure, optimizer, symmetry.
    machine
        How many ranks, their launcher, the device.
    folder
        Where the files of a call lie while it runs; all ranks must see it.
    """

    models: Sequence[bytes]
    settings: SearchSettings
    machine: MachineSettings
    folder: Path

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        """Relax the structures, in their order; see :func:`relax_on_ranks`."""
        return relax_on_ranks(
            candidates,
            self.models,
            self.settings,
            machine=self.machine,
            ranks=self.machine.relax_ranks,
            folder=self.folder,
        )


def relax_on_ranks(
    structures: Sequence[Candidate],
    models: Sequence[bytes],
    settings: SearchSettings,
    *,
    machine: MachineSettings,
    ranks: int,
    folder: Path,
) -> list[Relaxed]:
    """Relax structures on several ranks of one thread each.

    What becomes of a structure does not depend on its company, so on the processor any number
    of ranks gives the same bits as :class:`~aga.potential.relax.relaxer.BatchedRelaxer`. The one
    exception is the smooth Deep Potential, whose matrix products are rounded by the size of the
    batch: there the last digits of the first evaluation differ, and what grows from them.

    Parameters
    ----------
    structures
        Any number; no more ranks are started than there are structures.
    models
        Model files of the members.
    settings
        Of the search.
    machine
        Launcher (``mpi_command``), ``device`` and ``precision``.
    ranks
        How many.
    folder
        Each call makes a folder of its own in it, gone after success; after a failure it stays,
        with ``log.txt`` of the ranks. All ranks must see it.

    Returns
    -------
    list of Relaxed
        In the order given.

    Raises
    ------
    aga.errors.AgaError
        What a rank has raised, with its own type: a model file that can't be read, elements
        that the model does not know, no GPU where one is wanted.
    aga.errors.SiteError
        A rank died; quotes the end of its log.
    """
    ranks = min(ranks, len(structures))
    if ranks == 0:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="relax-", dir=folder)).absolute()
    _write_job(work, structures, models, settings, machine)
    _run(work, ranks, shlex.split(machine.mpi_command))
    relaxed: list[Relaxed | None] = [None] * len(structures)
    for rank in range(ranks):
        relaxed[rank::ranks] = _read_result(work, rank)
    shutil.rmtree(work, ignore_errors=True)
    with suppress(OSError):  # something else lies there too
        folder.rmdir()
    return [one for one in relaxed if one is not None]


def relax_share(folder: Path, rank: int, ranks: int) -> None:
    """Relax the structures of one rank, and leave the results in the folder.

    Raises
    ------
    aga.errors.AgaError
        As :func:`relax_on_ranks`.
    """
    job = _read(folder / JOB)
    files = [folder / MODELS.format(number) for number in range(job["members"])]
    committee = make_committee(
        [load_model(file.read_bytes()) for file in files],
        device=job["device"],
        precision=job["precision"],
    )
    settings = SearchSettings.model_validate(job["settings"])
    structures = [Candidate.from_dict(one) for one in job["structures"][rank::ranks]]
    relaxed = BatchedRelaxer.from_settings(committee, settings).relax(structures)
    text = json.dumps([one.to_dict() for one in relaxed])
    (folder / RESULT.format(rank)).write_text(text, encoding="utf-8")


def _write_job(
    folder: Path,
    structures: Sequence[Candidate],
    models: Sequence[bytes],
    settings: SearchSettings,
    machine: MachineSettings,
) -> None:
    """Leave all that a rank has to know. JSON keeps every bit of a number, infinities too."""
    for number, content in enumerate(models):
        (folder / MODELS.format(number)).write_bytes(content)
    job = {
        "members": len(models),
        "device": machine.device,
        "precision": machine.precision,
        "settings": settings.model_dump(mode="json"),
        "structures": [one.to_dict() for one in structures],
    }
    (folder / JOB).write_text(json.dumps(job), encoding="utf-8")


def _run(folder: Path, ranks: int, command: Sequence[str]) -> None:
    """Let every rank do its share: over MPI where it is installed, in worker processes else."""
    try:
        find_launcher(command, ranks)
    except SiteError:
        jobs = [(str(folder), rank, ranks) for rank in range(ranks)]
        run_each(_relax_share, jobs, processes=ranks)
        return
    run_ranks(PROGRAM, [str(folder)], ranks=ranks, command=command, log=folder / "log.txt")


def _relax_share(job: tuple[str, int, int], say: Say) -> None:
    del say  # nothing is told before the end
    folder, rank, ranks = job
    relax_share(Path(folder), rank, ranks)


def _read_result(folder: Path, rank: int) -> list[Relaxed]:
    return [Relaxed.from_dict(one) for one in _read(folder / RESULT.format(rank))]


def _read(file: Path) -> Any:  # noqa: ANN401 - JSON values
    """Read what another rank has written."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SiteError(
            f"the ranks of a relaxation do not see each other's files: {file} is missing",
            remedy="let machine.run_dir name a folder that all nodes share, or set "
            "machine.relax_ranks to 1",
            file=str(file),
        ) from error
