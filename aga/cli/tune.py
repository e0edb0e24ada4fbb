"""`aga tune …`: the settings that a user chooses, tried on data that are there already."""

from __future__ import annotations

import typer

from aga.cli.tune_gamma import gamma
from aga.cli.tune_thresholds import thresholds

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(no_args_is_help=True, help="Tune γ and thresholds on your own data.")
    group.callback()(_group)
    group.command("gamma")(gamma)
    group.command("thresholds")(thresholds)
    app.add_typer(group, name="tune")


def _group() -> None:
    """Tune γ and thresholds on your own data."""
