"""A reference method that takes a given time: Tersoff silicon, and sleep for the rest."""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from aga.oracle.base import EngineOptions
from aga.oracle.tersoff import Tersoff
from aga.structure.candidate import Candidate
from aga.structure.protocols import Label

__all__ = ["SlowTersoff"]


class SlowOptions(EngineOptions):
    """How long a single point takes."""

    seconds: float = Field(0.0, ge=0)


class SlowTersoff(Tersoff):
    """Tersoff's potential, whose answer comes after ``seconds``.

    ``spent`` sums the processor seconds of all answers in this process.
    """

    name = "slow-tersoff"
    Options: ClassVar[type[EngineOptions]] = SlowOptions
    spent: ClassVar[float] = 0.0

    def label(self, candidate: Candidate, run_dir: Path) -> Label:
        """Compute a single point; the time that it takes is that of the options."""
        began, used = time.monotonic(), time.process_time()
        answer = super().label(candidate, run_dir)
        SlowTersoff.spent += time.process_time() - used
        time.sleep(max(0.0, self.options.seconds - (time.monotonic() - began)))
        return answer
