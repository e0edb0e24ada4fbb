"""One problem, one arm, one seed: a job for a worker, and the record that it leaves."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import aga
from aga.bench.search.arms import Arm
from aga.bench.search.bout import Bout
from aga.bench.search.code import code_digest
from aga.bench.search.ledger import CountedEngine, Ended, Ledger, in_process
from aga.bench.search.observer import Clock, Duplicates
from aga.bench.search.problems import Problem, merged
from aga.config import Settings
from aga.config.load import settings_from_dict
from aga.errors import CandidateError, SearchFailedError
from aga.oracle.registry import ENGINES, build_oracle, resolve_engine
from aga.parallel.pool import Say
from aga.search.population import Population
from aga.search.propose import propose
from aga.structure.matching import atoms_match
from aga.units import ev_per_a3_from_gpa

__all__ = ["Job", "Record", "perform"]

Record = dict[str, Any]
"""What is written down of a run; docs/reference/json.md describes it."""

_SAME_START: Mapping[str, Any] = {"search": {"prototypes": 0, "seeds": [], "seed_searches": []}}
"""Nothing but composition and volume is known at the start, in every arm."""

_CUSTOM = "aga.oracle.custom"
"""Makes an engine of a user's own calculator."""

_TAUGHT = ["aga.config.potential", "aga.config.training"]
"""Settings that direct arms have no use for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to do."""

    problem: Problem
    arm: Arm
    seed: int

    def settings(self) -> Settings:
        """Give the settings of the search.

        Raises
        ------
        aga.errors.SettingsError
            Those of the problem are wrong.
        """
        return settings_from_dict(self._tree(), origin=f"problem {self.problem.name}")

    def _tree(self) -> dict[str, Any]:
        """Give the settings where they differ from the defaults."""
        tree = merged(merged(self.problem.settings, self.arm.settings), _SAME_START)
        tree["search"]["seed"] = self.seed
        return tree

    def key(self) -> str:
        """Give a digest of what is asked for, the same whatever version does it.

        Defaults are part of the code: with :meth:`code` it decides the run.
        """
        caps: list[Any] = [self.problem.calls, self.problem.relaxations] if self.arm.direct else []
        if not self.arm.direct and not self.arm.whole:
            caps.append("ends at the answer")
        parts = [self.arm.target, self._tree(), self.problem.answer, caps]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]

    def code(self) -> str:
        """Give a digest of the code that decides the run, as it is installed now."""
        settings = self.settings()
        engine = resolve_engine(settings.oracle.engine, settings.search.atom_counts())
        used = [ENGINES[engine].target] if engine in ENGINES else [_CUSTOM, engine]
        used += [] if self.arm.direct else _TAUGHT
        modules = tuple(one.partition(":")[0] for one in (self.arm.target, *used))
        packages = ("ase", self.arm.package) if self.arm.package else ("ase",)
        return code_digest(modules, packages)


def perform(job: Job, say: Say) -> Record:
    """Do a run.

    ``say`` is told ``("begun", name)`` and ``("finished", record)``.

    Raises
    ------
    aga.errors.AgaError
        The arm can't be run at all; a search that ends without a result is a record.
    """
    say(("begun", f"{job.problem.name} {job.arm.name} {job.seed}"))
    settings, code = job.settings(), job.code()  # before it runs: files may change meanwhile
    search = job.arm.search()
    _warm(settings)
    with tempfile.TemporaryDirectory(prefix="aga-bench-") as folder:
        bout = _bout(job, settings, Path(folder))
        failed = None
        try:
            with suppress(Ended):
                search(bout)
        except (CandidateError, SearchFailedError) as error:
            failed = error.message
        record = _record(job, bout, failed) | {"version": aga.__version__, "code": code}
    say(("finished", record))
    return record


def _warm(settings: Settings) -> None:
    """Load what a search loads to draw, describe and compare: the clock is not for that."""
    search = settings.search.model_copy(update={"offspring": 1})
    with suppress(CandidateError):
        (one,) = propose(Population(), search, generation=0).candidates
        atoms_match(one, one)


def _bout(job: Job, settings: Settings, folder: Path) -> Bout:
    problem, search = job.problem, settings.search
    ledger = Ledger(
        target=problem.answer,
        calls=problem.calls if job.arm.direct else inf,
        relaxations=problem.relaxations if job.arm.direct else inf,
        ends=not job.arm.whole,
    )
    oracle = in_process(build_oracle(settings.oracle, settings.machine, search.atom_counts()))
    return Bout(
        problem=problem,
        settings=settings,
        ledger=ledger,
        engine=CountedEngine(oracle, ledger, ev_per_a3_from_gpa(search.pressure)),
        clock=Clock(),
        duplicates=Duplicates(search),
        folder=folder,
        facts={},
    )


def _record(job: Job, bout: Bout, failed: str | None) -> Record:
    ledger, clock = bout.ledger, bout.clock
    proposed = bout.facts.get("proposed", 0)
    own, seconds = clock.own, clock.seconds
    return {
        "problem": job.problem.name,
        "arm": job.arm.name,
        "seed": job.seed,
        "key": job.key(),
        "answer": job.problem.answer,
        "calls": ledger.calls,
        "relaxations": ledger.relaxations,
        "candidates": proposed,
        "lowest": ledger.lowest,
        "marks": [[calls, n, round(enthalpy, 7)] for calls, n, enthalpy in ledger.marks],
        "seconds": round(seconds, 3),
        "watching_seconds": round(clock.parts["watching"], 3),
        "reference_seconds": round(ledger.seconds, 3),
        "training_seconds": round(clock.parts["training"], 3),
        "overhead_ms_per_candidate": 1e3 * own / proposed if proposed else None,
        "duplicate_rate": bout.duplicates.rate,
        "correlation": bout.facts.get("correlation"),
        "verdict": bout.facts.get("verdict"),
        "labels": bout.facts.get("labels"),
        "failed": failed,
    }
