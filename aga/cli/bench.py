"""`aga bench …`: how fast the potential is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aga.cli.bench_accuracy import accuracy
from aga.cli.bench_optimizers import optimizers
from aga.cli.bench_schedule import schedule
from aga.cli.bench_search import search
from aga.cli.bench_volume import volume
from aga.cli.common import DeviceOption, JsonOption, check_device
from aga.cli.console import console, plain, print_document

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Measure aga on this machine.")
    group.callback()(_group)
    group.command("speed")(speed)
    group.command("device")(device)
    group.command("accuracy")(accuracy)
    group.command("optimizers")(optimizers)
    group.command("schedule")(schedule)
    group.command("volume")(volume)
    group.command("search")(search)
    app.add_typer(group, name="bench")


def _group() -> None:
    """Measure aga on this machine."""


def speed(
    *,
    case: Annotated[
        list[str] | None,
        typer.Option(
            "--case",
            metavar="NAME",
            help="anatase, rutile, silicon or random; may be given again. All where left out.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One repetition and fewer cells.")] = False,
    relax: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Measure relaxations too.")
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File for the JSON document as well."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the potential side by side with its peers."""
    import json

    from aga.bench.speed import Options, measure
    from aga.bench.tables import speed_tables
    from aga.cli.console import SCHEMA

    options = Options(cases=tuple(case or ()), quick=quick, relax=relax)
    screen = console(stderr=True)
    document = measure(options, lambda line: screen.print(line, style="dim"))
    if output is not None:
        text = json.dumps({"schema": SCHEMA, **plain(document)}, ensure_ascii=False, indent=1)
        output.write_text(text + "\n", encoding="utf-8")
    if as_json:
        print_document(document)
    else:
        console().print(speed_tables(document))


def device(
    *,
    device: DeviceOption = None,
    cells: Annotated[
        list[int] | None,
        typer.Option(
            "--cells",
            min=1,
            help="Cells of 12 atoms in a batch; may be given again. [default: 1 to 1024]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the committee on a GPU beside the processor."""
    from aga.bench.device_table import device_table
    from aga.bench.devices import DeviceOptions, measure_devices

    where = check_device(device or "auto")
    options = (
        DeviceOptions(device=where)
        if cells is None
        else DeviceOptions(device=where, cells=tuple(cells))
    )
    screen = console(stderr=True)
    document = measure_devices(options, lambda line: screen.print(line, style="dim"))
    if as_json:
        print_document(document)
    else:
        console().print(device_table(document))
