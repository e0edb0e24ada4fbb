"""Reading potentials of RuNNer and n2p2: ``input.nn``, ``scaling.data``, ``weights.*.data``.

The model that comes out is in eV and Å and gives the energies and forces that n2p2 gives.  How
n2p2 gets there was found from its documentation and verified with published potentials:

- Elements are numbered by atomic number, and the functions of each element are sorted (see
  :func:`~aga.potential.n2p2.input.function_order`); ``scaling.data`` and the first layer of the
  weights follow that order. Here functions keep the order of their lines, radial ones first.
- Every energy in the files is in one unit. So in a Bohr–Hartree potential ``atom_energy`` is in
  Hartree too and is added once per atom, even if its value looks like eV.
- With the normalisation of ``nnp-norm``, E = E_net / conv_energy + N mean_energy + Σ atom_energy.
- The files name no unit: comments do, or the caller does.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase.data import atomic_numbers

from aga.errors import InputError
from aga.potential.model import Model
from aga.potential.n2p2.input import (
    Function,
    Keywords,
    Units,
    fault,
    function_order,
    parse_number,
    read_lines,
)
from aga.potential.n2p2.settings import Scaling, Settings, interpret
from aga.potential.network import Layer, Weights, shapes
from aga.potential.symmetry.functions import Angular, FunctionSet, Radial
from aga.structure.candidate import FloatArray

__all__ = ["BOHR", "HARTREE", "UNBOUNDED", "read_n2p2"]

BOHR = 0.529177210903
"""Å (CODATA 2018)."""

HARTREE = 27.211386245988
"""eV (CODATA 2018)."""

UNBOUNDED = 1e99
"""Upper end of the range of a function in ``scaling.data`` where none is known."""


class _Columns(NamedTuple):
    """Columns of ``scaling.data`` for one element, (n,) each in n2p2's order; sigma may lack."""

    minimum: FloatArray
    maximum: FloatArray
    mean: FloatArray
    sigma: FloatArray | None
    lines: tuple[int, ...]


def read_n2p2(folder: Path, *, units: Units | None = None) -> Model:
    """Read a potential of RuNNer or n2p2.

    Parameters
    ----------
    folder
        Holds ``input.nn``, ``scaling.data`` and one ``weights.ZZZ.data`` per element.
    units
        Of all numbers in the files; where None, ``input.nn`` must state them in comments
        (``# Length unit     : Bohr``, ``# Energy unit     : Ha``).

    Returns
    -------
    Model
        In eV and Å, without repulsion. ``facts["descriptor_range"]`` holds the smallest and
        largest value of every function in that potential's training data.

    Raises
    ------
    aga.errors.ModelError
        A file is missing, ends too early, holds something that is no number, or describes a
        potential that we do not have; names file, line and what it is.
    """
    keywords = Keywords.read(folder / "input.nn")
    units = units or keywords.units()
    length, energy = (BOHR, HARTREE) if units == "bohr-hartree" else (1.0, 1.0)
    settings = interpret(keywords)
    functions = _function_set(settings, length, keywords)
    places = {symbol: _places(own) for symbol, own in settings.functions.items()}
    columns = _read_scaling(folder / "scaling.data", settings)
    mean, scale = _standardisation(settings, functions, places, columns, folder / "scaling.data")
    weights = {
        symbol: _read_weights(folder, symbol, settings, functions.size, places[symbol])
        for symbol in functions.elements
    }
    return Model(
        functions=functions,
        hidden=settings.hidden,
        activation=settings.activation,
        weights=weights,
        mean=mean,
        scale=scale,
        reference_energies=np.array(
            [
                (settings.mean_energy + settings.atom_energies[s]) * energy
                for s in functions.elements
            ]
        ),
        energy_scale=energy / settings.conv_energy,
        repulsion=None,
        facts={"imported": {"format": "n2p2", "units": units}, **_ranges(columns, places)},
    )


def _radial_first(own: tuple[Function, ...]) -> list[int]:
    """Give the places of the functions in the order of our descriptor."""
    return sorted(range(len(own)), key=lambda n: isinstance(own[n], Angular))


def _places(own: tuple[Function, ...]) -> list[int]:
    """Give, for each place in n2p2's order, the place in our descriptor."""
    ours = [own[n] for n in _radial_first(own)]
    return sorted(range(len(ours)), key=lambda n: function_order(ours[n]))


def _function_set(settings: Settings, length: float, keywords: Keywords) -> FunctionSet:
    cutoff = max(f.cutoff or 0.0 for own in settings.functions.values() for f in own)

    def convert(f: Function, centre: str | None) -> Function:
        return f._replace(
            eta=f.eta / length**2,
            shift=f.shift * length,
            cutoff=None if f.cutoff is None or f.cutoff == cutoff else f.cutoff * length,
            centre=centre,
        )

    lists = [[own[n] for n in _radial_first(own)] for own in settings.functions.values()]
    if all(functions == lists[0] for functions in lists):
        every = [convert(f, None) for f in lists[0]]  # the same for every centre
    else:
        every = [
            convert(f, symbol)
            for symbol in sorted(settings.functions)
            for f in settings.functions[symbol]
        ]
    try:
        return FunctionSet(
            elements=tuple(sorted(settings.elements)),
            cutoff=cutoff * length,
            cutoff_function=settings.cutoff_function,
            inner=settings.inner,
            radial=tuple(f for f in every if isinstance(f, Radial)),
            angular=tuple(f for f in every if isinstance(f, Angular)),
        )
    except InputError as error:
        fault(keywords.path, None, error.message)


def _read_scaling(path: Path, settings: Settings) -> dict[str, _Columns]:
    """Read the columns of every element; rows are ``e_index sf_index min max mean [sigma]``."""
    lines = read_lines(path)
    rows = [(n, t.split()) for n, t in enumerate(lines, 1) if t.strip() and t.strip()[0] != "#"]
    columns: dict[str, _Columns] = {}
    start = 0
    for place, (symbol, own) in enumerate(settings.functions.items(), start=1):
        part = rows[start : start + len(own)]
        start += len(own)
        table = [_scaling_row(path, row, (place, n)) for n, row in enumerate(part, start=1)]
        if len(table) < len(own):
            fault(
                path,
                len(lines),
                f"the file ends after {len(table)} of the {len(own)} functions of {symbol}",
            )
        numbers = np.array([row[: min(len(row) for row in table)] for row in table]).T
        columns[symbol] = _Columns(
            minimum=numbers[0],
            maximum=numbers[1],
            mean=numbers[2],
            sigma=numbers[3] if len(numbers) > 3 else None,
            lines=tuple(number for number, _ in part),
        )
    for number, words in rows[start:]:
        if len(words) != 2:  # RuNNer ends with the range of the energies
            fault(path, number, "there are more rows than input.nn has functions")
    return columns


def _scaling_row(path: Path, row: tuple[int, list[str]], place: tuple[int, int]) -> list[float]:
    number, words = row
    if len(words) not in {5, 6}:
        fault(path, number, f"a row has 5 or 6 values, not {len(words)}")
    if words[:2] != [str(n) for n in place]:
        fault(
            path,
            number,
            f"expected element {place[0]}, function {place[1]}; found {' '.join(words[:2])}",
        )
    return [parse_number(word, path, number) for word in words[2:]]


def _standardisation(
    settings: Settings,
    functions: FunctionSet,
    places: dict[str, list[int]],
    columns: dict[str, _Columns],
    path: Path,
) -> tuple[FloatArray, FloatArray]:
    """Give mean and scale (E, D) so that (G − mean)/scale is what n2p2 gives its networks."""
    shape = (len(functions.elements), functions.size)
    mean, scale = np.zeros(shape), np.ones(shape)
    for e, symbol in enumerate(functions.elements):
        centre, width = _centre_and_width(settings.scaling, columns[symbol], path)
        with np.errstate(over="ignore", invalid="ignore"):
            width = width / (settings.scaling.high - settings.scaling.low)
            centre = centre - settings.scaling.low * width
        for line, a, b in zip(columns[symbol].lines, centre, width, strict=True):
            if not (b > 0 and np.isfinite([a, b]).all()):
                fault(path, line, f"{symbol}: the function cannot be scaled with a width of {b}")
        scale[e, places[symbol]] = width
        mean[e, places[symbol]] = centre
    return mean, scale


def _centre_and_width(
    scaling: Scaling, columns: _Columns, path: Path
) -> tuple[FloatArray, FloatArray]:
    zero = np.zeros_like(columns.mean)
    centre = {"zero": zero, "minimum": columns.minimum, "mean": columns.mean}[scaling.centre]
    if scaling.width == "one":
        return centre, zero + 1.0
    if scaling.width == "range":
        return centre, columns.maximum - columns.minimum
    if columns.sigma is None:
        fault(path, columns.lines[0], "scale_symmetry_functions_sigma needs a sixth column, sigma")
    return centre, columns.sigma


def _ranges(columns: dict[str, _Columns], places: dict[str, list[int]]) -> dict[str, object]:
    if any((c.maximum >= UNBOUNDED).any() for c in columns.values()):
        return {}
    ranges = {}
    for symbol, c in columns.items():
        inverse = np.argsort(places[symbol])
        ranges[symbol] = {
            "minimum": c.minimum[inverse].tolist(),
            "maximum": c.maximum[inverse].tolist(),
        }
    return {"descriptor_range": ranges}


def _read_weights(
    folder: Path, symbol: str, settings: Settings, size: int, places: list[int]
) -> Weights:
    """Read one network; the rows of its first matrix are put in our order and padded to D."""
    path = folder / f"weights.{atomic_numbers[symbol]:03d}.data"
    sizes = shapes(len(places), settings.hidden)
    values = _read_connections(path, sizes, symbol)
    layers: list[Layer] = []
    start = 0
    for n_in, n_out in sizes:
        middle, end = start + n_in * n_out, start + (n_in + 1) * n_out
        matrix, bias = values[start:middle].reshape(n_in, n_out), values[middle:end]
        start = end
        if settings.normalise_nodes:
            matrix, bias = matrix / n_in, bias / n_in
        if not layers:
            ours = np.zeros((size, n_out))
            ours[places] = matrix
            matrix = ours
        layers.append((torch.tensor(matrix).unsqueeze(0), torch.tensor(bias).unsqueeze(0)))
    return tuple(layers)


def _read_connections(path: Path, sizes: list[tuple[int, int]], symbol: str) -> FloatArray:
    """Read ``value [a|b …]`` per line: layer by layer, weights by the input, then the biases."""
    lines = read_lines(path)
    rows = [(n, t.split()) for n, t in enumerate(lines, 1) if t.strip() and t.strip()[0] != "#"]
    count = sum((n_in + 1) * n_out for n_in, n_out in sizes)
    if len(rows) != count:
        fault(
            path,
            rows[-1][0] if rows else len(lines),
            f"a network {'-'.join(str(n) for n, _ in sizes)}-1 for {symbol} has {count} "
            f"weights and biases; the file has {len(rows)}",
        )
    wanted = [letter for n_in, n_out in sizes for letter in "a" * (n_in * n_out) + "b" * n_out]
    for (number, words), letter in zip(rows, wanted, strict=True):
        if len(words) > 1 and words[1] != letter:
            fault(path, number, f"expected a {'weight' if letter == 'a' else 'bias'} ({letter})")
    return np.array([parse_number(words[0], path, number) for number, words in rows])
