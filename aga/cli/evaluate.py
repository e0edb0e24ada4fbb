"""`aga evaluate`: how good a potential is on labelled frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import (
    DatabaseOption,
    DeviceOption,
    JsonOption,
    LaunchpadOption,
    SearchOption,
    SiteOption,
)
from aga.cli.console import console, print_document, say
from aga.cli.members import ForceOption, IterationOption, Place, open_committee

if TYPE_CHECKING:
    from aga.structure.protocols import Frame
    from aga.training.scoring.assessment import Assessment

__all__ = ["register"]

MODEL = ".safetensors"
"""Ending of model files."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL FRAMES",
            help="Model files (.safetensors) or a folder with member-*.safetensors (left out: "
            "the committee of a search), then labelled frames: extended XYZ, ASE database, "
            "vasprun.xml, OUTCAR, output of pw.x.",
        ),
    ],
    *,
    by_group: Annotated[
        bool,
        typer.Option(
            "--by-group",
            help="Errors of each group too: `group` or `config_type` of a frame, else its file.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Parity plot to write: PNG, SVG or PDF."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Extended XYZ file of the predictions to write."
        ),
    ] = None,
    force: ForceOption = False,
    device: DeviceOption = None,
    search: SearchOption = None,
    iteration: IterationOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a potential with labelled frames: errors, the worst frames, a parity plot."""
    from aga.report.files import check_new
    from aga.report.predictions import write_predictions
    from aga.training.data.formats import read_files
    from aga.training.scoring.assessment import assess, predict_frames

    models, labelled = _told_apart(files)
    if plot is not None:
        check_new(plot, overwrite=force, endings=(".png", ".svg", ".pdf"))
    if output is not None:
        check_new(output, overwrite=force, endings=(".xyz", ".extxyz"))
    frames = read_files(labelled)
    place = Place(search=search, database=database, launchpad=launchpad, site=site)
    committee = open_committee(models, place, iteration, device)
    predictions = predict_frames(committee, frames)
    assessment = assess(frames, predictions)
    title = f"{committee.version}, members: {len(committee)}, frames: {len(frames)}"
    if output is not None:
        images = [frame.candidate.to_ase() for frame in frames]
        write_predictions(output, images, [frame.name for frame in frames], predictions)
    if plot is not None:
        _draw(frames, assessment, plot, title=title, by_group=by_group)
    if as_json:
        print_document(
            {
                "potential": committee.version,
                "members": len(committee),
                "frames": len(frames),
                "files": [str(path) for path in labelled],
                **{key: value for key, value in assessment.to_dict().items() if key != "splits"},
                "plot": None if plot is None else str(plot),
                "output": None if output is None else str(output),
            }
        )
        return
    _show(assessment, title=title, by_group=by_group)
    for path in (plot, output):
        if path is not None:
            say(f"wrote {path}")


def _told_apart(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Give model files, those of folders in order of their numbers, and files of frames.

    Raises
    ------
    aga.errors.InputError
        A folder without models, or no file of frames.
    """
    from aga.errors import InputError

    models: list[Path] = []
    frames: list[Path] = []
    for path in paths:
        if path.is_dir():
            models += _members(path)
        else:
            (models if path.suffix.lower() == MODEL else frames).append(path)
    if not frames:
        raise InputError(
            "there are no labelled frames to compare with",
            remedy="name a file of frames after the model, such as `aga evaluate potential "
            "test.extxyz`",
        )
    return models, frames


def _members(folder: Path) -> list[Path]:
    from aga.errors import InputError

    found = [(re.fullmatch(r"member-(\d+)", path.stem), path) for path in folder.glob(f"*{MODEL}")]
    members = [path for _, path in sorted((int(m[1]), path) for m, path in found if m)]
    if not members:
        raise InputError(
            f"{folder}: holds no member-*{MODEL}",
            remedy="name the folder that `aga potential export` wrote, or the model files",
            file=str(folder),
        )
    return members


def _show(assessment: Assessment, *, title: str, by_group: bool) -> None:
    from aga.report.assessment import errors_table, worst_table

    document = assessment.to_dict()
    parts = dict(document["groups"]) if by_group else {}
    named = {f"{name} ({errors['frames']})": errors for name, errors in parts.items()}
    screen = console()
    screen.print(errors_table(named | {"all": document["all"]}, title=title))
    screen.print(worst_table(document["worst"]))


def _draw(
    frames: Sequence[Frame], assessment: Assessment, path: Path, *, title: str, by_group: bool
) -> None:
    from aga.cli.parity import draw_parity
    from aga.training.scoring.assessment import group_of

    places: dict[str, list[int]] = {}
    for place, frame in enumerate(frames):
        places.setdefault(group_of(frame) if by_group else "all", []).append(place)
    draw_parity(assessment, {name: places[name] for name in sorted(places)}, path, title=title)
