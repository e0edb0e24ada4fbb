"""Small things that tables, plots and files have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aga.store.handle import Found

__all__ = ["best_enthalpy", "duration", "group_name", "unicode_minus"]


def group_name(space_group: Mapping[str, Any] | None) -> str:
    """Give a space group as people write it: ``Fd-3m (227)``; a dash where it isn't known."""
    return "–" if not space_group else f"{space_group['symbol']} ({space_group['number']})"


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
