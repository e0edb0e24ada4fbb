"""What a model file holds, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aga.potential.descriptors import Functions, kind_of
from aga.potential.kinds import AnyModel
from aga.potential.model import Model
from aga.potential.symmetry.functions import FunctionSet
from aga.report.potential_tables import function_rows, functions_table

__all__ = ["model_details", "model_document"]


LENGTHS = {"cutoff"}
"""Parameters of every descriptor that are in Å."""

LONG = 100
"""Characters of a fact of the training above which people are not shown it."""


def model_document(model: AnyModel) -> dict[str, Any]:
    """Give what a model holds as plain JSON values, without its weights.

    ``kind`` of its descriptor and ``descriptor``, its parameters (of symmetry functions those of
    the table, with ``count`` by element); ``hidden`` and ``activation`` of the networks;
    ``parameters``, the number of trained ones; ``reference_energies`` (eV per atom) by element
    and ``energy_scale`` (eV); ``repulsion``, or None; ``facts`` of the training.
    """
    if isinstance(model, Model):
        kind, shape = kind_of(model.functions), _descriptor(model.functions)
        elements, energies = model.functions.elements, model.reference_energies
        scale = model.energy_scale
    else:
        kind, shape = "deep_smooth", model.descriptor.to_dict()
        elements, energies = model.descriptor.elements, model.standard.reference_energies
        scale = model.standard.energy_scale
    weights = [tensor for layers in model.weights.values() for layer in layers for tensor in layer]
    return {
        "kind": kind,
        "elements": list(elements),
        "descriptor": shape,
        "hidden": list(model.hidden),
        "activation": model.activation,
        "parameters": sum(int(np.prod(tensor.shape)) for tensor in weights),
        "reference_energies": dict(zip(elements, energies.tolist(), strict=True)),
        "energy_scale": scale,
        "repulsion": None if model.repulsion is None else model.repulsion.to_dict(),
        "facts": model.facts,
    }


def _descriptor(functions: Functions) -> dict[str, Any]:
    if not isinstance(functions, FunctionSet):
        return functions.to_dict()
    return {
        "cutoff": functions.cutoff,
        "cutoff_function": functions.cutoff_function,
        "inner": functions.inner,
        "count": {symbol: len(functions.of(symbol)) for symbol in functions.elements},
        "functions": function_rows(functions),
    }


def model_details(model: AnyModel) -> RenderableType:
    """Give everything about a model: descriptor, networks, repulsion, training, functions."""
    document = model_document(model)
    table = Table.grid(padding=(0, 2))
    for name, value in _facts(document):
        table.add_row(Text(name, style="bold"), value)
    if isinstance(model, Model) and isinstance(model.functions, FunctionSet):
        return Group(table, Text(), functions_table(model.functions))
    return table


def _facts(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    shape, repulsion = document["descriptor"], document["repulsion"]
    inside = "; ".join(
        f"{name.replace('_', ' ')} {_plain(value)}{' Å' if name in LENGTHS else ''}"
        for name, value in shape.items()
        if name not in {"elements", "functions"} and value is not None
    )
    energies = document["reference_energies"].items()
    hidden, activation = _plain(document["hidden"]), document["activation"]
    told = "none"
    if repulsion is not None:
        inner, outer = repulsion["inner"], repulsion["outer"]
        told = f"{repulsion['kind']}, whole below {inner:g} sums of covalent radii, "
        told += f"none above {outer:g}"
    return [
        ("elements", ", ".join(document["elements"])),
        ("descriptor", document["kind"]),
        ("", inside),
        ("networks", f"hidden layers {hidden}, {activation}; {document['parameters']} parameters"),
        ("energy of an atom", ", ".join(f"{el} {energy:.4f} eV" for el, energy in energies)),
        ("repulsion", told),
        *_training(document["facts"]),
    ]


def _training(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give the facts of the training; errors with their units, what is long left away."""
    told = [(name, _plain(value)) for name, value in facts.items() if name != "metrics"]
    rows = [(name, text) for name, text in told if len(text) <= LONG]
    for part, metrics in (facts.get("metrics") or {}).items():
        rows.append((f"errors, {part}", _metrics(metrics)))
    return rows


def _metrics(metrics: Mapping[str, float | None] | None) -> str:
    if not metrics:
        return "–"
    units = (("energy_mae", "meV/atom"), ("force_mae", "eV/Å"), ("stress_mae", "GPa"))
    told = [f"{metrics[key]:.4g} {unit}" for key, unit in units if metrics.get(key) is not None]
    return f"{', '.join(told)} (mean absolute; {metrics.get('frames') or 0:.0f} frames)"


def _plain(value: Any) -> str:  # noqa: ANN401 - JSON values
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "-".join(_plain(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
