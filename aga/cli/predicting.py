"""`aga potential evaluate` and `calibrate`: what a committee says, and how well."""

from __future__ import annotations

from collections.abc import Sequence
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
    check_device,
    open_handle,
    read_structures,
)
from aga.cli.console import console, print_document, say
from aga.cli.members import ForceOption, IterationOption, ModelOption, Place, open_committee

if TYPE_CHECKING:
    from ase import Atoms

    from aga.potential.kinds import AnyCommittee
    from aga.report.calibration import Panel
    from aga.structure.protocols import Frame, Prediction
    from aga.training.scoring.calibration import Compared

__all__ = ["calibrate", "evaluate"]


def evaluate(  # noqa: PLR0913 - each is an option of the command
    structures: Annotated[
        Path, typer.Argument(metavar="STRUCTURES", help="Structures, in any format ASE reads.")
    ],
    *,
    model: ModelOption = None,
    search: SearchOption = None,
    iteration: IterationOption = None,
    device: DeviceOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Extended XYZ file to write as well."),
    ] = None,
    force: ForceOption = False,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute energies, forces, stresses and their spreads."""
    from aga.potential.atoms import predict_atoms
    from aga.report.files import check_new
    from aga.report.potential_tables import prediction_row, predictions_table
    from aga.report.predictions import write_predictions

    if output is not None:
        check_new(output, overwrite=force)
    images = read_structures(structures)
    names = [_name(image, structures, number, len(images)) for number, image in enumerate(images)]
    place = Place(search=search, database=database, launchpad=launchpad, site=site)
    committee = open_committee(model, place, iteration, device)
    said = predict_atoms(committee, images, names)
    if output is not None:
        write_predictions(output, images, names, said)
    rows = [prediction_row(*one) for one in zip(names, images, said, strict=True)]
    if not as_json:
        title = f"{committee.version}, members: {len(committee)}"
        console().print(predictions_table(rows, title=title))
        if output is not None:
            say(f"wrote {output}")
        return
    print_document(
        {
            "potential": committee.version,
            "members": len(committee),
            "file": None if output is None else str(output),
            "structures": rows,
        }
    )


def calibrate(  # noqa: PLR0913 - each is an option of the command
    *,
    frames: Annotated[
        Path | None,
        typer.Option(
            "--frames",
            metavar="FILE",
            help="Labelled extended XYZ file, best not trained on; else what a search labelled "
            "after its committees were trained.",
            show_default=False,
        ),
    ] = None,
    model: ModelOption = None,
    search: SearchOption = None,
    iteration: IterationOption = None,
    device: DeviceOption = None,
    groups: Annotated[
        int, typer.Option("--groups", min=1, help="Groups of equal size, ordered by spread.")
    ] = 10,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Picture to write: PNG, SVG or PDF."),
    ] = None,
    force: ForceOption = False,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the spread of a committee with its actual errors."""
    from aga.report.calibration import calibration_figure, calibration_table
    from aga.report.files import check_new
    from aga.report.plots import save_figure

    if plot is not None:
        check_new(plot, overwrite=force, endings=(".png", ".svg", ".pdf"))
    place = Place(search=search, database=database, launchpad=launchpad, site=site)
    if frames is not None:
        told = _on_frames(frames, open_committee(model, place, iteration, device))
    else:
        told = _in_hindsight(place, device, named=bool(model) or iteration is not None)
    panels = _panels(told.frames, told.predictions, groups)
    if plot is not None:
        title = f"Predicted spread and actual error: {told.source}"
        save_figure(calibration_figure(panels, title=title), plot)
    if not as_json:
        say(f"{told.potential}, members: {told.members}, {len(told.frames)} frames: {told.source}")
        console().print(*(calibration_table(panel) for panel in panels))
        if plot is not None:
            say(f"wrote {plot}")
        return
    quantities: dict[str, Any] = {panel.quantity: dict(panel.said) for panel in panels}
    rows = zip(told.frames, told.predictions, strict=True)
    print_document(
        {
            "potential": told.potential,
            "members": told.members,
            "source": told.source,
            "energies": quantities["energies"],
            "forces": quantities.get("forces"),
            "frames": [_frame_row(*pair) for pair in rows],
            "plot": None if plot is None else str(plot),
        }
    )


class _Told(NamedTuple):
    """Labelled frames with their predictions: by what, of how many members, and from where."""

    frames: Sequence[Frame]
    predictions: Sequence[Prediction]
    potential: str
    members: int
    source: str


def _on_frames(path: Path, committee: AnyCommittee) -> _Told:
    from aga.potential.atoms import predict_many
    from aga.training.data.formats import read_frames

    frames = read_frames(path)
    said = predict_many(committee, [frame.candidate for frame in frames])
    return _Told(frames, said, committee.version, len(committee), path.name)


def _in_hindsight(place: Place, device: str | None, *, named: bool) -> _Told:
    """Take what a search labelled after its committees were trained."""
    from aga.errors import InputError
    from aga.tasks.hindsight import foretold

    if named:
        raise InputError("--model and --iteration need labelled frames", remedy="add --frames FILE")
    where = check_device(device or "auto")
    with open_handle(place.search, place.database, place.launchpad, place.site) as handle:
        found = foretold(handle.repository, handle.id, device=where)
    source = "picks, each by the committee before its label"
    return _Told(found.frames, found.predictions, handle.id, found.members, source)


def _panels(frames: Sequence[Frame], predictions: Sequence[Prediction], groups: int) -> list[Panel]:
    from aga.training.scoring.calibration import compare_energies, compare_forces

    panels = [
        _panel("energies", ("meV/atom", 1000.0), compare_energies(frames, predictions), groups)
    ]
    forces = compare_forces(frames, predictions)
    if forces is not None:
        panels.append(_panel("forces", ("eV/Å", 1.0), forces, groups))
    return panels


def _panel(quantity: str, shown: tuple[str, float], compared: Compared, groups: int) -> Panel:
    from aga.report.calibration import Panel
    from aga.training.scoring.calibration import calibrate as calibrated

    return Panel(
        quantity=quantity,
        unit=shown[0],
        factor=shown[1],
        spread=compared.spread,
        error=compared.error,
        said=calibrated(compared, groups).to_dict(),
    )


def _frame_row(frame: Frame, said: Prediction) -> dict[str, Any]:
    """Give spread and error of one frame: eV/atom, and eV/Å as root mean square over atoms."""
    import numpy as np

    error = None
    if frame.forces is not None:
        error = float(np.sqrt(np.mean(np.sum((said.forces - frame.forces) ** 2, axis=1))))
    return {
        "name": frame.name,
        "energy_spread": said.energy_spread,
        "energy_error": (said.energy - frame.energy) / len(frame.candidate),
        "force_spread": float(np.sqrt(np.mean(said.forces_spread**2))),
        "force_error": error,
    }


def _name(image: Atoms, path: Path, place: int, count: int) -> str:
    stem = path.name.split(".")[0]
    own = image.info.get("name") or image.info.get("id")
    return str(own or (f"{stem}-{place:05d}" if count > 1 else stem))
