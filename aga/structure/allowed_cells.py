"""The cells that a search allows, and which crystals have one."""

from __future__ import annotations

from aga.config import SearchSettings
from aga.structure.candidate import Candidate
from aga.structure.supercells import of_size

__all__ = ["allowed_sizes", "in_allowed_cell"]


def allowed_sizes(settings: SearchSettings) -> list[int]:
    """Give the numbers of atoms that a cell of the search may have, ascending."""
    return [sum(settings.atom_counts(units).values()) for units in settings.unit_range()]


def in_allowed_cell(candidate: Candidate, settings: SearchSettings) -> Candidate | None:
    """Describe a crystal by a cell with a number of atoms that the search allows.

    Parameters
    ----------
    candidate
        Of the search's composition, in any cell.
    settings
        Of the search.

    Returns
    -------
    Candidate or None
        As it is where its own cell will do; None where none will.
    """
    sizes = allowed_sizes(settings)
    if len(candidate) in sizes:
        return candidate
    return of_size(candidate, sizes, settings.symmetry_tolerance)
