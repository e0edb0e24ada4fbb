"""How a worker is asked to stop, and what becomes of the step in its hands.

============ ====================================== =========================================
signal       comes from                             the step in hand
============ ====================================== =========================================
SIGINT       Ctrl-C                                 is given back at once
SIGTERM      outside a job: `aga run`, a user       is finished
SIGTERM      in a job: scancel, preemption, limit   is given back at once
SIGUSR1      SLURM, some time before the limit      goes on until the last moment
(timer)      ourselves, at the last moment          is given back
============ ====================================== =========================================

A step that is given back is handed out again, and the attempt does not count.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
from dataclasses import dataclass, field

from aga.tasks.launchpad import SearchLaunchPad
from aga.tasks.time_limit import TimeLimit

__all__ = ["EARLY", "Stopping"]

_AGAIN = 0.2
"""Seconds after which a step that begins while the worker is to leave is interrupted too."""

_INSIST = 8.0
"""Seconds after which one that goes on is interrupted again; its programs end within 6."""

EARLY = 60.0
"""Seconds by which SLURM may send its signal too early."""

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Stopping:
    """What a worker is asked to do.

    ``stop`` is set when no further step is to be taken; ``interrupted`` says that it was by
    Ctrl-C, ``gave_back`` that the step in hand was given back; ``reason`` is for people.
    """

    launchpad: SearchLaunchPad
    limit: TimeLimit
    in_job: bool
    stop: threading.Event = field(default_factory=threading.Event)
    interrupted: bool = False
    gave_back: bool = False
    reason: str | None = None

    def listen(self) -> None:
        """Take the signals; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        signal.signal(signal.SIGINT, self._on_interrupt)
        signal.signal(signal.SIGTERM, self._on_terminate)
        signal.signal(signal.SIGUSR1, self._on_warning)
        signal.signal(signal.SIGALRM, self._on_last_moment)
        if not math.isinf(self.limit.ends):
            self._wake(self.limit.remaining())

    def end(self) -> None:
        """Listen no longer to the timer."""
        if threading.current_thread() is threading.main_thread():
            signal.setitimer(signal.ITIMER_REAL, 0.0)

    def ask(self, reason: str) -> None:
        """Let the worker end after the step in hand; the first reason stands."""
        self.reason = self.reason or reason
        self.stop.set()

    def _on_interrupt(self, *_: object) -> None:
        # FireWorks swallows the exception once the step is given back: remember it.
        self.interrupted = True
        self.ask("interrupted by Ctrl-C")
        if self.launchpad.computing:
            self.gave_back = True
            raise KeyboardInterrupt

    def _on_terminate(self, *_: object) -> None:
        if not self.in_job:
            self.ask("asked to end (SIGTERM)")
            return
        # The programs of the step get the signal as well: its result would be a wrong one.
        self.ask("ended by the queue (SIGTERM): cancelled, preempted or out of time")
        self._on_last_moment()

    def _on_warning(self, *_: object) -> None:
        self.ask("the end of its walltime is near (SIGUSR1)")
        log.info("%s; no further step is taken", self.reason)
        left = self.limit.remaining()
        # A limit that seems far away was not known, or has been lowered since: SLURM knows better.
        self._wake(left if left <= 2 * self.limit.margin + EARLY else 0.0)

    def _on_last_moment(self, *_: object) -> None:
        self.ask("the end of its walltime was reached")
        computing = self.launchpad.computing
        self._wake(_INSIST if computing else _AGAIN)
        if computing:
            log.info("%s; the step in hand is given back", self.reason)
            self.gave_back = True
            raise KeyboardInterrupt

    def _wake(self, seconds: float) -> None:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
