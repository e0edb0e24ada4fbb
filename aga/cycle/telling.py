"""How a search in one process found its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aga.config import SearchSettings
from aga.search.convergence import IterationRecord
from aga.search.discovery import sightings
from aga.search.individual import Individual
from aga.search.results import Result, discovered
from aga.structure.candidate import Candidate
from aga.structure.protocols import Frame

__all__ = ["told"]


def told(
    results: Sequence[Result],
    bred: Sequence[Sequence[Individual]],
    frames: Sequence[Frame],
    history: Sequence[IterationRecord],
    settings: SearchSettings,
) -> tuple[Result, ...]:
    """Say of each result how often and when it was found, as a stored search does.

    Parameters
    ----------
    results
        Ranked.
    bred
        What each iteration relaxed, from iteration 1.
    frames
        Labelled structures.
    history
        Records of the iterations.
    settings
        Of the search.
    """
    known = {frame.name: frame.candidate for frame in frames}
    known |= {one.name: one.candidate for part in bred for one in part}

    def geometries(names: Sequence[str]) -> Mapping[str, Candidate]:
        return {name: known[name] for name in names if name in known}

    parts = (sightings(part, iteration) for iteration, part in enumerate(bred, 1))
    calls = {record.iteration: record.reference_calls for record in history}
    return tuple(discovered(results, parts, geometries, settings, calls))
