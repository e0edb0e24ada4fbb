"""`aga train`: a potential from labelled files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import JsonOption
from aga.cli.console import console, print_document, say
from aga.cli.fitting import (
    OptimizerOption,
    PassesOption,
    ProcessesOption,
    SettingsOption,
    cores,
    fit_settings,
)
from aga.cli.members import ForceOption

if TYPE_CHECKING:
    from aga.config.fitting import FitSettings
    from aga.structure.protocols import Frame
    from aga.training.folder import Earlier
    from aga.training.members import Crew
    from aga.training.project import Trained
    from aga.training.recipe import Recipe

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FRAMES...",
            help="Labelled frames: extended XYZ, ASE database, vasprun.xml, OUTCAR, pw.x output.",
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder to write. [default: the first file's name and -potential]",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOption = None,
    members: Annotated[
        int | None,
        typer.Option(
            "--members", min=1, help="Networks. [default: potential.members]", show_default=False
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--start",
            metavar="FOLDER",
            help="Folder of an earlier training to go on from with more frames.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            min=0,
            help="Of weights, splits, shuffling. [default: 0, or that of --start]",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        float | None,
        typer.Option("--test", metavar="SHARE", help="training.test_fraction", show_default=False),
    ] = None,
    by_group: Annotated[
        bool, typer.Option("--by-group", help="Split by groups, and tell the errors of each.")
    ] = False,
    optimizer: OptimizerOption = None,
    passes: PassesOption = None,
    gamma: Annotated[
        float | None,
        typer.Option("--gamma", min=0, help="training.focal_gamma", show_default=False),
    ] = None,
    processes: ProcessesOption = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of each.")] = 1,
    ranks: Annotated[
        int, typer.Option("--ranks", min=1, help="MPI ranks that share each member's frames.")
    ] = 1,
    stress_check: Annotated[
        bool,
        typer.Option(
            "--stress-check/--no-stress-check",
            help="Compare sign and unit of the stress with what energies and forces say.",
        ),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, train nothing.")
    ] = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a potential on labelled frames; the same command goes on where it was interrupted."""
    from aga.training.data.formats import read_files
    from aga.training.folder import check_folder, read_earlier
    from aga.training.members import Crew
    from aga.training.recipe import Recipe

    # threads that wait for their turn must not keep a core from those that have it
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    folder = output or Path(f"{files[0].name.split('.')[0]}-potential")
    check_folder(folder, overwrite=force)
    changed = {
        "test_fraction": test,
        "optimizer": optimizer,
        "passes": passes,
        "focal_gamma": gamma,
        "test_by_group": by_group or None,
    }
    earlier = None if start is None else read_earlier(start)
    chosen = fit_settings(settings, changed, otherwise=_settings_of(earlier))
    frames = read_files(files)
    numbers = _members(members, chosen, earlier)
    number = seed if seed is not None or earlier is None else earlier.recipe.seed
    recipe = Recipe.for_frames(frames, chosen.potential, chosen.training, seed=number or 0)
    at_once = min(len(numbers), processes or cores() // (threads * ranks) or 1)
    crew = Crew(processes=at_once, threads=threads, ranks=ranks, folder=folder / "checkpoints")
    if dry_run:
        _tell_plan(frames, recipe, numbers, as_json=as_json)
        return
    if stress_check and recipe.training.prefactors()[2] != (0.0, 0.0):
        _check_stress(frames, recipe, threads)
    trained = _train(frames, recipe, numbers, crew, earlier)
    written = _write(folder, files, frames, recipe, trained)
    _tell(trained, written, folder, by_group=by_group, as_json=as_json)


def _settings_of(earlier: Earlier | None) -> FitSettings | None:
    """Give the settings of an earlier training: those of one that goes on from it."""
    from aga.config.fitting import FitSettings

    if earlier is None:
        return None
    recipe = earlier.recipe
    return FitSettings(potential=recipe.potential, training=recipe.training)


def _members(wanted: int | None, chosen: FitSettings, earlier: Earlier | None) -> list[int]:
    """Give the numbers of the members.

    Raises
    ------
    aga.errors.InputError
        Another number of them than the training has that this one goes on from.
    """
    from aga.errors import InputError

    if earlier is None:
        return list(range(wanted or chosen.potential.members))
    if wanted not in {None, len(earlier.models)}:
        raise InputError(
            f"--members {wanted}: the earlier training has {len(earlier.models)}",
            remedy="leave --members away",
        )
    return list(range(len(earlier.models)))


def _check_stress(frames: list[Frame], recipe: Recipe, threads: int) -> None:
    from aga.training.fit import Workshop
    from aga.training.scoring.stress_check import check_stress

    if any(frame.stress is not None for frame in frames):
        console(stderr=True).print("comparing the stress with energies and forces", style="dim")
        check_stress(frames, recipe, Workshop(threads=threads))


def _train(
    frames: list[Frame],
    recipe: Recipe,
    numbers: list[int],
    crew: Crew,
    earlier: Earlier | None,
) -> Trained:
    from aga.report.training_progress import TrainingProgress
    from aga.training.project import train_potential

    previous = None if earlier is None else (earlier.models, earlier.frames)
    passes = recipe.training.passes
    with TrainingProgress(numbers, passes, console(stderr=True)) as progress:
        return train_potential(
            frames, recipe, numbers, crew, previous=previous, progress=progress.tell
        )


def _tell_plan(frames: list[Frame], recipe: Recipe, numbers: list[int], *, as_json: bool) -> None:
    from aga.training.folder import plan_document

    document = plan_document(frames, recipe, numbers)
    if as_json:
        print_document(document)
        return
    say(
        f"{document['frames']} frames of {', '.join(document['elements'])}: "
        f"{document['test']} to test on, {document['known']} to train on, of which each of "
        f"{document['members']} members keeps about {document['validation']} for validation"
    )
    say(
        f"{document['functions']} functions of each atom, networks of {document['parameters']} "
        f"parameters in all, trained by {document['optimizer']} for at most "
        f"{document['passes']} passes"
    )


def _write(
    folder: Path, files: list[Path], frames: list[Frame], recipe: Recipe, trained: Trained
) -> list[Path]:
    """Write model files, the record of the training and the pictures; give what was written."""
    from aga.cli.parity import draw_parity
    from aga.report.learning import learning_figure
    from aga.report.plots import save_figure
    from aga.training.folder import write_folder

    written = write_folder(folder, [str(path) for path in files], frames, recipe, trained)
    title = f"{folder.name}: {len(frames)} frames, {len(trained.results)} members"
    curves = [result.history for result in trained.results]
    written.append(save_figure(learning_figure(curves, title=title), folder / "learning.png"))
    parity = folder / "parity.png"
    draw_parity(trained.assessment, trained.division.splits(), parity, title=title)
    return [*written, parity]


def _tell(
    trained: Trained, written: list[Path], folder: Path, *, by_group: bool, as_json: bool
) -> None:
    from aga.report.assessment import errors_table, worst_table
    from aga.report.retention import retention_table
    from aga.training.folder import report_document

    document = report_document(trained)
    if as_json:
        print_document({"folder": str(folder), **document, "files": [str(f) for f in written]})
        return
    parts = {f"{name} ({errors['frames']})": errors for name, errors in document["splits"].items()}
    if by_group:
        parts |= {f"{n} ({errors['frames']})": errors for n, errors in document["groups"].items()}
    screen = console()
    screen.print(errors_table(parts, title=f"errors of the {len(trained.results)} members' mean"))
    screen.print(worst_table(document["worst"]))
    if document["retained"] is not None:
        screen.print(retention_table(document["retained"]))
    for name, why in document["quarantined"].items():
        say(f"left out: {name}: {why}")
    for member in document["members"]:
        if member["diverged"] is not None:
            say(f"member {member['member']} diverged and kept its weights: {member['diverged']}")
    say(f"wrote {', '.join(path.name for path in written)} into {folder}")
    say(f"next: `aga evaluate {folder} FRAMES`, `aga potential export --model …`")
