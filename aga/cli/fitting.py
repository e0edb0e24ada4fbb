"""Options of commands that train from labelled files, and the settings that they lead to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from aga.config.fitting import FitSettings

__all__ = [
    "OptimizerOption",
    "PassesOption",
    "ProcessesOption",
    "SettingsOption",
    "cores",
    "fit_settings",
]

SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        help="File with sections `potential` and `training`; may be that of a search.",
        show_default=False,
    ),
]
OptimizerOption = Annotated[
    str | None,
    typer.Option("--optimizer", metavar="NAME", help="training.optimizer", show_default=False),
]
PassesOption = Annotated[
    int | None, typer.Option("--passes", min=1, help="training.passes", show_default=False)
]
ProcessesOption = Annotated[
    int | None,
    typer.Option(
        "--processes",
        min=1,
        help="Trainings at a time. [default: as there are cores]",
        show_default=False,
    ),
]


def cores() -> int:
    """Give the cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


def fit_settings(
    path: Path | None, changed: Mapping[str, Any], *, otherwise: FitSettings | None = None
) -> FitSettings:
    """Read the settings of a training, and change what options say.

    Parameters
    ----------
    path
        Settings file; None for ``otherwise``, or where that is None too for the defaults.
    changed
        Keys of ``training`` and their values; those that are None are left as they are.
    otherwise
        Settings that are there without a file.

    Raises
    ------
    aga.errors.InputError, aga.errors.SettingsError
        As :func:`aga.config.fitting.load_fit_settings`; also for an option's value that the
        setting can't have.
    """
    from pydantic import ValidationError

    from aga.config.fitting import load_fit_settings
    from aga.config.training import TrainingSettings
    from aga.errors import InputError

    settings = load_fit_settings(path) if path is not None or otherwise is None else otherwise
    try:
        training = TrainingSettings.model_validate(
            settings.training.model_dump(exclude_unset=True)
            | {key: value for key, value in changed.items() if value is not None}
        )
    except ValidationError as error:
        what = "; ".join(
            f"training.{'.'.join(str(part) for part in one['loc'])}: {one['msg']}"
            for one in error.errors(include_url=False)
        )
        raise InputError(what, remedy="`--help` shows what the options mean") from error
    return settings.model_copy(update={"training": training})
