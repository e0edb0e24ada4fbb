"""`aga bench schedule`: how well the schedules use their workers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aga.cli.common import JsonOption
from aga.cli.console import SCHEMA, console, plain, print_document, say

__all__ = ["schedule"]


def schedule(  # noqa: PLR0913 - each is an option of the command
    *,
    ga: Annotated[
        list[int] | None,
        typer.Option(
            "--ga",
            min=1,
            help="GA workers; may be given again. [default: 1, 2]",
            show_default=False,
        ),
    ] = None,
    oracle: Annotated[
        list[int] | None,
        typer.Option(
            "--oracle",
            min=1,
            help="DFT workers; may be given again. [default: 2, 4, 8]",
            show_default=False,
        ),
    ] = None,
    large: Annotated[
        bool, typer.Option("--large/--no-large", help="Measure 16 and 64 workers too.")
    ] = True,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare the schedules once, in a few minutes.")
    ] = False,
    database: Annotated[
        str | None,
        typer.Option(
            "--database",
            "-d",
            metavar="URI",
            help="Database to measure with; else an embedded server of its own.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder for schedule.json, gantt.png and throughput.png.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the schedules with real workers and jobs that take a set time."""
    import json

    from aga.bench.schedule.measure import Options, default_cases, measure_schedule
    from aga.bench.schedule.measure import quick as quickly
    from aga.bench.schedule.table import gantt, schedule_table, throughput_figure
    from aga.report.plots import save_figure

    cases = default_cases(ga or (1, 2), oracle or (2, 4, 8), large=large)
    finished = (100, 10_000)
    if quick:
        cases, finished = quickly(default_cases((2,), (8,), large=False)), (100, 1_000)
    folder = None if output is None else output.resolve()
    options = Options(cases=cases, finished=finished, database=database)
    screen = console(stderr=True)
    with screen.status("starting") as status:

        def show(text: str) -> None:
            status.update(text)

        measured = measure_schedule(options, show)
    document = measured.to_dict()
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"schema": SCHEMA, **plain(document)}, ensure_ascii=False, indent=1)
        (folder / "schedule.json").write_text(text + "\n", encoding="utf-8")
        save_figure(throughput_figure(measured), folder / "throughput.png")
        if (chart := gantt(measured)) is not None:
            save_figure(chart, folder / "gantt.png")
    if as_json:
        print_document(document)
        return
    console().print(schedule_table(measured))
    if folder is not None:
        say(f"pictures and numbers: {folder}")
