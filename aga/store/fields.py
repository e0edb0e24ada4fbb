"""The fields of structures that users filter and sort by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["FIELDS", "SORT_ALIASES", "Field"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field: where it stands in the document, its type, its unit and meaning."""

    path: str
    kind: Literal["number", "text"]
    meaning: str
    unit: str = ""


def _number(path: str, unit: str, meaning: str) -> Field:
    return Field(path=path, kind="number", unit=unit, meaning=meaning)


def _text(path: str, meaning: str) -> Field:
    return Field(path=path, kind="text", meaning=meaning)


FIELDS: Mapping[str, Field] = {
    "energy_per_atom": _number(
        "reference.energy_per_atom", "eV/atom", "energy by the reference method"
    ),
    "enthalpy_per_atom": _number(
        "reference.enthalpy_per_atom", "eV/atom", "E + pV by the reference method"
    ),
    "max_force": _number(
        "reference.max_force", "eV/Å", "largest force on an atom by the reference method"
    ),
    "predicted_energy_per_atom": _number(
        "committee.energy_per_atom", "eV/atom", "energy by the committee"
    ),
    "predicted_enthalpy_per_atom": _number(
        "committee.enthalpy_per_atom", "eV/atom", "E + pV by the committee"
    ),
    "energy_spread": _number(
        "committee.energy_spread", "eV/atom", "standard deviation of the committee's energies"
    ),
    "force_spread": _number(
        "committee.force_spread", "eV/Å", "largest standard deviation of the committee's forces"
    ),
    "committee": _number("committee.version", "", "version of the committee that relaxed it"),
    "space_group": _number("space_group.number", "", "number of the space group, 1 to 230"),
    "space_group_strict": _number(
        "space_group_strict.number", "", "the same at a tenth of the symmetry tolerance"
    ),
    "volume_per_atom": _number("volume_per_atom", "Å³/atom", "cell volume"),
    "n_atoms": _number("n_atoms", "", "atoms in the cell"),
    "generation": _number("generation", "", "generation that proposed it"),
    "iteration": _number("iteration", "", "iteration that proposed it"),
    "score": _number("pick.score", "eV/atom", "score with which it was picked, lower is better"),
    "rank": _number("rank", "", "place among the results, from 0"),
    "found": _number("found.times", "", "how many relaxed candidates were this result"),
    "name": _text("name", "name within its search, e.g. g003-017"),
    "search": _text("search_id", "identifier of the search"),
    "formula": _text("formula", "formula of the cell"),
    "space_group_symbol": _text("space_group.symbol", "Hermann–Mauguin symbol, e.g. 'Fd-3m'"),
    "prototype": _text("prototype.name", "structure type of a result, e.g. Rutile"),
    "operator": _text("lineage.operator", "operator that made it: random, crossover, …"),
    "parent": _text("lineage.parents", "name of one of its parents"),
    "stage": _text("stage", "proposed, relaxed, picked, labelled, failed or result"),
    "engine": _text("reference.engine", "reference method"),
    "reason": _text("failure.reason", "why it failed"),
}
"""Name in filters → field. A structure without a value satisfies no comparison of the field."""

SORT_ALIASES: Mapping[str, str] = {
    "energy": "energy_per_atom",
    "enthalpy": "enthalpy_per_atom",
    "predicted_energy": "predicted_energy_per_atom",
    "volume": "volume_per_atom",
}
"""Short names that sorting knows too: within a search the order is the same."""
