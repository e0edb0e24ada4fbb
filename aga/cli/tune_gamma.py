"""`aga tune gamma`: how soon new structures are learnt with which γ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from aga.cli.common import (
    DatabaseOption,
    JsonOption,
    LaunchpadOption,
    SearchOption,
    SiteOption,
    open_handle,
)
from aga.cli.console import console, print_document, say
from aga.cli.fitting import (
    OptimizerOption,
    PassesOption,
    ProcessesOption,
    SettingsOption,
    cores,
    fit_settings,
)
from aga.cli.members import Place

if TYPE_CHECKING:
    from aga.config.fitting import FitSettings
    from aga.structure.protocols import Frame
    from aga.training.gamma.scan import Inquiry, Scan

__all__ = ["gamma"]


def gamma(  # noqa: PLR0913 - each is an option of the command
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[BASE NEW]",
            help="Labelled frames to begin with, and those that join; else those of a search: "
            "the data of its committee before the last, and what joined for the last.",
            show_default=False,
        ),
    ] = None,
    *,
    search: SearchOption = None,
    gammas: Annotated[
        list[float] | None,
        typer.Option(
            "--gamma",
            metavar="NUMBER",
            help="γ to try; may be given again. [default: 0, 0.5, 1, 2, 3]",
            show_default=False,
        ),
    ] = None,
    targets: Annotated[
        list[float] | None,
        typer.Option(
            "--target",
            metavar="LOSS",
            help="Mean loss to count passes to; may be given again. Chosen from the data where "
            "left out.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings with each γ.")] = 5,
    optimizer: OptimizerOption = None,
    passes: PassesOption = None,
    base_passes: Annotated[
        int | None,
        typer.Option(
            "--base-passes",
            min=1,
            help="Of the training on the base set. [default: as --passes]",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        float,
        typer.Option(
            "--test", metavar="SHARE", help="Share of the base set that no training sees."
        ),
    ] = 0.1,
    settings: SettingsOption = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Folder of the results; the same command goes on there.",
        ),
    ] = Path("gamma-scan"),
    processes: ProcessesOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a scan of other frames or settings.")
    ] = False,
    database: DatabaseOption = None,
    launchpad: LaunchpadOption = None,
    site: SiteOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retrain with new structures by several γ: passes to each loss, and what is forgotten."""
    from aga.training.gamma.frames import check_gammas, divide
    from aga.training.gamma.scan import GAMMAS, Inquiry
    from aga.training.recipe import Recipe

    tried = check_gammas(gammas or GAMMAS)
    wanted = _check_targets(targets or [])
    place = Place(search=search, database=database, launchpad=launchpad, site=site)
    data = _of_files(files, search) if files else _of_search(place)
    chosen = fit_settings(
        settings, {"optimizer": optimizer, "passes": passes}, otherwise=data.settings
    )
    base, held = divide(data.base, data.new, seed=data.seed, held=test)
    inquiry = Inquiry(
        base=base,
        new=data.new,
        held=held,
        recipe=Recipe.for_frames(base, chosen.potential, chosen.training, seed=data.seed),
        gammas=tried,
        seeds=seeds,
        base_passes=base_passes or chosen.training.passes,
    )
    scan = _run(inquiry, output, processes=processes or cores(), force=force)
    document = _document(inquiry, scan, wanted) | {"plot": str(output / "gamma.png")}
    _draw(document, scan, data.source, output / "gamma.png")
    if as_json:
        print_document(document)
    else:
        _print(document)


class _Data(NamedTuple):
    """Frames, where they are from, and the settings and the seed of a search."""

    base: list[Frame]
    new: list[Frame]
    source: str
    settings: FitSettings | None = None
    seed: int = 0


def _check_targets(targets: list[float]) -> tuple[float, ...]:
    from math import isfinite

    from aga.errors import InputError

    for target in targets:
        if not (isfinite(target) and target > 0):
            raise InputError(f"--target {target:g}: a loss is above 0")
    return tuple(sorted(set(targets), reverse=True))


def _of_files(files: list[Path], search: str | None) -> _Data:
    from aga.errors import InputError
    from aga.training.data.formats import read_files

    if search is not None:
        raise InputError("name either files or a search, not both")
    if len(files) != 2:
        raise InputError(
            f"{len(files)} files of frames instead of two",
            remedy="name the file to begin with, then the one of the new frames",
        )
    base = read_files(files[:1])
    both = read_files(files)
    source = f"{files[1].name} joins {files[0].name}"
    return _Data(base, both[len(base) :], source)


def _of_search(place: Place) -> _Data:
    """Take what the last two committees of a search were trained on.

    Raises
    ------
    aga.errors.DatabaseUnavailableError, aga.errors.InputError
        The database does not answer; there is no such search, or it has no two committees of
        different data.
    """
    from aga.config.fitting import FitSettings
    from aga.config.load import settings_from_dict
    from aga.errors import NotFoundError
    from aga.training.recipe import Recipe

    with open_handle(place.search, place.database, place.launchpad, place.site) as handle:
        store, name = handle.repository, handle.id
        committees = store.list_committees(name)
        if len(committees) < 2:
            raise NotFoundError(
                f"search {name} has no second committee: nothing has joined its data yet",
                remedy="wait for its second training, or name two files of frames",
                search=name,
            )
        before, after = (store.dataset_frames(name, one["dataset"]) for one in committees[-2:])
        settings = settings_from_dict(store.get_search(name)["settings"])
    known = {frame.name for frame in before}
    new = [frame for frame in after if frame.name not in known]
    if not new:
        raise NotFoundError(
            f"nothing has joined the data of the last committee of {name}", search=name
        )
    own = FitSettings(potential=Recipe.of_search(settings).potential, training=settings.training)
    source = f"{name}, {committees[-1]['_id'].rpartition('/')[2]}"
    return _Data(before, new, source, own, settings.search.seed)


def _run(inquiry: Inquiry, folder: Path, *, processes: int, force: bool) -> Scan:
    from aga.report.job_progress import JobProgress
    from aga.training.gamma.scan import remaining, run_scan

    with JobProgress(remaining(inquiry, folder), console(stderr=True)) as progress:
        return run_scan(
            inquiry, folder, processes=processes, overwrite=force, progress=progress.tell
        )


def _document(inquiry: Inquiry, scan: Scan, targets: tuple[float, ...]) -> dict[str, Any]:
    from aga.training.gamma.frames import FEW
    from aga.training.gamma.scan import resolution
    from aga.training.gamma.verdict import choose_targets, new_share, scan_document

    recipe = inquiry.recipe
    chosen = targets or choose_targets(scan.runs)
    said = scan_document(scan, chosen, recipe.training.passes)
    if len(inquiry.new) < FEW:
        said["notes"].append(
            f"only {len(inquiry.new)} new frames: take all of this as a hint, other ones may say "
            "something else"
        )
    counts = {"base": len(inquiry.base), "held": len(inquiry.held), "new": len(inquiry.new)}
    return {
        "frames": counts,
        "optimizer": recipe.optimizer,
        "passes": recipe.training.passes,
        "resolution": resolution(inquiry),
        "seeds": inquiry.seeds,
        "new_share": new_share(scan.base, (counts["base"], counts["new"])),
        **said,
    }


def _draw(document: dict[str, Any], scan: Scan, source: str, path: Path) -> None:
    from aga.report.gamma import gamma_figure
    from aga.report.plots import save_figure

    curves = {
        row["gamma"]: [run.curve for run in scan.runs if run.gamma == row["gamma"]]
        for row in document["rows"]
    }
    title = f"{source}: {document['optimizer']}, {document['seeds']} seeds"
    save_figure(gamma_figure(document, curves, title=title), path)


def _print(document: dict[str, Any]) -> None:
    from aga.report.gamma import advice, gamma_table

    console().print(gamma_table(document))
    for line in advice(document):
        say(line)
    for note in document["notes"]:
        say(f"- {note}")
    say(f"wrote {document['plot']}")
