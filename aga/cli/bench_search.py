"""`aga bench search`: how many reference calls each way of searching needs to a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aga.cli.common import JsonOption
from aga.cli.console import console, print_document, say

__all__ = ["search"]


def search(  # noqa: PLR0913 - each is an option of the command
    *,
    problem: Annotated[
        list[str] | None,
        typer.Option(
            "--problem",
            metavar="NAME",
            help="A problem that ships, or a YAML file; may be given again. All where left out.",
            show_default=False,
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            metavar="NAME",
            help="A way of searching; may be given again. All where left out.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds",
            min=1,
            help="Runs of each arm. [default: 20; 100 of direct arms where a run takes a second]",
            show_default=False,
        ),
    ] = None,
    cap: Annotated[
        int | None,
        typer.Option(
            "--cap",
            min=1,
            help="Reference calls of a direct run at most. [default: the problem's]",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Runs at a time; 0 sums up what is there. [default: as there are cores]",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Cut every run down to seconds, to try the command.")
    ] = False,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", help="Finished runs, kept and not done again."
        ),
    ] = Path("bench-search"),
    any_code: Annotated[
        bool,
        typer.Option("--any-code", help="Count finished runs of other versions of aga too."),
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--page",
            metavar="FILE",
            help="Markdown page to write table and pictures into; the runs beside it count too.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search for known answers in several ways and count the reference calls."""
    from aga.bench.search.arms import check_arms
    from aga.bench.search.measure import Comparison, measure_searches
    from aga.bench.search.page import check_page, runs_of, save_pictures, write_page
    from aga.bench.search.problems import find_problems
    from aga.bench.search.progress import SearchProgress
    from aga.bench.search.provenance import footer, left_out_lines
    from aga.bench.search.results import ResultsFile
    from aga.bench.search.table import search_table
    from aga.cli.fitting import cores

    comparison = Comparison(
        problems=find_problems(problem or []),
        arms=check_arms(arm or []),
        seeds=seeds,
        cap=cap,
        quick=quick,
    )
    if page is not None:
        check_page(page)
    published = None if page is None else runs_of(page)
    results = ResultsFile(output, any_code=any_code, published=published)
    number = cores() if workers is None else workers
    todo = len(results.missing(comparison.jobs())) if number else 0
    screen, jobs = console(stderr=True), comparison.jobs()
    for line in left_out_lines(results.left_out(jobs), results.unidentified(jobs)):
        screen.print(line, markup=False)  # at once: doing them again may take days
    with SearchProgress(todo, screen) as progress:
        document = measure_searches(comparison, results, workers=number, progress=progress.tell)
    records = results.of(comparison.jobs())
    save_pictures(records, output)
    if page is not None:
        write_page(page, document, records)
    if as_json:
        print_document(document)
        return
    console().print(search_table(document))
    if document["runs"]:
        say(footer(document))
    say(f"runs and pictures: {output}")
    if document["missing"]:
        say(f"{document['missing']} runs are missing")
