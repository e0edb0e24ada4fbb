"""The operators that make offspring, by the names they have in the settings.

A new one is a file with a function and an entry here, and a weight in
:class:`aga.config.schema.OperatorWeights`.
"""

from __future__ import annotations

from aga.search.operators.context import Operator, OperatorContext
from aga.search.operators.crossover import crossover
from aga.search.operators.immigrant import immigrant
from aga.search.operators.mirror import mirror
from aga.search.operators.permustrain import permustrain
from aga.search.operators.permutation import permutation
from aga.search.operators.rattle import rattle
from aga.search.operators.ripple import ripple
from aga.search.operators.slip import slip
from aga.search.operators.soft_mode import soft_mode
from aga.search.operators.strain import strain
from aga.search.operators.symmetrise import symmetrise
from aga.search.operators.units import add_unit, remove_unit
from aga.search.operators.vibrations import Forces

__all__ = ["OPERATORS", "Forces", "Operator", "OperatorContext"]

OPERATORS: dict[str, Operator] = {
    operator.name: operator
    for operator in (
        Operator(name="random", function=immigrant, parents=0),
        Operator(name="crossover", function=crossover, parents=2, atoms=2),
        Operator(name="strain", function=strain, parents=1),
        Operator(name="rattle", function=rattle, parents=1, atoms=2),
        Operator(name="soft_mode", function=soft_mode, parents=1, atoms=2, forces=True),
        Operator(name="slip", function=slip, parents=1, atoms=2),
        Operator(name="ripple", function=ripple, parents=1, atoms=2),
        Operator(name="mirror", function=mirror, parents=1, atoms=3),
        Operator(name="symmetrise", function=symmetrise, parents=1, atoms=2),
        Operator(name="permutation", function=permutation, parents=1, elements=2),
        Operator(name="permustrain", function=permustrain, parents=1, elements=2),
        Operator(name="add_unit", function=add_unit, parents=1, sizes=2),
        Operator(name="remove_unit", function=remove_unit, parents=1, sizes=2),
    )
}
