"""`aga bench optimizers`: how far each optimizer gets on a user's own frames."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aga.cli.common import JsonOption
from aga.cli.console import console, print_document, say
from aga.cli.fitting import ProcessesOption, SettingsOption, cores, fit_settings

__all__ = ["optimizers"]


def optimizers(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FRAMES...",
            help="Labelled frames: extended XYZ, ASE database, vasprun.xml, OUTCAR, pw.x output.",
        ),
    ],
    *,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            "--optimizer",
            metavar="NAME",
            help="One to try; may be given again. All where left out.",
            show_default=False,
        ),
    ] = None,
    passes: Annotated[int, typer.Option("--passes", min=1, help="Of each training.")] = 100,
    test: Annotated[
        float, typer.Option("--test", metavar="SHARE", help="Share of the frames held out.")
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, split, shuffling.")] = 0,
    settings: SettingsOption = None,
    processes: ProcessesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train one network by each optimizer from the same weights, and compare the losses."""
    from aga.bench.optimizers import Contest, check_optimizers, measure_optimizers
    from aga.bench.optimizers_table import optimizers_table
    from aga.report.job_progress import JobProgress
    from aga.training.data.formats import read_files
    from aga.training.recipe import Recipe

    names = check_optimizers(optimizer or [])
    chosen = fit_settings(settings, {"passes": passes, "validation_fraction": test})
    frames = read_files(files)
    contest = Contest(
        recipe=Recipe.for_frames(frames, chosen.potential, chosen.training, seed=seed),
        held=test,
        optimizers=names,
    )
    with JobProgress(dict.fromkeys(names, passes), console(stderr=True)) as progress:
        document = measure_optimizers(
            frames, contest, processes=processes or cores(), progress=progress.tell
        )
    if as_json:
        print_document(document)
        return
    console().print(optimizers_table(document))
    for row in document["rows"]:
        if row["diverged"]:
            say(f"{row['optimizer']}: {row['diverged']}")
