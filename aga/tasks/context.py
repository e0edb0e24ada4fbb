"""What a step function works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aga.config import Settings
from aga.store.documents import Attempt, Step
from aga.store.repository import Repository

__all__ = ["StepContext"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """One attempt at one step."""

    repository: Repository
    settings: Settings
    step: Step
    attempt: Attempt

    @property
    def search_id(self) -> str:
        """Identifier of the search."""
        return self.step.search_id

    def run_dir(self) -> Path:
        """Give the run directory of this attempt; no other attempt ever writes there."""
        name = f"{self.step.kind}-{self.step.iteration:03d}-{self.step.key}-{self.attempt.number}"
        return self.settings.machine.run_dir / self.search_id / "steps" / name
