"""`aga tune thresholds`: what thresholds would have selected from candidates that are there."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

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
from aga.cli.members import ForceOption, ModelOption, Place
from aga.cli.tune_sources import Judged, of_file, of_search

if TYPE_CHECKING:
    from aga.training.selecting.replay import ReplayReport, Request
    from aga.training.selecting.suggestion import Suggestion
    from aga.training.selecting.thresholds import Quantity, Thresholds

__all__ = ["thresholds"]


def thresholds(  # noqa: PLR0913 - each is an option of the command
    *,
    search: SearchOption = None,
    candidates: Annotated[
        Path | None,
        typer.Option(
            "--candidates",
            metavar="FILE",
            help="Structures, labelled or not, in any format ASE reads, instead of those of a "
            "search; needs --model.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    known: Annotated[
        Path | None,
        typer.Option(
            "--known",
            metavar="FILE",
            help="Structures the model files were trained on; the novelty of --candidates needs "
            "them.",
            show_default=False,
        ),
    ] = None,
    quantity: Annotated[
        str, typer.Option("--quantity", metavar="NAME", help="energy, force or novelty.")
    ] = "energy",
    fraction: Annotated[
        float, typer.Option("--fraction", help="Share of the candidates to select.")
    ] = 0.1,
    recall: Annotated[
        float | None,
        typer.Option(
            "--recall",
            help="Share of the wrong predictions to select, instead of --fraction.",
            show_default=False,
        ),
    ] = None,
    error: Annotated[
        float, typer.Option("--error", metavar="MEV", help="Wrong are errors above, in meV/atom.")
    ] = 20.0,
    lower: Annotated[
        list[float] | None,
        typer.Option(
            "--lower",
            metavar="BOUND",
            help="Lower bound to try, in eV/atom, eV/Å or standard deviations; may be given "
            "again. Round numbers where left out.",
            show_default=False,
        ),
    ] = None,
    upper: Annotated[
        float | None,
        typer.Option(
            "--upper",
            metavar="BOUND",
            help="Upper bound of the spread; that of the search where left out.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        float | None,
        typer.Option(
            "--window",
            metavar="EV",
            help="Energy window in eV/atom; that of the search where left out.",
            show_default=False,
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--number", "-n", min=1, help="At most so many per iteration."),
    ] = None,
    diverse: Annotated[
        bool,
        typer.Option("--diverse", help="With --number: those least alike, not the most uncertain."),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Picture to write: PNG, SVG or PDF."),
    ] = None,
    force: ForceOption = False,
    device: DeviceOption = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a threshold would have selected, and suggest one."""
    from aga.errors import InputError
    from aga.report.files import check_new
    from aga.training.selecting.replay import Request, replay
    from aga.training.selecting.suggestion import Target, suggest_adaptive, suggest_fixed

    if plot is not None:
        check_new(plot, overwrite=force, endings=(".png", ".svg", ".pdf"))
    target = Target(fraction=fraction, recall=recall)
    named = _quantity(quantity)
    place = Place(search=search, database=database, launchpad=launchpad, site=site)
    described = named == "novelty" or diverse
    if candidates is None:
        if model or known is not None:
            raise InputError(
                "--model and --known need structures of your own", remedy="add --candidates FILE"
            )
        judged = of_search(place, described=described)
    else:
        if search is not None:
            raise InputError("name either --candidates or a search, not both")
        judged = of_file(candidates, known, model or [], device=device, described=described)
    rules = replace(_rules(judged, named, upper, window), number=number, diversity=diverse)
    request = Request(quantity=named, grid=tuple(lower or ()), thresholds=rules, wrong=error / 1000)
    report = replay(judged.iterations, judged.labels, request)
    told = _Told(
        judged,
        report,
        suggest_fixed(report.replay, target),
        suggest_adaptive(report.replay, target),
    )
    if plot is not None:
        _draw(told, plot)
    document = _document(told, plot)
    if as_json:
        print_document(document)
    else:
        _print(document)


def _quantity(name: str) -> Quantity:
    from typing import get_args

    from aga.errors import InputError
    from aga.training.selecting.thresholds import Quantity

    for known in get_args(Quantity):
        if name == known:
            named: Quantity = known
            return named
    raise InputError(
        f"there is no quantity {name!r}", remedy=f"one of {', '.join(get_args(Quantity))}"
    )


def _rules(
    judged: Judged, quantity: Quantity, upper: float | None, window: float | None
) -> Thresholds:
    """Give the bounds that stay: those of the options, else those of the search."""
    from aga.errors import InputError
    from aga.training.selecting.thresholds import Thresholds

    if upper is not None and quantity == "novelty":
        raise InputError("novelty has no upper bound", remedy="take --upper away")
    energy = quantity == "energy" and upper is not None
    return Thresholds(
        energy_spread_max=upper if energy else judged.upper,
        force_spread_max=upper if quantity == "force" else None,
        energy_window=judged.window if window is None else window,
    )


class _Told(NamedTuple):
    """A dry run with its suggestions."""

    judged: Judged
    report: ReplayReport
    fixed: Suggestion | None
    adaptive: Suggestion | None

    @property
    def request(self) -> Request:
        """What was asked."""
        return self.report.replay.request

    @property
    def upper(self) -> float | None:
        """Upper bound of the quantity."""
        rules = self.request.thresholds
        spreads = {"energy": rules.energy_spread_max, "force": rules.force_spread_max}
        return spreads.get(self.request.quantity)


def _document(told: _Told, plot: Path | None) -> dict[str, Any]:
    from aga.training.selecting.suggestion import notes, spread_and_error

    judged, report = told.judged, told.report
    numbers = [iteration.number for iteration in report.replay.iterations]
    return {
        "search": judged.search,
        "source": judged.source,
        "candidates": report.candidates,
        "iterations": numbers,
        "labelled": report.labelled,
        "wrong": report.wrong,
        "error": told.request.wrong,
        "quantity": told.request.quantity,
        "rank_correlation": spread_and_error(report.replay),
        "rows": [asdict(row) for row in report.rows],
        "suggested": {"fixed": _fixed(told), "adaptive": _adaptive(told, numbers)},
        "notes": notes(report, told.fixed, by_search=judged.search is not None),
        "plot": None if plot is None else str(plot),
    }


def _fixed(told: _Told) -> dict[str, Any] | None:
    """Give the suggested bound, with the settings of a search that there are for it."""
    if told.fixed is None:
        return None
    row = asdict(told.fixed.row)
    bound, settings = row.pop("threshold"), {}
    if told.request.quantity == "energy":
        rules = told.request.thresholds
        named = {
            "spread_min": bound,
            "spread_max": rules.energy_spread_max,
            "energy_window": rules.energy_window,
        }
        settings = {name: value for name, value in named.items() if value is not None}
    return {"lower": bound, "upper": told.upper, "settings": settings, **row}


def _adaptive(told: _Told, numbers: list[int]) -> dict[str, Any] | None:
    if told.adaptive is None:
        return None
    row = asdict(told.adaptive.row)
    quantile = row.pop("threshold")
    pairs = zip(numbers, told.adaptive.bounds, strict=True)
    bounds = [{"iteration": number, "lower": bound} for number, bound in pairs]
    return {"quantile": quantile, "bounds": bounds, **row}


def _draw(told: _Told, path: Path) -> None:
    from aga.report.plots import save_figure
    from aga.report.thresholds_plot import Drawn, thresholds_figure

    again = told.report.replay
    drawn = Drawn(
        quantity=again.request.quantity,
        values=again.values,
        errors=again.errors,
        open=again.open,
        wrong=again.request.wrong,
        upper=told.upper,
        fixed=None if told.fixed is None else told.fixed.row.threshold,
        adaptive=() if told.adaptive is None else told.adaptive.bounds,
    )
    title = f"What a threshold would have selected: {told.judged.search or told.judged.source}"
    save_figure(thresholds_figure(drawn, title=title), path)


def _print(document: dict[str, Any]) -> None:
    from aga.report.thresholds import advice_lines, thresholds_table

    console().print(thresholds_table(document))
    for line in advice_lines(document):
        say(line)
    for note in document["notes"]:
        say(f"- {note}")
    if document["plot"] is not None:
        say(f"wrote {document['plot']}")
