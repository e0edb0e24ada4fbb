"""A search on this machine: the database, the workers, the display and the results."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aga.cli.console import print_document, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aga.config import Settings
    from aga.tasks.session import Session

__all__ = ["LocalRun", "repair", "serve"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRun:
    """One ``aga run``.

    ``output`` is the folder for the results at the end, None for none; ``as_json`` prints the
    final status as one document instead of a display.
    """

    settings: Settings
    workers: int
    output: Path | None
    as_json: bool

    def describe(self) -> dict[str, Any]:
        """Tell what would happen."""
        from aga.oracle.registry import resolve_engine

        settings = self.settings
        counts = settings.search.atom_counts()
        return {
            "search": settings.search_id(),
            "cell": counts,
            "reference": resolve_engine(settings.oracle.engine, counts),
            "members": settings.potential.members,
            "budget": settings.search.budget.model_dump(mode="json"),
            "workers": self.workers,
            "device": settings.machine.device,
            "run_dir": str(settings.machine.run_dir),
            "output": None if self.output is None else str(self.output),
        }

    def execute(self) -> dict[str, Any]:
        """Run the search to its end; give its final status.

        Raises
        ------
        aga.errors.SearchFailedError
            The search can't go on; the message says why and what to do.
        aga.errors.SiteError, aga.errors.UnavailableError
            This machine can't go on for the moment; the search is stored and can.
        """
        from aga.tasks.dispatch import note_trouble
        from aga.tasks.recovery import retry_failed
        from aga.tasks.session import open_session

        database = self._database()
        session = open_session(database, self.settings.machine.launchpad)
        search_id = self.settings.search_id()
        new = session.repository.create_search(self.settings)
        state = session.repository.get_search(search_id)["state"]
        if not self.as_json:
            verb = "starting" if new else {"finished": "showing"}.get(state, "continuing")
            say(f"{verb} search {search_id} (logs in {self._folder()})")
        if state != "finished":
            session.repository.put_machine(self.settings)
            note_trouble(session.repository, search_id, None)
            retry_failed(session.repository, session.launchpad, search_id)
            try:
                self._work(session, search_id)
            except KeyboardInterrupt:
                sys.stderr.write("the same command goes on where the search stopped\n")
                raise
        return self._conclude(session, search_id)

    def _folder(self) -> Path:
        return self.settings.machine.run_dir / self.settings.search_id()

    def _embedded(self) -> bool:
        from aga.store.connect import ENVIRONMENT

        machine = self.settings.machine
        return not (machine.database or machine.launchpad or os.environ.get(ENVIRONMENT))

    def _database(self) -> str | None:
        """Give the database's address; start the embedded server where none is named."""
        from aga.store.server import start, status

        if not self._embedded():
            return self.settings.machine.database
        if not status().running and not self.as_json:
            say("starting the embedded database (`aga db stop` ends it)")
        return start().uri

    def _work(self, session: Session, search_id: str) -> None:
        from aga.cli.watching import Watch
        from aga.store.handle import SearchHandle
        from aga.tasks.local import WorkerPool

        command = ["--search", search_id, "--launch-dir", str(self._folder() / "launches")]
        command += ["--patience", str(self.settings.machine.patience)]
        if self.settings.machine.launchpad and not self.settings.machine.database:
            command += ["--launchpad", str(self.settings.machine.launchpad)]
        elif address := self.settings.machine.database:
            command += ["--database", address]
        handle = SearchHandle(session.repository, search_id)
        with WorkerPool(command=command, count=self.workers, log_dir=self._folder()) as pool:
            Watch(
                session=session,
                handle=handle,
                pool=pool,
                patience=self.settings.machine.patience,
                embedded=self._embedded(),
                quiet=self.as_json,
            ).until_the_end()

    def _conclude(self, session: Session, search_id: str) -> dict[str, Any]:
        from aga.errors import SearchFailedError
        from aga.store.handle import SearchHandle

        handle = SearchHandle(session.repository, search_id)
        status = handle.status()
        if status["state"] == "failed":
            raise SearchFailedError(
                f"search {search_id} failed: {status['reason']}",
                remedy=status["remedy"]
                or f"read the logs in {self._folder()}; after mending the cause, the same "
                "command goes on where it stopped",
                search=search_id,
            )
        if self.output is not None:
            from aga.report.summary import write_results

            write_results(handle, self.output)
        if self.as_json:
            print_document(status)
        else:
            from aga.cli.ask import show_end

            show_end(handle, status, self.output)
        return status


def serve(  # noqa: PLR0913 - each is an option of `aga worker`
    *,
    categories: Sequence[str],
    search: str | None,
    database: str | None,
    launchpad: Path | None,
    max_idle: float | None,
    patience: float,
    launch_dir: Path,
    follow_parent: bool,
    walltime: float | None,
    margin: float,
) -> int:
    """Be a worker; give the number of steps performed."""
    import logging

    from aga.tasks.session import open_session
    from aga.tasks.worker import WorkerOptions, work

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    for name in ("launchpad", "rocket.launcher"):  # FireWorks sets their levels at each launch
        logging.getLogger(name).addFilter(lambda record: record.levelno >= logging.WARNING)
    session = open_session(database, launchpad)
    options = WorkerOptions(
        categories=categories,
        search_id=session.repository.resolve_search(search) if search else None,
        launch_dir=launch_dir / f"{os.uname().nodename}-{os.getpid()}",
        max_idle=max_idle,
        patience=patience,
        follow_parent=follow_parent,
        walltime=walltime,
        margin=margin,
    )
    return work(session.repository, session.launchpad, options)


def repair(session: Session, *, search: str | None, retry: bool) -> dict[str, Any]:
    """Repair one search, or every running one; give what was done, as one document."""
    from aga.tasks.recovery import recover, retry_failed

    repository, launchpad = session.repository, session.launchpad
    if search:
        names = [repository.resolve_search(search)]
    else:
        wanted = {"running", "failed"} if retry else {"running"}
        names = [s["_id"] for s in repository.list_searches() if s["state"] in wanted]
    mend = retry_failed if retry else recover
    done = {name: mend(repository, launchpad, name) for name in names}
    return {
        "searches": [
            {
                "search": name,
                "released": list(found.released),
                "handed_out_again": list(found.handed_out),
                "archived": list(found.archived),
                "planned": found.planned,
            }
            for name, found in done.items()
        ]
    }
