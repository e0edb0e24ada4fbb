"""`aga potential show`, `export` and `import`: model files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aga.cli.common import DatabaseOption, JsonOption, LaunchpadOption, SearchOption, SiteOption
from aga.cli.console import console, print_document, say
from aga.cli.members import ForceOption, IterationOption, ModelOption, Place, open_committee

if TYPE_CHECKING:
    from aga.potential.kinds import AnyModel
    from aga.potential.n2p2.input import Units

__all__ = ["export", "import_folder", "show"]

FORMATS = ("model", "n2p2")


def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Model file.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a model file holds."""
    from aga.potential.calculator import read_member
    from aga.report.model_tables import model_details, model_document

    model = read_member(file)
    if as_json:
        print_document({"file": str(file), **model_document(model)})
    else:
        console().print(model_details(model))


def export(  # noqa: PLR0913 - each is an option of the command
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder to write.")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="NAME", help="model (files of aga) or n2p2 (and LAMMPS)."
        ),
    ] = "model",
    member: Annotated[
        list[int] | None,
        typer.Option(
            "--member", metavar="N", min=0, help="Only this member, from 0; may be repeated."
        ),
    ] = None,
    model: ModelOption = None,
    search: SearchOption = None,
    iteration: IterationOption = None,
    force: ForceOption = False,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the members of a committee as model files, or for n2p2 and LAMMPS."""
    from aga.errors import InputError

    if form not in FORMATS:
        raise InputError(f"there is no format {form!r}", remedy=f"one of {', '.join(FORMATS)}")
    place = Place(search=search, database=database, launchpad=launchpad, site=site)
    committee = open_committee(model, place, iteration)
    chosen = sorted(set(member or range(len(committee))))
    if chosen[-1] >= len(committee):
        raise InputError(
            f"{committee.version} has no member {chosen[-1]}",
            remedy=f"they are numbered from 0 to {len(committee) - 1}",
        )
    members = {number: committee.models[number] for number in chosen}
    write = _write_models if form == "model" else _write_n2p2
    files = write(members, output, force=force)
    if as_json:
        print_document(
            {
                "potential": committee.version,
                "members": chosen,
                "format": form,
                "files": [str(file) for file in files],
            }
        )
        return
    say(f"wrote {len(chosen)} member{'s' * (len(chosen) != 1)} of {committee.version}:")
    for file in files:
        say(f"  {file}")


def import_folder(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="input.nn, scaling.data and weights.*.data."),
    ],
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Model file to write.")
    ],
    units: Annotated[
        str | None,
        typer.Option(
            "--units",
            metavar="NAME",
            help="bohr-hartree or angstrom-ev, where input.nn does not say it.",
        ),
    ] = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Turn a potential of n2p2 or RuNNer into a model file."""
    from aga.potential.n2p2.read import read_n2p2
    from aga.report.files import check_new, write_whole
    from aga.report.model_tables import model_document

    check_new(output, overwrite=force)
    model = read_n2p2(folder, units=_units(units))
    content = model.to_bytes()
    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, lambda path: _put(path, content))
    document = model_document(model)
    if as_json:
        print_document({"file": str(output), **document})
        return
    counts = document["descriptor"]["count"].items()
    say(f"wrote {output}: {', '.join(f'{el} ({count} functions)' for el, count in counts)}")


def _units(text: str | None) -> Units | None:
    from typing import get_args

    from aga.errors import InputError
    from aga.potential.n2p2.input import Units

    for known in get_args(Units):
        if text == known:
            named: Units = known
            return named
    if text is None:
        return None
    raise InputError(f"there are no units {text!r}", remedy=f"one of {', '.join(get_args(Units))}")


def _write_models(members: dict[int, AnyModel], folder: Path, *, force: bool) -> list[Path]:
    from aga.report.files import check_new, write_whole

    files = {folder / f"member-{number}.safetensors": model for number, model in members.items()}
    for file in files:
        check_new(file, overwrite=force)
    folder.mkdir(parents=True, exist_ok=True)
    for file, model in files.items():
        write_whole(file, lambda path, model=model: _put(path, model.to_bytes()))  # type: ignore[misc] # the default binds the loop variable
    return list(files)


def _write_n2p2(members: dict[int, AnyModel], folder: Path, *, force: bool) -> list[Path]:
    """Write one member into the folder, or several into folders below it."""
    from aga.errors import ModelError
    from aga.potential.model import Model
    from aga.potential.n2p2.write import write_n2p2

    files = []
    for number, model in members.items():
        if not isinstance(model, Model):
            raise ModelError(
                "n2p2 has no smooth Deep Potential descriptor",
                remedy="train with potential.descriptor: symmetry_functions",
            )
        place = folder if len(members) == 1 else folder / f"member-{number}"
        files += write_n2p2(model, place, overwrite=force)
    return files


def _put(path: Path, content: bytes) -> None:
    path.write_bytes(content)
