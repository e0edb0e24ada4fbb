"""Watch a search on this machine: show it, tend its workers, ride out what passes."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aga.errors import AgaError, UnavailableError

if TYPE_CHECKING:
    from aga.report.progress import Progress, Silence
    from aga.store.handle import SearchHandle
    from aga.tasks.local import WorkerPool
    from aga.tasks.session import Session

__all__ = ["Watch"]

RECOVER_EVERY = 10.0
"""Seconds between repairs while a search is watched."""


@dataclass(slots=True, kw_only=True)
class Watch:
    """One search, its workers and the display of both.

    Parameters
    ----------
    session, handle, pool
        Database, search and workers.
    patience
        Seconds for which a database may be away.
    embedded
        The database is the embedded server: start it again when it is gone.
    quiet
        Show nothing.
    """

    session: Session
    handle: SearchHandle
    pool: WorkerPool
    patience: float
    embedded: bool
    quiet: bool
    recovered: float = field(default_factory=time.monotonic)
    away_since: float | None = None
    ended: int = 0

    def until_the_end(self) -> None:
        """Show the progress and tend the workers until the search has ended.

        Raises
        ------
        aga.errors.SiteError, aga.errors.DiskFullError
            This machine keeps the workers from going on; the search stays as it is.
        aga.errors.UnavailableError
            The database was away for longer than the patience.
        aga.errors.SearchFailedError
            The workers die again and again.
        """
        from aga.report.progress import open_progress

        with open_progress(quiet=self.quiet) as progress:
            while True:
                try:
                    if self._look(progress):
                        return
                    self.away_since = None
                except _Unfit as stop:
                    raise stop.cause from None
                except UnavailableError as error:
                    self._ride_out(error)
                time.sleep(0.5)

    def _look(self, progress: Progress | Silence) -> bool:
        """Look once; True when the search has ended."""
        from aga.tasks.recovery import recover

        status = self.handle.status()
        progress.update(status)
        if status["state"] != "running":
            return True
        self._see_that_workers_can_work(status)
        ended = _ended(status)
        if ended > self.ended:  # they get somewhere
            self.ended, self.pool.restarts = ended, 0
        if self.pool.tend() or time.monotonic() - self.recovered > RECOVER_EVERY:
            recover(self.session.repository, self.session.launchpad, self.handle.id)
            self.recovered = time.monotonic()
        return False

    def _see_that_workers_can_work(self, status: dict[str, Any]) -> None:
        kind = self.pool.unfit()
        if kind is None:
            return
        events = self.session.repository.events(self.handle.id, limit=100)
        held = [event for event in events if event["kind"] == "held_up"]
        message = held[-1]["message"] if held else f"a worker gave up in {status['phase']}"
        remedy = held[-1]["facts"]["remedy"] if held else None
        where = f"the workers' logs are in {self.pool.log_dir}"
        mended = "then the same command goes on where it stopped"
        advice = "; ".join(part for part in (remedy, mended, where) if part)
        raise _Unfit(kind(message, remedy=advice, search=self.handle.id))

    def _ride_out(self, error: UnavailableError) -> None:
        """Wait for the database, starting the embedded server again where it is gone."""
        if self.away_since is None:
            self.away_since = time.monotonic()
            sys.stderr.write(
                f"{error.message}\nwaiting up to {self.patience:g} s for it; "
                "nothing stored is lost\n"
            )
        if time.monotonic() - self.away_since > self.patience:
            raise error
        if self.embedded:
            from aga.store.server import start

            try:
                start()
            except UnavailableError as again:
                sys.stderr.write(f"{again.message}\n")


class _Unfit(Exception):  # noqa: N818 - no error of its own, it carries one past the waiting
    def __init__(self, cause: AgaError) -> None:
        super().__init__()
        self.cause = cause


def _ended(status: dict[str, Any]) -> int:
    return sum(
        states.get("done", 0) + states.get("failed", 0) for states in status["steps"].values()
    )
