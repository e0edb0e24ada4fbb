"""`aga bench accuracy`: train on public data sets, test, and time the passes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aga.cli.common import JsonOption
from aga.cli.console import console, plain, print_document

__all__ = ["accuracy"]


def accuracy(  # noqa: PLR0913 - each is an option of the command
    *,
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME",
            help="mlearn-Si, mlearn-Mo or tio2; may be given again. All where left out.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            "--data",
            metavar="TRAIN TEST",
            help="Two files of labelled frames instead, or as well: to train on and to test on.",
            show_default=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="FOLDER",
            help="Folder of the data sets; else the one that AGA_BENCH_DATA names.",
            show_default=False,
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes",
            min=0.0,
            help="Time for each training, about; fewer passes are made if need be.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Measure the speed of passes too.")
    ] = True,
    speed_only: Annotated[
        bool, typer.Option("--speed-only", help="Measure the speed of passes and train nothing.")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few frames and passes, to see that all works.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File for the JSON document as well."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train one network on each data set and test it on frames it has never seen."""
    import json
    import os

    # read when torch is loaded: threads of OpenMP that wait by spinning make each other wait by the
    # millisecond where another program works on the machine (measured: 30 times slower)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from aga.bench.accuracy import AccuracyOptions, measure_accuracy
    from aga.bench.accuracy_table import accuracy_tables
    from aga.cli.console import SCHEMA
    from aga.errors import InputError

    if speed_only and not speed:
        raise InputError("--speed-only and --no-speed leave nothing to do", remedy="give one")
    options = AccuracyOptions(
        sets=tuple(sets or ()),
        data=data,
        folder=folder,
        minutes=minutes,
        quick=quick,
        accuracy=not speed_only,
        speed=speed,
    )
    screen = console(stderr=True)
    document = measure_accuracy(options, lambda line: screen.print(line, style="dim"))
    if output is not None:
        text = json.dumps({"schema": SCHEMA, **plain(document)}, ensure_ascii=False, indent=1)
        output.write_text(text + "\n", encoding="utf-8")
    if as_json:
        print_document(document)
    else:
        console().print(accuracy_tables(document))
