"""Small things that tables, plots and files have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aga.store.handle import Found

__all__ = [
    "best_enthalpy",
    "duration",
    "first_found",
    "group_name",
    "number",
    "prototype_name",
    "stage_name",
    "strict_group",
    "times_found",
    "unfinished_lines",
    "unicode_minus",
]


def group_name(space_group: Mapping[str, Any] | None) -> str:
    """Give a space group as people write it: ``Fd-3m (227)``; a dash where it isn't known."""
    return "–" if not space_group else f"{space_group['symbol']} ({space_group['number']})"


def strict_group(item: Found) -> str | None:
    """Give the space group at the strict tolerance where it is another one, else None."""
    strict = item.space_group_strict
    return None if strict in (None, item.space_group) else group_name(strict)


def stage_name(item: Found) -> str:
    """Give the stage, and why a structure failed."""
    return f"{item.stage} ({item.failure.get('reason')})" if item.failure else item.stage


def number(value: float | None, digits: int) -> str:
    """Write a number with so many digits after the point; a dash where it isn't known."""
    return "–" if value is None else f"{value:.{digits}f}"


def prototype_name(prototype: Mapping[str, Any] | None) -> str:
    """Give a structure type in short: ``Rutile, C4``; a dash where it is none that is known."""
    if not prototype:
        return "–"
    name, symbol = prototype["name"], prototype["strukturbericht"]
    return f"{name}, {symbol}" if symbol else str(name)


def times_found(found: Mapping[str, Any] | None) -> str:
    """Say how often a result was found: ``12×``."""
    return "–" if not found else f"{found['times']}×"


def first_found(found: Mapping[str, Any] | None) -> str:
    """Say when and how a result was found first: ``gen. 4, 22 calls, crossover``."""
    if not found:
        return "–"
    spent = found["reference_calls"]
    calls = [] if spent is None else [f"{spent} calls"]
    return ", ".join([f"gen. {found['generation']}", *calls, found["operator"]])


def best_enthalpy(found: Sequence[Found]) -> float | None:
    """Give the lowest enthalpy (eV/atom) by the reference method, None where there is none."""
    known = [item.enthalpy_per_atom for item in found if item.enthalpy_per_atom is not None]
    return min(known, default=None)


def unicode_minus(text: str) -> str:
    """Write numbers with the minus sign that figures use."""
    return text.replace("-", "−")


def duration(seconds: float | None) -> str:
    """Write a time span as people do: ``2 h 05 min``, ``3 min 10 s``, ``8 s``."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def unfinished_lines(status: dict[str, Any]) -> list[str]:
    """Tell which final relaxations are not at rest and what brings them there; mostly nothing."""
    names = status.get("unfinished_relaxations", [])
    if not names:
        return []
    told = (
        f"not at rest at the end of the final relaxation: {', '.join(names)}; their energies are "
        "upper bounds. More oracle.relax_steps, a higher cutoff or denser k-points bring them there"
    )
    return [told]
