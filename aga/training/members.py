"""Training of a committee: its members side by side, each on one process or some MPI ranks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aga.errors import InputError
from aga.parallel.launch import run_ranks
from aga.parallel.pool import Say, run_each
from aga.potential.kinds import AnyModel, load_model
from aga.structure.protocols import Frame
from aga.training.fit import FitResult, Workshop, fit_member
from aga.training.recipe import Recipe

__all__ = ["Crew", "read_job", "train_members", "train_on_ranks", "write_result"]

JOB, RESULT, MODEL, PREVIOUS = (
    "job.json",
    "result.json",
    "model.safetensors",
    "previous.safetensors",
)
"""Files in the folder of a training on ranks."""

PROGRAM = "aga.training.ranked"
"""What runs on each rank."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """By how many a committee is trained, and where.

    ``processes`` members at a time, each by ``ranks`` MPI ranks (started by ``mpi_command``) of
    ``threads`` threads; ``folder`` of the checkpoints, None for none.
    """

    processes: int = 1
    threads: int = 1
    ranks: int = 1
    mpi_command: str | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    frames: Sequence[Frame]
    recipe: Recipe
    member: int
    previous: bytes | None
    crew: Crew


def train_members(
    frames: Sequence[Frame],
    recipe: Recipe,
    members: Sequence[int],
    crew: Crew,
    *,
    previous: Sequence[AnyModel] | None = None,
    progress: Callable[[int, dict[str, Any]], None] | None = None,
) -> list[FitResult]:
    """Train members; what they become does not depend on the crew, but for its ranks' rounding.

    Parameters
    ----------
    frames, recipe
        As of :func:`aga.training.fit.fit_member`.
    members
        Numbers of the members.
    crew
        By how many.
    previous
        Their last models.
    progress
        Told the number of a member and its newest look.

    Raises
    ------
    aga.errors.AgaError
        As of the training; the first one ends the others.
    aga.errors.SiteError
        A process was killed, or MPI is missing.
    """
    before = [None] * len(members) if previous is None else [m.to_bytes() for m in previous]
    jobs = [
        _Job(frames=frames, recipe=recipe, member=member, previous=model, crew=crew)
        for member, model in zip(members, before, strict=True)
    ]

    def tell(place: int, entry: Any) -> None:  # noqa: ANN401 - what a job says
        if progress is not None:
            progress(members[place], entry)

    found = run_each(_train, jobs, processes=crew.processes, progress=tell)
    return [_result(one) for one in found]


def _train(job: _Job, say: Say) -> dict[str, Any]:
    crew = job.crew
    previous = None if job.previous is None else load_model(job.previous)
    checkpoint = None
    if crew.folder is not None:
        checkpoint = crew.folder / f"member-{job.member}.checkpoint"
    if crew.ranks > 1:
        if crew.folder is None:
            raise InputError("ranks meet in a folder: the crew needs one")
        folder = crew.folder / f"member-{job.member}-ranks"
        result = train_on_ranks(job.frames, job.recipe, job.member, previous, folder, crew)
        return _document(result)
    workshop = Workshop(threads=crew.threads, checkpoint=checkpoint, progress=say)
    result = fit_member(
        job.frames, job.recipe, member=job.member, previous=previous, workshop=workshop
    )
    return _document(result)


def train_on_ranks(
    frames: Sequence[Frame],
    recipe: Recipe,
    member: int,
    previous: AnyModel | None,
    folder: Path,
    crew: Crew,
) -> FitResult:
    """Train one member on some MPI ranks; data goes by files in a folder.

    Raises
    ------
    aga.errors.AgaError
        As of the training.
    aga.errors.SiteError
        A rank was killed, or MPI is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (RESULT, MODEL, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
    content = {
        "recipe": recipe.to_dict(),
        "member": member,
        "threads": crew.threads,
        "frames": [frame.to_dict() for frame in frames],
    }
    (folder / JOB).write_text(json.dumps(content), encoding="utf-8")
    if previous is not None:
        (folder / PREVIOUS).write_bytes(previous.to_bytes())
    command = None if crew.mpi_command is None else shlex.split(crew.mpi_command)
    run_ranks(PROGRAM, [str(folder)], ranks=crew.ranks, command=command, log=folder / "log.txt")
    stored = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return _result(stored | {"model": (folder / MODEL).read_bytes()})


def read_job(folder: Path) -> tuple[list[Frame], Recipe, int, AnyModel | None, int]:
    """Give frames, recipe, member, its last model, and the threads of a rank."""
    content = json.loads((folder / JOB).read_text(encoding="utf-8"))
    frames = [Frame.from_dict(one) for one in content["frames"]]
    earlier = folder / PREVIOUS
    previous = load_model(earlier.read_bytes()) if earlier.exists() else None
    recipe = Recipe.from_dict(content["recipe"])
    return frames, recipe, int(content["member"]), previous, int(content["threads"])


def write_result(folder: Path, result: FitResult) -> None:
    """Leave what a training on ranks gave."""
    document = _document(result)
    (folder / MODEL).write_bytes(document.pop("model"))
    (folder / RESULT).write_text(json.dumps(document), encoding="utf-8")


def _document(result: FitResult) -> dict[str, Any]:
    values = {name: getattr(result, name) for name in result.__dataclass_fields__}
    return values | {"model": result.model.to_bytes()}


def _result(document: dict[str, Any]) -> FitResult:
    values = document | {"model": load_model(document["model"])}
    return FitResult(**values | {"history": tuple(document["history"])})
