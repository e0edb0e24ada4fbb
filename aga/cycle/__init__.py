"""The story of one generation, one iteration and one search, as functions over the protocols.

Nothing here knows of FireWorks or a database: the steps of a stored search call these
functions, and so does :func:`run_search`, which runs a whole search in one process.
"""

from __future__ import annotations

from aga.cycle.generation import Generation, Heritage, breed, population_of, survivor
from aga.cycle.iteration import (
    Labelled,
    asked_again,
    choose,
    finalists,
    judge,
    known_structures,
    newcomers,
    prepared,
)
from aga.cycle.whole import Outcome, Train, Trained, run_search

__all__ = [
    "Generation",
    "Heritage",
    "Labelled",
    "Outcome",
    "Train",
    "Trained",
    "asked_again",
    "breed",
    "choose",
    "finalists",
    "judge",
    "known_structures",
    "newcomers",
    "population_of",
    "prepared",
    "run_search",
    "survivor",
]
