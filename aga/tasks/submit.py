"""Submit jobs for a search: write each job's script, hand it to the queue, write it down."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fireworks.queue.queue_launcher import launch_rocket_to_queue
from ruamel.yaml import YAML

from aga.config import Settings
from aga.errors import AgaError, InputError, UnavailableError
from aga.slurm.partitions import list_partitions
from aga.slurm.submission import try_script
from aga.store.connect import database_name, find_uri
from aga.store.documents import utcnow
from aga.store.jobs import Job
from aga.tasks.adapter import JobKind, NotTakenError, load_kind
from aga.tasks.session import Session
from aga.tasks.submit_checks import check_kind, idle, too_short

__all__ = ["Submission"]

_SCRIPT = "FW_submit.script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Jobs for one search.

    Parameters
    ----------
    search_id, settings
        The search.
    counts
        Number of jobs of each kind: ``ga``, ``oracle``, ``train``.
    folder
        Folder of the adapters and fworkers.
    database, launchpad
        Where the database is, as the user said it; the jobs are told the same.
    """

    search_id: str
    settings: Settings
    counts: Mapping[str, int]
    folder: Path
    database: str | None = None
    launchpad: Path | None = None

    @property
    def jobs_dir(self) -> Path:
        """Folder of all jobs of the search."""
        return self.settings.machine.run_dir.expanduser().absolute() / self.search_id / "jobs"

    def kinds(self) -> list[JobKind]:
        """Read the files of the kinds that are asked for."""
        wanted = [name for name, count in self.counts.items() if count]
        if not wanted:
            raise InputError(
                "no job is asked for", remedy="say how many: --ga 1 --oracle 8 --train 1"
            )
        return [load_kind(self.folder, name) for name in wanted]

    def check(self, kinds: Sequence[JobKind]) -> list[str]:
        """Compare with the partitions of the cluster; give what the user should know.

        Raises
        ------
        aga.errors.InputError
            A partition doesn't exist or is too short for the walltime: SLURM may take such a
            job and let it wait for ever.
        aga.errors.UnavailableError, aga.errors.MissingExecutableError
            The queue does not answer, or is not on this machine.
        """
        partitions = list_partitions()
        notes = [note for kind in kinds for note in check_kind(kind, partitions)]
        notes += idle(self.settings, self.counts) + too_short(self.settings, kinds)
        return notes + self._unreachable()

    def scripts(self, kinds: Sequence[JobKind]) -> dict[str, str]:
        """Give the script of the first job of each kind, by the adapter's file."""
        folder = self.jobs_dir
        return {
            str(kind.file): kind.adapter(f"{kind.job_name}-N", self._words()).get_script_str(
                str(folder / f"{kind.name}-N")
            )
            for kind in kinds
        }

    def rehearse(self, kinds: Sequence[JobKind], scratch: Path) -> list[str]:
        """Let SLURM check the scripts without submitting them; give what it says of each."""
        said = []
        for kind, text in zip(kinds, self.scripts(kinds).values(), strict=True):
            script = scratch / f"{kind.name}.script"
            script.write_text(text, encoding="utf-8")
            said.append(f"{kind.name}: {try_script(script, adapter=str(kind.file))}")
        return said

    def submit(self, session: Session, kinds: Sequence[JobKind]) -> list[Job]:
        """Submit all jobs; give them.

        Raises
        ------
        aga.errors.InputError, aga.errors.UnavailableError
            SLURM refuses one, or does not answer: the message says how many went before, which
            stay in the queue.
        """
        self._prepare()
        done: list[Job] = []
        for kind in kinds:
            for _ in range(self.counts[kind.name]):
                try:
                    job = self._submit_one(session, kind)
                except AgaError as error:
                    raise _after(error, done) from error
                done.append(job)
        return done

    def _submit_one(self, session: Session, kind: JobKind) -> Job:
        folder = _new_folder(self.jobs_dir, kind.name)
        name = f"{kind.job_name}-{int(folder.name.rpartition('-')[2])}"
        adapter = kind.adapter(name, self._words())
        submitted = utcnow().replace(microsecond=0)  # as the queue tells times
        with warnings.catch_warnings():  # FireWorks uses what a library is about to rename
            warnings.simplefilter("ignore", FutureWarning)
            try:
                # Fill mode: a job is to be in the queue before there are steps for it.
                number = launch_rocket_to_queue(
                    session.launchpad,
                    kind.fworker,
                    adapter,
                    launcher_dir=str(folder),
                    strm_lvl="CRITICAL",
                    fill_mode=True,
                )
            except NotTakenError as refused:
                raise refused.cause from None
        if not number:
            raise InputError(
                f"FireWorks could not write the script of {kind.file}",
                remedy=f"see that {folder} can be written, and compare the file with the one "
                "that `aga submit --init` writes",
            )
        job = Job(
            id=str(number),
            kind=kind.name,
            name=name,
            state="pending",
            search_id=self.search_id,
            partition=kind.partition,
            submitted=submitted,
            folder=str(folder),
            script=str(folder / _SCRIPT),
            stdout=str(folder / f"{name}-{number}.out"),
            stderr=str(folder / f"{name}-{number}.error"),
        )
        # It may have begun already and made itself known.
        told = ("search_id", "submitted", "folder", "script", "stdout", "stderr")
        session.repository.put_job(job, told)
        return job

    def _words(self) -> str:
        """Give the options that tell the worker its search and its database."""
        pad = self.launchpad.expanduser().absolute() if self.launchpad else self._pad_file()
        return shlex.join(["--search", self.search_id, "--launchpad", str(pad)])

    def _pad_file(self) -> Path:
        return self.jobs_dir / "launchpad.yaml"

    def _prepare(self) -> None:
        """Make the folder; put an address that may hold a password into a file of ours alone."""
        try:
            self.jobs_dir.mkdir(parents=True, exist_ok=True)
            if self.launchpad is not None:
                return
            uri = find_uri(self.database)
            draft = self._pad_file().with_name(f"launchpad-{os.getpid()}.part")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                content = {"host": uri, "name": database_name(uri), "uri_mode": True}
                YAML(typ="safe").dump(content, stream)
            draft.replace(self._pad_file())
        except OSError as error:
            raise InputError(
                f"{self.jobs_dir}: {error.strerror}",
                remedy="see to it that machine.run_dir can be written here and on the nodes",
            ) from error

    def _unreachable(self) -> list[str]:
        if self.launchpad is not None:
            return []
        host = urlsplit(find_uri(self.database)).hostname
        if host not in {"127.0.0.1", "localhost", "::1"}:
            return []
        return [
            f"the database is at {host}: jobs reach it on this machine only, not on other nodes"
        ]


def _new_folder(jobs_dir: Path, kind: str) -> Path:
    """Make a folder that no other job has: KIND-1, KIND-2 and so on."""
    names = [path.name.rpartition("-")[2] for path in jobs_dir.glob(f"{kind}-*")]
    number = max((int(name) for name in names if name.isdigit()), default=0) + 1
    while True:
        folder = jobs_dir / f"{kind}-{number}"
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _after(error: AgaError, done: Sequence[Job]) -> AgaError:
    """Say what stands in the queue already when a later job is refused."""
    if not done:
        return error
    ids = ", ".join(job.id for job in done)
    kind = UnavailableError if isinstance(error, UnavailableError) else InputError
    facts: dict[str, Any] = {**error.facts, "submitted": [job.id for job in done]}
    return kind(
        f"{error.message}\nbefore that, {len(done)} were submitted and stay in the queue: {ids}",
        remedy=error.remedy,
        **facts,
    )
