"""Writing models as potentials of n2p2, which its tools and LAMMPS (``pair_style hdnnp``) read.

Everything is in eV and Å with the digits that bring every bit back.  Standardisation becomes
the scaling by sigma, (G − mean)/sigma; the energy scale is multiplied into the output layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ase.data import atomic_numbers

from aga.errors import InputError, ModelError
from aga.potential.model import Model
from aga.potential.n2p2.input import (
    ACTIVATIONS,
    CUTOFF_TYPES,
    TYPE_NARROW,
    TYPE_RADIAL,
    TYPE_WIDE,
    Function,
    function_order,
)
from aga.potential.n2p2.lammps import EXAMPLE, README, TABLE, example, readme, tables
from aga.potential.n2p2.read import UNBOUNDED
from aga.potential.symmetry.functions import FunctionSet, Radial
from aga.structure.candidate import FloatArray

__all__ = ["write_n2p2"]

_RULE = "#" * 79


def write_n2p2(model: Model, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write a model as an n2p2 potential, with what LAMMPS needs beside it.

    The repulsion of a model is no part of the format: it goes into a table, ``repulsion.table``,
    which LAMMPS adds as ``in.lammps.example`` shows; n2p2's own tools do without it.

    Parameters
    ----------
    model
        Any model of symmetry functions whose activation n2p2 has.
    folder
        Is made where it isn't there.
    overwrite
        Whether files that are there already may be replaced.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    aga.errors.ModelError
        The model has another descriptor, an activation n2p2 lacks, or no hidden layer.
    aga.errors.InputError
        A file is there already, or cannot be written; names it.
    """
    _check(model)
    symbols = _by_number(model.symmetry_functions)
    contents = {
        "input.nn": _settings(model, symbols),
        "scaling.data": _scaling(model, symbols),
        **{f"weights.{atomic_numbers[s]:03d}.data": _weights(model, s) for s in symbols},
        EXAMPLE: example(model, symbols),
        README: readme(model),
    }
    if model.repulsion is not None:
        contents[TABLE] = tables(model.repulsion, symbols)
    paths = [folder / name for name in contents]
    for path in paths:
        if path.exists() and not overwrite:
            raise InputError(
                f"{path} is there already",
                remedy="choose another folder, or allow overwriting",
                file=str(path),
            )
    for path, text in zip(paths, contents.values(), strict=True):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror})", file=str(path)
            ) from error
    return paths


def _check(model: Model) -> None:
    if model.activation not in ACTIVATIONS.values():
        known = ", ".join(ACTIVATIONS.values())
        raise ModelError(
            f"n2p2 has no activation {model.activation}; it shares {known} with us",
            remedy="train a model with one of these",
            activation=model.activation,
        )
    if not model.hidden:
        raise ModelError("n2p2 needs at least one hidden layer; the model has none")
    functions = model.symmetry_functions
    for symbol, mean in zip(functions.elements, model.mean, strict=True):
        if mean[len(functions.of(symbol)) :].any():
            raise ModelError(
                f"the model's mean of {symbol} goes beyond its functions", element=symbol
            )


def _by_number(functions: FunctionSet) -> list[str]:
    return sorted(functions.elements, key=lambda symbol: int(atomic_numbers[symbol]))


def _order(functions: FunctionSet, symbol: str) -> list[int]:
    """Give the places in our descriptor, in the order in which n2p2 sorts the functions."""
    own = [f._replace(cutoff=functions.cutoff_of(f)) for f in functions.of(symbol)]
    return sorted(range(len(own)), key=lambda n: function_order(own[n]))


def _settings(model: Model, symbols: Sequence[str]) -> str:
    functions = model.symmetry_functions
    letters = {name: letter for letter, name in ACTIVATIONS.items()}
    numbers = {name: number for number, name in CUTOFF_TYPES.items()}
    energies = dict(zip(functions.elements, model.reference_energies.tolist(), strict=True))
    activation = [letters[model.activation]] * len(model.hidden)
    cutoff = [
        numbers[functions.cutoff_function],
        *([_text(functions.inner)] * bool(functions.inner)),
    ]
    lines = [
        _RULE,
        "# High-dimensional neural network potential, written by aga.",
        "# Length unit     : Angstrom",
        "# Energy unit     : eV",
        _RULE,
        f"number_of_elements              {len(symbols)}",
        f"elements                        {' '.join(symbols)}",
        *(f"atom_energy                     {s:2} {energies[s]!r}" for s in symbols),
        f"cutoff_type                     {' '.join(cutoff)}",
        "scale_symmetry_functions_sigma",
        "scale_min_short                 0.0",
        "scale_max_short                 1.0",
        f"global_hidden_layers_short      {len(model.hidden)}",
        f"global_nodes_short              {' '.join(str(n) for n in model.hidden)}",
        f"global_activation_short         {' '.join([*activation, 'l'])}",
    ]
    for symbol in symbols:
        lines += ["", f"# {symbol}: {len(functions.of(symbol))} functions"]
        lines += [_function(functions, symbol, f) for f in functions.of(symbol)]
    return "\n".join(lines) + "\n"


def _function(functions: FunctionSet, centre: str, f: Function) -> str:
    cutoff = functions.cutoff_of(f)
    if isinstance(f, Radial):
        words = [f"{TYPE_RADIAL} {f.element:2}", _text(f.eta), _text(f.shift), _text(cutoff)]
    else:
        kind = TYPE_NARROW if f.narrow else TYPE_WIDE
        first, second = sorted(f.elements)
        shape = [_text(number) for number in (f.eta, f.lambda_, f.zeta, cutoff)]
        words = [f"{kind} {first:2} {second:2}", *shape, *([_text(f.shift)] * bool(f.shift))]
    return f"symfunction_short {centre:2} {' '.join(words)}"


def _text(number: float) -> str:
    """Give the shortest text that brings every bit back; presets hold whole numbers as int."""
    return repr(float(number))


def _scaling(model: Model, symbols: Sequence[str]) -> str:
    ranges = _ranges(model, symbols)
    lines = [_RULE, "# Symmetry function scaling data."]
    if ranges is None:
        lines.append("# The range of the training data is not known: min and max bound nothing.")
    lines += ["# e_index sf_index min max mean sigma", _RULE]
    for e, symbol in enumerate(symbols, start=1):
        element = model.functions.elements.index(symbol)
        for n, place in enumerate(_order(model.symmetry_functions, symbol), start=1):
            low, high = (0.0, UNBOUNDED) if ranges is None else ranges[symbol][place]
            values = (low, high, model.mean[element, place], model.scale[element, place])
            lines.append(f"{e:10d} {n:10d} " + " ".join(f"{v:24.16E}" for v in values))
    return "\n".join(lines) + "\n"


def _ranges(model: Model, symbols: Sequence[str]) -> dict[str, list[tuple[float, float]]] | None:
    """Give the range of each function in the training data, where the model knows it."""
    stored = model.facts.get("descriptor_range")
    if stored is None:
        return None
    return {s: list(zip(stored[s]["minimum"], stored[s]["maximum"], strict=True)) for s in symbols}


def _weights(model: Model, symbol: str) -> str:
    lines = [
        _RULE,
        "# Neural network connection values (weights and biases).",
        "# connection t index l_s n_s l_e n_e",
        _RULE,
    ]
    layers = [(matrix[0].numpy(), bias[0].numpy()) for matrix, bias in model.weights[symbol]]
    matrix, bias = layers[0]
    layers[0] = (matrix[_order(model.symmetry_functions, symbol)], bias)
    matrix, bias = layers[-1]
    layers[-1] = (matrix * model.energy_scale, bias * model.energy_scale)
    lines += (
        f"{value:24.16E} {rest[0]} {index:9d} {rest[1]}"
        for index, (value, rest) in enumerate(_connections(layers), start=1)
    )
    return "\n".join(lines) + "\n"


def _connections(
    layers: Sequence[tuple[FloatArray, FloatArray]],
) -> Iterator[tuple[float, tuple[str, str]]]:
    for number, (matrix, bias) in enumerate(layers, start=1):
        for j, row in enumerate(matrix.tolist(), start=1):
            for k, value in enumerate(row, start=1):
                yield value, ("a", f"{number - 1:5d} {j:5d} {number:5d} {k:5d}")
        for k, value in enumerate(bias.tolist(), start=1):
            yield value, ("b", f"{number:5d} {k:5d}")
