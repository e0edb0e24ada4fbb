"""A user's own ASE calculator as reference method: ``engine: module:Class``."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

from ase.calculators.calculator import Calculator
from pydantic import ConfigDict

from aga.errors import InputError
from aga.oracle.ase_engine import AseEngine
from aga.oracle.base import Engine, EngineOptions

__all__ = ["load_custom"]


class FreeOptions(EngineOptions):
    """Handed to the calculator as keyword arguments, as they are."""

    model_config = ConfigDict(extra="allow", frozen=True)


class CustomEngine(AseEngine):
    """Parent of the engines made from a user's calculator class."""

    Options: ClassVar[type[EngineOptions]] = FreeOptions
    factory: ClassVar[Any] = None

    def calculator(self) -> Calculator:
        """Give the user's calculator, made from the options."""
        return type(self).factory(**self.settings.options)


def load_custom(target: str) -> type[Engine]:
    """Make an engine of ``module:Class``.

    ``Class`` is an ASE calculator that gives energy, forces and stress, or a subclass of
    :class:`aga.oracle.base.Engine`.

    Raises
    ------
    aga.errors.InputError
        There is no such class, or it is neither.
    """
    module, _, attribute = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"{target}: {error}",
            remedy="module:Class of a calculator that Python can import (see PYTHONPATH)",
        ) from error
    if isinstance(found, type) and issubclass(found, Engine):
        return found
    known = getattr(found, "implemented_properties", None)
    if not callable(found) or known is None or not callable(getattr(found, "calculate", None)):
        raise InputError(f"{target} is not an ASE calculator", remedy="name a Calculator class")
    missing = [p for p in ("energy", "forces", "stress") if p not in known]
    if missing:
        raise InputError(
            f"{target} gives no {' and no '.join(missing)}",
            remedy="a reference method needs energy, forces and stress",
        )
    return type(attribute, (CustomEngine,), {"factory": staticmethod(found), "name": target})
