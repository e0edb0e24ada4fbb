"""The reference method: engines that give energy, forces and stress of a structure."""

from __future__ import annotations

from aga.oracle.registry import (
    build_oracle,
    check_oracle,
    engine_names,
    options_schema,
    resolve_engine,
)

__all__ = [
    "build_oracle",
    "check_oracle",
    "engine_names",
    "options_schema",
    "resolve_engine",
]
