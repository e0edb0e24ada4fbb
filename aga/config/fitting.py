"""Settings of a training from labelled files, without a search."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import Field

from aga.config.base import Section
from aga.config.load import load_settings
from aga.config.potential import PotentialSettings
from aga.config.training import TrainingSettings

__all__ = ["FIT_DEFAULTS", "FitSettings", "load_fit_settings"]

FIT_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "potential": {"functions": "fine", "cutoff": 5.5, "hidden": (30, 30)},
    "training": {
        "passes": 400,
        "energy_scale": None,
        "test_fraction": 0.1,
        "smoothness": 0.01,
        "patience": 200,
        "focal_gamma": 0.0,
    },
}
"""Defaults that differ from a search's: there are hundreds of frames, and all of them count."""


class FitSettings(Section):
    """The sections of the settings that a training needs."""

    potential: PotentialSettings = Field(
        default_factory=lambda: PotentialSettings(**FIT_DEFAULTS["potential"])
    )
    training: TrainingSettings = Field(
        default_factory=lambda: TrainingSettings(**FIT_DEFAULTS["training"])
    )


def load_fit_settings(path: Path | str | None = None) -> FitSettings:
    """Read the sections ``potential`` and ``training`` of a settings file.

    Parameters
    ----------
    path
        A file with these sections alone, in which a key that is left out has the default of
        :data:`FIT_DEFAULTS`; or that of a whole search, which is taken as the search takes it.
        All defaults where None.

    Raises
    ------
    aga.errors.InputError, aga.errors.SettingsError
        As :func:`aga.config.load.load_settings`.
    """
    if path is None:
        return FitSettings()
    settings = load_settings(path, defaults=FIT_DEFAULTS)
    return FitSettings(potential=settings.potential, training=settings.training)
