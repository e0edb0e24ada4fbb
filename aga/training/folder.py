"""The folder of a training from files: its models, and the record of how they came about."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aga
from aga.errors import InputError
from aga.potential.calculator import read_member
from aga.potential.kinds import AnyModel
from aga.potential.network import parameter_count
from aga.structure.protocols import Frame
from aga.training.fixed import fixed_functions
from aga.training.project import Trained, divide
from aga.training.recipe import Recipe
from aga.training.smooth import smooth_descriptor
from aga.training.smooth_pieces import DeepLayout

__all__ = [
    "RECORD",
    "Earlier",
    "check_folder",
    "plan_document",
    "read_earlier",
    "report_document",
    "write_folder",
]

RECORD = "training.json"
CHECKPOINTS = "checkpoints"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier training: its ``models``, ``recipe``, and the names of the ``frames`` it had."""

    models: tuple[AnyModel, ...]
    recipe: Recipe
    frames: tuple[str, ...]


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds a finished training, or clear it.

    Raises
    ------
    aga.errors.InputError
        It does, and may not be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file", remedy="name another folder with --output")
    if not (folder / RECORD).exists():
        return
    if not overwrite:
        raise InputError(
            f"{folder} holds a finished training",
            remedy="name another folder with --output, go on from it with --start, or replace "
            "it with --force",
            file=str(folder / RECORD),
        )
    for path in [*folder.glob("member-*.safetensors"), folder / RECORD]:
        path.unlink(missing_ok=True)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def read_earlier(folder: Path) -> Earlier:
    """Read a finished training.

    Raises
    ------
    aga.errors.InputError, aga.errors.ModelError
        The folder holds none, or a damaged one.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        names = [name for split in ("known", "test") for name in record["frames"][split]]
        files = [folder / f"member-{m['member']}.safetensors" for m in record["members"]]
        recipe = Recipe.from_dict(record["recipe"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder}: holds no finished training ({type(error).__name__}: {error})",
            remedy="name the folder that `aga train` wrote",
            file=str(path),
        ) from error
    models = tuple(read_member(file) for file in files)
    return Earlier(models=models, recipe=recipe, frames=tuple(names))


def write_folder(
    folder: Path, files: Sequence[str], frames: Sequence[Frame], recipe: Recipe, trained: Trained
) -> list[Path]:
    """Write models and record; the record last, so that what has one is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, result in enumerate(trained.results):
        path = folder / f"member-{number}.safetensors"
        path.write_bytes(result.model.to_bytes())
        written.append(path)
    division = trained.division
    record = {
        "schema": SCHEMA,
        "aga": aga.__version__,
        "files": list(files),
        "recipe": recipe.to_dict(),
        "frames": {
            "known": [frames[place].name for place in division.known],
            "test": [frames[place].name for place in division.test],
        },
        **report_document(trained),
        "focal_weights": [result.weights for result in trained.results],
        "histories": [list(result.history) for result in trained.results],
    }
    draft = folder / f"{RECORD}.part"
    draft.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    draft.replace(folder / RECORD)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return [*written, folder / RECORD]


def report_document(trained: Trained) -> dict[str, Any]:
    """Give the errors of a training and what happened in it as plain JSON values."""
    said = trained.assessment.to_dict()
    quarantined: dict[str, str] = {}
    for result in trained.results:
        quarantined |= result.quarantined
    return {
        "splits": said["splits"],
        "groups": said["groups"],
        "worst": said["worst"],
        "retained": trained.retained,
        "quarantined": quarantined,
        "members": [
            {
                "member": number,
                "passes": result.history[-1]["passes"],
                "loss": result.history[-1]["loss"],
                "diverged": result.diverged,
                "metrics": result.metrics,
                "quarantined": sorted(result.quarantined),
            }
            for number, result in enumerate(trained.results)
        ],
    }


def plan_document(
    frames: Sequence[Frame], recipe: Recipe, members: Sequence[int]
) -> dict[str, Any]:
    """Say what a training would do.

    Raises
    ------
    aga.errors.DataError
        A split that was asked for is empty.
    """
    division = divide(frames, recipe, members)
    size, parameters = _sizes(recipe)
    return {
        "frames": len(frames),
        "elements": list(recipe.elements),
        "known": len(division.known),
        "test": len(division.test),
        "members": len(members),
        "validation": round(sum(division.validation) / len(members)),
        "functions": size,
        "parameters": parameters,
        "optimizer": recipe.optimizer,
        "passes": recipe.training.passes,
        "recipe": recipe.to_dict(),
    }


def _sizes(recipe: Recipe) -> tuple[int, int]:
    """Give the length of the descriptor and the number of parameters of a member."""
    hidden, elements = recipe.potential.hidden, len(recipe.elements)
    if recipe.potential.descriptor != "deep_smooth":
        size = fixed_functions(recipe).size
        return size, elements * parameter_count(size, hidden)
    descriptor = smooth_descriptor(recipe)
    layout = DeepLayout(descriptor=descriptor, hidden=hidden)
    return descriptor.size, layout.size
