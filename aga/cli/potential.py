"""`aga potential …`: symmetry functions, model files, what a potential says and how well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aga.cli.common import DatabaseOption, JsonOption, LaunchpadOption, SiteOption, open_handle
from aga.cli.console import console, print_document
from aga.cli.models import export, import_folder, show
from aga.cli.predicting import calibrate, evaluate

if TYPE_CHECKING:
    from aga.potential.symmetry.functions import FunctionSet

__all__ = ["register"]

SUFFIXES = {".yaml", ".yml"}
"""Endings of settings files."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Symmetry functions, model files, energies, calibration."
    )
    group.command("functions")(functions)
    group.command("show")(show)
    group.command("evaluate")(evaluate)
    group.command("calibrate")(calibrate)
    group.command("export")(export)
    group.command("import")(import_folder)
    app.add_typer(group, name="potential")


def functions(  # noqa: PLR0913 - each is an option of the command
    *,
    elements: Annotated[
        str | None,
        typer.Option("--elements", "-e", metavar="LIST", help="Elements, such as Ti,O."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset", metavar="NAME", help="Published set: tio2 or cuauoh; else an automatic one."
        ),
    ] = None,
    cutoff: Annotated[
        float | None, typer.Option("--cutoff", metavar="RADIUS", help="Largest cutoff in Å.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            "-s",
            metavar="WHICH",
            help="That of a settings file, or of a stored search.",
        ),
    ] = None,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the symmetry functions of a preset, of an automatic set or of a search."""
    from aga.errors import InputError
    from aga.report.potential_tables import function_rows, functions_table

    if (elements is None) == (search is None):
        raise InputError(
            "name either elements or a search",
            remedy="such as `--elements Ti,O --preset tio2` or `--search TiO2.yaml`",
        )
    if elements is not None:
        chosen = _function_set(elements, preset, cutoff)
    elif preset is not None or cutoff is not None:
        raise InputError("--preset and --cutoff go with --elements; a search has its own")
    else:
        chosen = _functions_of_search(str(search), database, launchpad, site)
    if not as_json:
        console().print(functions_table(chosen))
        return
    print_document(
        {
            "elements": list(chosen.elements),
            "cutoff": chosen.cutoff,
            "cutoff_function": chosen.cutoff_function,
            "inner": chosen.inner,
            "count": {symbol: len(chosen.of(symbol)) for symbol in chosen.elements},
            "functions": function_rows(chosen),
        }
    )


def _function_set(elements: str, preset: str | None, cutoff: float | None) -> FunctionSet:
    from aga.config.schema import PotentialSettings
    from aga.potential.symmetry import presets

    symbols = elements.replace(",", " ").split()
    if preset is not None:
        named: Any = preset  # another name is refused there
        return presets.preset(named, symbols, cutoff)
    radius = PotentialSettings().radius if cutoff is None else cutoff
    return presets.automatic(symbols, radius)


def _functions_of_search(
    search: str, database: str | None, launchpad: Path | None, site: Path | None
) -> FunctionSet:
    """Give the set of a settings file, or else of a stored search."""
    from aga.config.load import load_settings, settings_from_dict
    from aga.errors import InputError
    from aga.training.fixed import function_set
    from aga.training.recipe import Recipe

    if Path(search).suffix in SUFFIXES or Path(search).is_file():
        settings = load_settings(Path(search), site)
    else:
        with open_handle(search, database, launchpad, site) as handle:
            stored = handle.repository.get_search(handle.id)["settings"]
        settings = settings_from_dict(stored)
    kind = settings.potential.descriptor
    if kind != "symmetry_functions":
        raise InputError(f"{search} describes atoms by {kind}, which has no symmetry functions")
    recipe = Recipe.of_search(settings)
    return function_set(recipe.elements, recipe.potential)
