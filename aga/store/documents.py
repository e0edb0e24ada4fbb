"""The values that pass between the store and the steps of a search."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import psutil

if TYPE_CHECKING:
    from aga.structure.candidate import Candidate
    from aga.structure.protocols import Label


__all__ = [
    "CATEGORIES",
    "KINDS",
    "PRIORITIES",
    "SCHEMA",
    "Attempt",
    "Category",
    "Document",
    "ResultDoc",
    "Step",
    "StepKind",
    "StepState",
    "Worker",
    "plain",
    "step_id",
    "utcnow",
]

Document = dict[str, Any]
"""One document as the database holds it."""

SCHEMA = 1
"""Version of the documents' layout, stored with each."""

StepKind = Literal[
    "seed", "breed", "acquire", "label", "collect", "train", "assess", "refine", "finish"
]
StepState = Literal["planned", "running", "done", "failed", "cancelled"]
Category = Literal["ga", "oracle", "train"]

CATEGORIES: Mapping[StepKind, Category] = {
    "seed": "ga",
    "breed": "ga",
    "acquire": "ga",
    "label": "oracle",
    "collect": "train",
    "train": "train",
    "assess": "train",
    "refine": "oracle",
    "finish": "ga",
}
"""Which workers serve a kind of step."""

PRIORITIES: Mapping[StepKind, int] = {
    "seed": 3,
    "breed": 0,
    "acquire": 3,
    "label": 1,
    "collect": 3,
    "train": 2,
    "assess": 3,
    "refine": 2,
    "finish": 3,
}
"""Which step a worker takes first: the short ones that others wait for; breeding never ends."""

KINDS: tuple[StepKind, ...] = tuple(CATEGORIES)
"""Kinds of steps, in the order a search goes through them."""

START_TOLERANCE = 2.0
"""Seconds by which two readings of a process's start time may differ (clock adjustments)."""


def utcnow() -> datetime:
    """Give the time with UTC zone and whole milliseconds, as the database keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def plain(value: Any, *, finite: bool = True) -> Any:  # noqa: ANN401 - JSON values
    """Give plain JSON values: arrays as lists, paths as text.

    Parameters
    ----------
    value
        Nested mappings and sequences; NumPy scalars and arrays may stand in them.
    finite
        Replace NaN and infinities by None, which every JSON reader understands.
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item, finite=finite) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy's; not imported, so that asking for a list is quick
        return plain(value.tolist(), finite=finite)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, finite=finite) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) or not finite else None
    return str(value) if isinstance(value, Path) else value


def step_id(search_id: str, kind: StepKind, iteration: int, key: str) -> str:
    """Give the identifier ``<search>/<kind>/<iteration>/<key>`` of a step."""
    return f"{search_id}/{kind}/{iteration}/{key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A process that works on steps.

    ``started`` is the start time of the process (seconds since the epoch); with it a process
    that got the number of a dead one is not taken for it. ``job`` is the batch job in which it
    runs, as the queue names it; None outside one.
    """

    host: str
    pid: int
    started: float
    job: str | None = None

    @classmethod
    def current(cls) -> Self:
        """Describe the running process."""
        process = psutil.Process(os.getpid())
        return cls(
            host=socket.gethostname(),
            pid=process.pid,
            started=process.create_time(),
            job=os.environ.get("SLURM_JOB_ID"),
        )

    def is_local(self) -> bool:
        """Tell whether the process runs (or ran) on this machine."""
        return self.host == socket.gethostname()

    def is_dead(self) -> bool:
        """Tell whether the process is known to be gone; False for those of other machines."""
        if not self.is_local():
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            return bool(abs(process.create_time() - self.started) > START_TOLERANCE)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:  # somebody else's process: alive, and it may be the one
            return False

    def to_dict(self) -> Document:
        """Give plain JSON values."""
        document = {"host": self.host, "pid": self.pid, "started": self.started}
        return document if self.job is None else document | {"job": self.job}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        return cls(
            host=data["host"],
            pid=int(data["pid"]),
            started=float(data["started"]),
            job=data.get("job"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a search: what is to be done, and how far it is.

    ``args`` and ``result`` hold identifiers and small numbers only; ``token`` is the token of
    the last attempt, ``worker`` who has it or had it last, ``lease`` the time after which a
    running step may be given away, ``attempts`` how many times it was begun. ``category`` follows
    from ``kind`` unless given.
    """

    search_id: str
    kind: StepKind
    iteration: int
    key: str = "0"
    generation: int | None = None
    args: Document = field(default_factory=dict)
    category: Category | None = None
    state: StepState = "planned"
    token: str | None = None
    worker: Worker | None = None
    lease: datetime | None = None
    attempts: int = 0
    result: Document | None = None
    error: Document | None = None
    fw_id: int | None = None
    planned_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.category is None:
            object.__setattr__(self, "category", CATEGORIES[self.kind])

    @property
    def id(self) -> str:
        """Identifier, ``<search>/<kind>/<iteration>/<key>``."""
        return step_id(self.search_id, self.kind, self.iteration, self.key)

    def to_dict(self) -> Document:
        """Give the document that is stored."""
        document: Document = {"_id": self.id, "schema": SCHEMA}
        for name in self.__dataclass_fields__:
            document[name] = getattr(self, name)
        document["worker"] = None if self.worker is None else self.worker.to_dict()
        return document | {key: plain(document[key]) for key in ("args", "result", "error")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Rebuild from :meth:`to_dict`."""
        values = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        worker = values.pop("worker", None)
        return cls(worker=None if worker is None else Worker.from_dict(worker), **values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The right to work on a step, given to one worker until its lease runs out."""

    step: Step
    token: str

    @property
    def step_id(self) -> str:
        """Identifier of the step."""
        return self.step.id

    @property
    def number(self) -> int:
        """How many times the step was begun, this time included."""
        return self.step.attempts


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDoc:
    """One final structure, relaxed by the reference method.

    ``candidate`` has the relaxed geometry and the name and lineage of the structure that was
    relaxed; ``label`` belongs to the relaxed geometry; ``pressure`` in eV/Å³; ``space_group``
    is ``{"number": …, "symbol": …}``, ``space_group_strict`` the same at a tenth of the tolerance;
    ``rank`` counts from 0, the lowest enthalpy first. ``symmetrised`` is the conventional cell of
    exact symmetry; ``prototype``, ``found`` and ``twins`` as the collection describes them.
    """

    rank: int
    candidate: Candidate
    label: Label
    engine: str
    pressure: float = 0.0
    iteration: int = 0
    space_group: Mapping[str, Any] | None = None
    space_group_strict: Mapping[str, Any] | None = None
    fingerprint: Sequence[float] | None = None
    symmetrised: Candidate | None = None
    prototype: Mapping[str, Any] | None = None
    found: Mapping[str, Any] | None = None
    twins: Sequence[str] = ()

    @property
    def name(self) -> str:
        """Name of the result, e.g. ``r000-g003-017``."""
        return f"r{self.rank:03d}-{self.candidate.name}"


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Give the items in runs of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
