"""Repairs of failed runs: small changes of the input, as data, in the order they are tried.

A repair may change how a program gets to its answer, never what it is asked: what defines the
energy (k-points, cutoffs, functional, smearing, …) is ``kept``, because a label of a coarser grid
among finer ones would be learned as physics. Only a *warm-up*, a run that gives a density to start
from and no energy, may change it. (What a repair is, and that refusal is something else, follows
custodian, S. P. Ong et al., Comput. Mater. Sci. 68, 314 (2013).)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aga.errors import OracleError

__all__ = ["ONCE_MORE", "REPAIRABLE", "Ceiling", "Floor", "Inputs", "Ladder", "Repair", "changed"]

Inputs = dict[str, dict[str, Any]]
"""What a program is told: sections, each with its entries. Plain JSON values."""

REPAIRABLE = frozenset({"not_converged", "crashed"})
"""Reasons after which another try makes sense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceiling:
    """A number that is lowered to ``value`` unless it is lower already."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A number that is raised to ``value`` unless it is higher already."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """One change of the input after a failure.

    Parameters
    ----------
    name
        For the log.
    after
        Symptom: looked for in the reason and the message of the failure.
    changes
        Entries of the input by section; :class:`Ceiling` and :class:`Floor` leave a user's own
        value where that goes further.
    warm_up
        Entries of a run that goes before in the same directory, whose energy is not used.
    times
        How often it may be tried in one job.
    """

    name: str
    after: re.Pattern[str]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warm_up: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The repairs of a program in their order, what they must leave alone, and how many runs.

    Raises
    ------
    ValueError
        A repair changes what is ``kept``.
    """

    repairs: tuple[Repair, ...]
    kept: frozenset[str] = frozenset()
    runs: int = 6

    def __post_init__(self) -> None:
        for repair in self.repairs:
            touched = {f"{section}.{key}" for section, e in repair.changes.items() for key in e}
            refused = sorted(touched & self.kept)
            if refused:
                raise ValueError(f"{repair.name} would change the energy: {', '.join(refused)}")

    def fresh(self) -> Self:
        """Give the ladder for a new job; one that keeps nothing in mind is its own."""
        return self

    def after(self, error: OracleError, tried: Sequence[str], runs: int) -> Repair | None:
        """Give the next repair for a failure; None where there is none, or no run left.

        Parameters
        ----------
        error
            What went wrong.
        tried
            Names of the repairs of this job so far.
        runs
            Runs of this job so far.
        """
        if error.reason not in REPAIRABLE or runs >= self.runs:
            return None
        symptom = f"{error.reason} {error.message}"
        for repair in self.repairs:
            if tried.count(repair.name) < repair.times and repair.after.search(symptom):
                return repair
        return None


ONCE_MORE = Repair(
    name="once more",
    after=re.compile(r"ended with (signal (9|15)|exit code (137|143))\b"),
)
"""After a program that was killed from outside."""


def changed(inputs: Inputs, changes: Mapping[str, Mapping[str, Any]]) -> Inputs:
    """Give an input with other entries; the one given stays as it is."""
    merged = {section: dict(entries) for section, entries in inputs.items()}
    for section, entries in changes.items():
        target = merged.setdefault(section, {})
        for key, value in entries.items():
            target[key] = _resolved(target.get(key), value)
    return merged


def _resolved(before: Any, value: Any) -> Any:  # noqa: ANN401 - any entry of an input
    if isinstance(value, Ceiling):
        return value.value if before is None else min(before, value.value)
    if isinstance(value, Floor):
        return value.value if before is None else max(before, value.value)
    return value
