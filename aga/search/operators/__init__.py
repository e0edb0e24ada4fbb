"""The operators that make offspring, by the names they have in the settings.

A new one is a file with a function and an entry here, and a weight in
:class:`aga.config.schema.OperatorWeights`.
"""

from __future__ import annotations

from aga.search.operators.context import Operator, OperatorContext
from aga.search.operators.crossover import crossover
from aga.search.operators.immigrant import immigrant
from aga.search.operators.permutation import permutation
from aga.search.operators.rattle import rattle
from aga.search.operators.strain import strain

__all__ = ["OPERATORS", "Operator", "OperatorContext"]

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator(name="random", function=immigrant, parents=0),
        Operator(name="crossover", function=crossover, parents=2, atoms=2),
        Operator(name="strain", function=strain, parents=1),
        Operator(name="rattle", function=rattle, parents=1, atoms=2),
        Operator(name="permutation", function=permutation, parents=1, elements=2),
    )
}
