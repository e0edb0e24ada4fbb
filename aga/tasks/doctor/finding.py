"""What a check works with, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aga.config import Settings
from aga.config.machine import MachineSettings
from aga.errors import AgaError

__all__ = ["Context", "Finding", "State", "missing"]

State = Literal["ok", "warn", "fail", "absent"]
"""``absent``: not on this machine, and nothing that was asked about needs it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: what was looked at, how it is, and what to do about it."""

    name: str
    state: State
    message: str
    remedy: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give plain JSON values."""
        return {
            "name": self.name,
            "state": self.state,
            "message": self.message,
            "remedy": self.remedy,
            "facts": self.facts,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is looked at.

    ``settings`` of the search for which the machine has to be fit; None to look at everything
    and need nothing but a database. ``uri`` and ``launchpad`` name the database as
    :func:`aga.store.connect.connect` wants it.
    """

    machine: MachineSettings = field(default_factory=MachineSettings)
    settings: Settings | None = None
    uri: str | None = None
    launchpad: Path | None = None


def missing(name: str, error: AgaError, *, needed: bool) -> Finding:
    """Say that something is not there: a failure where it is needed."""
    return Finding(
        name=name,
        state="fail" if needed else "absent",
        message=error.message,
        remedy=error.remedy,
        facts=error.facts,
    )
