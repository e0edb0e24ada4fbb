"""`aga init`, `aga check`, `aga schema`: the settings file before a search."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from aga.cli.common import JsonOption, SiteOption
from aga.cli.console import print_document, say

__all__ = ["register"]

OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="File to write; - prints it."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("check")(check)
    app.command("schema")(schema)


def init(
    composition: Annotated[
        str, typer.Argument(help="Chemical formula, such as Si8 or TiO2.", show_default=False)
    ],
    *,
    oracle: Annotated[
        str | None,
        typer.Option("--oracle", metavar="ENGINE", help="Reference method, such as espresso."),
    ] = None,
    output: OutputOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a commented settings file for a composition."""
    from aga.config.init import commented_settings

    text = commented_settings(composition, oracle, **_engine_options(oracle))
    path = output or Path(f"{composition.strip()}.yaml")
    if str(path) == "-":
        say(text.rstrip("\n"))
        return
    _write_new(path, text, force=force)
    if as_json:
        print_document({"file": str(path), "composition": composition, "engine": oracle})
    else:
        say(f"wrote {path}")
        say(f"next: `aga check {path}`, then `aga run {path}`")


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Settings file.")],
    *,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a settings file; every mistake is told at once."""
    from aga.cli.common import read_settings
    from aga.oracle.registry import resolve_engine
    from aga.search.initial import initial_sizes
    from aga.structure.allowed_cells import allowed_sizes
    from aga.structure.volume import target_volume_per_atom
    from aga.training.recipe import Recipe

    settings = read_settings(file, site)
    atoms = settings.search.atom_counts()
    low, high = settings.search.unit_range()[0], settings.search.unit_range()[-1]
    recipe = Recipe.of_search(settings)
    preset = recipe.potential.preset
    first = initial_sizes(settings.search)
    facts = {
        "ok": True,
        "file": str(file),
        "search": settings.search_id(),
        "composition": str(settings.search.composition),
        "atoms": atoms,
        "formula_units": [low, high],
        "engine": resolve_engine(settings.oracle.engine, atoms),
        "initial_atoms": first,
        "volume_per_atom": round(target_volume_per_atom(settings.search), 3),
        "cutoff": None if preset else recipe.potential.radius,
        "digest": settings.digest(),
    }
    if as_json:
        print_document(facts)
        return
    cell = " ".join(f"{n} {element}" for element, n in atoms.items())
    if low < high:
        cell = f"{low} to {high} {settings.search.composition} (at most {cell})"
    budget = settings.search.budget
    say(f"{file}: fine")
    say(f"search {facts['search']}: {cell} per cell, reference method {facts['engine']},")
    say(f"at most {budget.reference_calls} reference calls in {budget.iterations} iterations")
    sight = f"preset {preset}" if preset else f"cutoff {facts['cutoff']:g} Å"
    say(f"about {facts['volume_per_atom']:.1f} Å³ per atom, potentials with {sight}")
    if first != allowed_sizes(settings.search):
        sizes = " or ".join(map(str, first))
        say(f"first crystals of {sizes} atoms: smaller cells show too few surroundings")


def schema(output: OutputOption = None) -> None:
    """Print the JSON Schema of settings files, for editors."""
    import json

    from aga.config.schema_json import json_schema
    from aga.oracle.registry import options_schema

    text = json.dumps(json_schema(options_schema()), indent=1, ensure_ascii=False)
    if output is None or str(output) == "-":
        say(text)
        return
    output.write_text(text + "\n", encoding="utf-8")
    say(f"wrote {output}; begin settings files with")
    say(f"# yaml-language-server: $schema={output}")


def _engine_options(oracle: str | None) -> dict[str, Any]:
    """Give the options of an engine, with the problems of its name told before a file is there."""
    if oracle is None:
        return {}
    from aga.config.schema import MachineSettings, OracleSettings
    from aga.errors import SettingsError
    from aga.oracle.registry import check_oracle, engine_names, options_schema

    if oracle not in (*engine_names(), "auto"):
        problems = check_oracle(OracleSettings(engine=oracle), MachineSettings(), [])
        if problems:
            raise SettingsError(problems)
    return {"options_schema": options_schema().get(oracle)}


def _write_new(path: Path, text: str, *, force: bool) -> None:
    from aga.errors import InputError

    try:
        with path.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(
            f"{path} exists already",
            remedy="name another file with -o, or replace it with --force",
            file=str(path),
        ) from None
