"""The parity plot of an assessment, with one colour for each of some sets of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aga.training.scoring.assessment import Assessment

__all__ = ["draw_parity"]


def draw_parity(
    assessment: Assessment, places: Mapping[str, Sequence[int]], path: Path, *, title: str
) -> None:
    """Draw predictions against labels; ``places`` are the frames of each set by its name."""
    from aga.report.assessment import UNITS
    from aga.report.parity import Panel, parity_figure
    from aga.report.plots import save_figure

    units = {**UNITS, "energy": "eV/atom"}
    scores: dict[str, Any] = assessment.all.to_dict()
    panels = []
    for quantity, whole in assessment.parity.items():
        parts = {name: whole.of(chosen) for name, chosen in places.items()}
        panels.append(
            Panel(
                quantity=quantity,
                unit=units[quantity],
                series={name: (part.reference, part.predicted) for name, part in parts.items()},
                said=scores[quantity],
                error_unit=UNITS[quantity],
            )
        )
    save_figure(parity_figure(panels, title=title), path)
