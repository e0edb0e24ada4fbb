"""The step that begins a search: its first structures."""

from __future__ import annotations

from typing import Any

from aga.search.initial import initial_structures
from aga.structure.protocols import Frame
from aga.tasks.context import StepContext
from aga.training.data.formats import read_files

__all__ = ["seed"]


def seed(context: StepContext) -> dict[str, Any]:
    """Make the initial structures; take over the user's own labelled frames."""
    repository, search_id = context.repository, context.search_id
    candidates = initial_structures(context.settings.search)
    repository.put_candidates(search_id, 0, candidates)
    data = _own_data(context)
    repository.put_frames(search_id, 0, data)
    return {"label": [c.name for c in candidates], "data": [f.name for f in data]}


def _own_data(context: StepContext) -> list[Frame]:
    elements = sorted(context.settings.search.atom_counts())
    return read_files(context.settings.training.data, elements)
