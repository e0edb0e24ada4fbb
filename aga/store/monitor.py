"""Count what a process asks of the database."""

from __future__ import annotations

import threading
from collections import Counter

from pymongo import monitoring

__all__ = ["count_commands"]

_HOUSEKEEPING = frozenset({"hello", "ismaster", "isMaster", "ping", "endSessions"})


def count_commands() -> Counter[str]:
    """Give a counter of the commands, by name, of every connection that is opened from now on."""
    counter: Counter[str] = Counter()
    monitoring.register(_Counting(counter))
    return counter


class _Counting(monitoring.CommandListener):
    def __init__(self, counter: Counter[str]) -> None:
        self._counter = counter
        self._lock = threading.Lock()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name not in _HOUSEKEEPING:
            with self._lock:
                self._counter[event.command_name] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing to do: a command counts when it is sent."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing to do: a command counts when it is sent."""
