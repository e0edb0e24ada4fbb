"""The genetic algorithm: proposals, population, acquisition, convergence, results.

Pure functions over the protocols of :mod:`aga.structure.protocols`; nothing here knows how a
structure is relaxed, labelled or stored.
"""

from __future__ import annotations

from aga.search.acquisition import Acquisition, Pick, acquire
from aga.search.convergence import (
    BestStructure,
    IterationRecord,
    Verdict,
    assess,
    record_iteration,
)
from aga.search.individual import Individual, Known, describe, known
from aga.search.initial import initial_structures
from aga.search.population import Population, merge, select_parents
from aga.search.propose import Proposals, propose
from aga.search.results import Finalist, Result, final_relaxations, rank

__all__ = [
    "Acquisition",
    "BestStructure",
    "Finalist",
    "Individual",
    "IterationRecord",
    "Known",
    "Pick",
    "Population",
    "Proposals",
    "Result",
    "Verdict",
    "acquire",
    "assess",
    "describe",
    "final_relaxations",
    "initial_structures",
    "known",
    "merge",
    "propose",
    "rank",
    "record_iteration",
    "select_parents",
]
