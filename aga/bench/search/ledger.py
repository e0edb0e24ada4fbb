"""The count: every evaluation of the reference method, of every arm, goes through here."""

from __future__ import annotations

import time
from typing import ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator

from aga.errors import InputError
from aga.oracle.ase_engine import AseEngine
from aga.structure.protocols import Oracle

__all__ = ["TOLERANCE", "CountedCalculator", "CountedEngine", "Ended", "Ledger", "Mark"]

TOLERANCE = 1e-3
"""eV/atom above the answer at which it counts as found."""

Mark = tuple[int, int, float]
"""Reference calls and relaxations so far, and the lowest enthalpy in eV/atom until then."""


class Ended(BaseException):
    """The answer is found or a cap reached: the run ends here.

    No ``Exception``: engines take those of their calculator for a label that failed.
    """


class Ledger:
    """Counts energy+force evaluations and relaxations, and remembers what was lowest when.

    Parameters
    ----------
    target
        Enthalpy in eV/atom at which the run may end; None: unknown.
    calls, relaxations
        Caps; a run that reaches one ends. Infinite where the search has a budget of its own.
    ends
        Whether the ledger ends the run; False where a search goes on to its own verdict.

    Attributes
    ----------
    calls, relaxations
        Spent so far.
    seconds
        Inside the reference method.
    marks
        A :data:`Mark` for each improvement, oldest first.
    """

    def __init__(
        self, *, target: float | None, calls: float, relaxations: float, ends: bool = True
    ) -> None:
        self.target = target
        self.caps = (calls, relaxations)
        self.ends = ends
        self.calls = self.relaxations = 0
        self.seconds = 0.0
        self.marks: list[Mark] = []

    @property
    def lowest(self) -> float | None:
        """Lowest enthalpy so far in eV/atom; None before the first evaluation."""
        return self.marks[-1][2] if self.marks else None

    def allow(self) -> None:
        """Let one more evaluation happen.

        Raises
        ------
        Ended
            The calls are used up.
        """
        if self.ends and self.calls >= self.caps[0]:
            raise Ended

    def spent(self, seconds: float) -> None:
        """Count one evaluation, whether it gave an energy or not."""
        self.calls += 1
        self.seconds += seconds

    def found(self, enthalpy: float) -> None:
        """Note the enthalpy in eV/atom of the evaluation that was counted last.

        Raises
        ------
        Ended
            It is within :data:`TOLERANCE` of the answer.
        """
        lowest = self.lowest
        if lowest is None or enthalpy < lowest:
            self.marks.append((self.calls, self.relaxations, enthalpy))
        if self.ends and self.target is not None and enthalpy <= self.target + TOLERANCE:
            raise Ended

    def relaxing(self) -> None:
        """Count a relaxation that begins.

        Raises
        ------
        Ended
            The relaxations are used up.
        """
        if self.ends and self.relaxations >= self.caps[1]:
            raise Ended
        self.relaxations += 1


class CountedCalculator(Calculator):  # type: ignore[misc] # ASE is untyped here
    """The reference method's calculator, with every call counted.

    Parameters
    ----------
    inner
        The calculator.
    ledger
        Where it is counted.
    pressure
        eV/Å³.
    """

    def __init__(self, inner: Calculator, ledger: Ledger, pressure: float) -> None:
        super().__init__()
        self.inner, self.ledger, self.pressure = inner, ledger, pressure
        self.implemented_properties: list[str] = inner.implemented_properties

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] | None = None,
    ) -> None:
        """Fill ``results`` as the inner calculator does, and count.

        Raises
        ------
        Ended
            See :class:`Ledger`.
        """
        self.ledger.allow()
        begun = time.perf_counter()
        try:
            self.inner.calculate(atoms, properties, system_changes)
        finally:
            self.ledger.spent(time.perf_counter() - begun)
        self.results = dict(self.inner.results)
        assert atoms is not None  # noqa: S101 - ASE's signature, for the type checker
        energy = self.results["free_energy" if "free_energy" in self.results else "energy"]
        enthalpy = float(energy) + self.pressure * float(atoms.get_volume())
        self.ledger.found(enthalpy / len(atoms))


class CountedEngine(AseEngine):
    """A reference method whose evaluations are counted, labels and final relaxations alike.

    Parameters
    ----------
    inner
        The engine.
    ledger
        Where it is counted.
    pressure
        eV/Å³.
    """

    known: ClassVar[frozenset[str] | None] = None

    def __init__(self, inner: AseEngine, ledger: Ledger, pressure: float) -> None:
        bare = inner.settings.model_copy(update={"options": {}})  # they are the inner one's
        super().__init__(bare, inner.machine, inner.composition)
        self.name = inner.name
        self.inner, self.ledger, self.pressure = inner, ledger, pressure

    def calculator(self) -> Calculator:
        """Give a fresh calculator that counts."""
        return CountedCalculator(self.inner.calculator(), self.ledger, self.pressure)


def in_process(oracle: Oracle) -> AseEngine:
    """Give the engine back where its evaluations can be counted one by one.

    Raises
    ------
    aga.errors.InputError
        It runs a program of its own.
    """
    if isinstance(oracle, AseEngine):
        return oracle
    raise InputError(
        f"the evaluations of {oracle.name} can't be counted one by one",
        remedy="use an engine that works in this process: tersoff, matsui-akaogi, emt, "
        "lj-mixture, or module:Class of an ASE calculator",
    )
