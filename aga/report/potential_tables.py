"""Tables of potentials: their functions, what a model file holds, what a committee says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from ase import Atoms
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.structure.protocols import Prediction
from aga.units import EV_PER_A3_IN_GPA

__all__ = [
    "function_rows",
    "functions_table",
    "kind_of",
    "prediction_row",
    "predictions_table",
]

_BEHLER = {"radial": "G2", "narrow": "G4", "wide": "G5"}
"""What Behler (2011) calls them."""


def kind_of(function: Radial | Angular) -> Literal["radial", "wide", "narrow"]:
    """Give the kind of a function: G2, G5 and G4 of Behler (2011)."""
    if isinstance(function, Radial):
        return "radial"
    return "narrow" if function.narrow else "wide"


def function_rows(functions: FunctionSet) -> list[dict[str, Any]]:
    """Give the functions as plain JSON values, in the order of the set.

    ``kind``, ``centre`` (None: every element), ``neighbours`` (one element or two), ``eta`` in
    Å⁻², ``shift`` (R_s) and ``cutoff`` in Å; ``zeta`` and ``lambda`` are None for radial ones.
    """
    return [
        {
            "kind": kind_of(f),
            "centre": f.centre,
            "neighbours": [f.element] if isinstance(f, Radial) else list(f.elements),
            "eta": f.eta,
            "shift": f.shift,
            "lambda": f.lambda_ if isinstance(f, Angular) else None,
            "zeta": f.zeta if isinstance(f, Angular) else None,
            "cutoff": functions.cutoff_of(f),
        }
        for f in functions.every
    ]


def functions_table(functions: FunctionSet) -> RenderableType:
    """Give the table of a set, and above it what its functions share and how many there are."""
    table = Table(box=SIMPLE_HEAD)
    rows, centred = function_rows(functions), any(f.centre for f in functions.every)
    names = ["", "kind", *(["centre"] if centred else []), "neighbours"]
    for name in names:
        table.add_column(name, justify="left" if name else "right", no_wrap=True)
    for name in ("η\n1/Å²", "R_s\nÅ", "λ", "ζ", "cutoff\nÅ"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(rows, 1):
        centre = [row["centre"] or "every"] if centred else []
        table.add_row(
            str(number),
            f"{row['kind']} ({_BEHLER[row['kind']]})",
            *centre,
            "-".join(row["neighbours"]),
            f"{row['eta']:.6f}",
            _short(row["shift"]),
            "–" if row["lambda"] is None else f"{row['lambda']:+g}",
            *(_short(row[key]) for key in ("zeta", "cutoff")),
        )
    return Group(*(Text(line) for line in _heading(functions)), table)


def _heading(functions: FunctionSet) -> list[str]:
    inner = f", whole below {functions.inner:g} of it" if functions.inner else ""
    elements = f"elements {', '.join(functions.elements)}"
    lines = [
        f"{elements}; largest cutoff {functions.cutoff:g} Å, {functions.cutoff_function}{inner}"
    ]
    counts = {symbol: _count(functions, symbol) for symbol in functions.elements}
    if len(set(counts.values())) == 1:
        return [*lines, f"{counts[functions.elements[0]]} for every atom"]
    return lines + [f"{count} for every {symbol} atom" for symbol, count in counts.items()]


def _count(functions: FunctionSet, symbol: str) -> str:
    own = functions.of(symbol)
    kinds = Counter(kind_of(f) for f in own)
    parts = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    return f"{len(own)} functions ({parts})"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def predictions_table(rows: Sequence[Mapping[str, Any]], *, title: str) -> Table:
    """Give a table of a committee's predictions.

    Parameters
    ----------
    rows
        Each with ``name``, ``formula``, ``energy`` (eV), ``energy_per_atom`` (eV/atom),
        ``energy_spread`` (eV/atom), ``max_force`` and ``force_spread`` (eV/Å) and ``stress``
        (6 values in eV/Å³, or None).
    title
        What predicts.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for name in ("structure", "formula"):
        table.add_column(name, overflow="fold")
    for name in (
        *("energy\neV", "energy\neV/atom", "spread\nmeV/atom", "max force\neV/Å"),
        *("force spread\neV/Å", "pressure\nGPa"),
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row["name"]),
            str(row["formula"]),
            f"{row['energy']:.4f}",
            f"{row['energy_per_atom']:.4f}",
            f"{1000 * row['energy_spread']:.1f}",
            f"{row['max_force']:.3f}",
            f"{row['force_spread']:.3f}",
            _pressure(row["stress"]),
        )
    return table


def _pressure(stress: Sequence[float] | None) -> str:
    if stress is None:
        return "–"
    return f"{-sum(stress[:3]) / 3.0 * EV_PER_A3_IN_GPA:.2f}"


def prediction_row(name: str, atoms: Atoms, said: Prediction) -> dict[str, Any]:
    """Give one prediction as plain JSON values, see :func:`predictions_table`."""
    return {
        "name": name,
        "formula": atoms.get_chemical_formula("hill"),
        "n_atoms": len(atoms),
        "energy": said.energy,
        "energy_per_atom": said.energy / len(atoms),
        "energy_spread": said.energy_spread,
        "max_force": float(np.linalg.norm(said.forces, axis=1).max()),
        "force_spread": said.force_spread,
        "stress": said.stress.tolist() if np.isfinite(said.stress).all() else None,
    }
