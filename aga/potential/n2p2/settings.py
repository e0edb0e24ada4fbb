"""What the keywords of ``input.nn`` mean: elements, energies, functions, scaling and layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ase.data import atomic_numbers

from aga.potential.n2p2.input import (
    ACTIVATIONS,
    CUTOFF_TYPES,
    TYPE_NARROW,
    TYPE_RADIAL,
    TYPE_WIDE,
    Function,
    Keywords,
    Line,
    parse_number,
)
from aga.potential.network import Activation
from aga.potential.symmetry.functions import Angular, CutoffFunction, Radial

__all__ = ["Scaling", "Settings", "interpret"]

_OTHER_CUTOFFS = {
    "0": "no cutoff",
    "3": "scaled tanh³",
    "4": "exponential",
    "8": "polynomial of ninth order",
}
_OTHER_ACTIVATIONS = {
    "r": "rectifier",
    "c": "cosine",
    "S": "reversed logistic",
    "e": "exponential",
    "h": "harmonic",
}
_TYPES = {
    str(TYPE_RADIAL): "radial",
    str(TYPE_NARROW): "narrow angular",
    str(TYPE_WIDE): "wide angular",
}
_OTHER_TYPES = {
    "1": "cutoff only",
    "4": "radial with cosine",
    "12": "weighted radial",
    "13": "weighted angular",
    "20": "compact radial",
    "21": "compact narrow angular",
    "22": "compact wide angular",
    "23": "compact weighted radial",
    "24": "compact weighted narrow angular",
    "25": "compact weighted wide angular",
}


class Scaling(NamedTuple):
    """How the functions are scaled: low + (high − low) (G − centre) / width.

    ``centre`` and ``width`` name columns of ``scaling.data``; without a width, ``low`` is 0 and
    ``high`` 1.
    """

    centre: Literal["zero", "minimum", "mean"]
    width: Literal["one", "range", "sigma"]
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A potential without its numbers, in the units of the file.

    Parameters
    ----------
    elements
        Symbols by atomic number, as n2p2 numbers them.
    atom_energies
        Energy that is added per atom of each element; 0 where the file names none.
    mean_energy, conv_energy
        Normalisation by ``nnp-norm``: E = E_net/conv_energy + mean_energy per atom. The lengths
        are scaled together with the parameters of the functions, so ``conv_length`` leaves
        their values as they are, and has no meaning for us.
    cutoff_function, inner
        For :class:`~aga.potential.symmetry.functions.FunctionSet`.
    functions
        Those of each element, in the order of the lines; each names its cutoff and no centre.
    scaling
        Of the functions.
    hidden, activation
        Hidden layers.
    normalise_nodes
        Whether the signal of every node is divided by the number of its inputs.
    """

    elements: tuple[str, ...]
    atom_energies: dict[str, float]
    mean_energy: float
    conv_energy: float
    cutoff_function: CutoffFunction
    inner: float
    functions: dict[str, tuple[Function, ...]]
    scaling: Scaling
    hidden: tuple[int, ...]
    activation: Activation
    normalise_nodes: bool


def interpret(keywords: Keywords) -> Settings:
    """Read the settings out of the keywords.

    Raises
    ------
    aga.errors.ModelError
        Something is missing, makes no sense, or is not supported; names file and line.
    """
    elements = _elements(keywords)
    mean_energy, conv_energy = _normalisation(keywords)
    cutoff_function, inner = _cutoff(keywords)
    hidden, activation = _layers(keywords, elements)
    return Settings(
        elements=elements,
        atom_energies=_atom_energies(keywords, elements),
        mean_energy=mean_energy,
        conv_energy=conv_energy,
        cutoff_function=cutoff_function,
        inner=inner,
        functions=_functions(keywords, elements),
        scaling=_scaling(keywords),
        hidden=hidden,
        activation=activation,
        normalise_nodes=keywords.has("normalize_nodes"),
    )


def _elements(keywords: Keywords) -> tuple[str, ...]:
    line, symbols = keywords.line("elements"), keywords.words("elements")
    for symbol in symbols:
        if symbol not in atomic_numbers or symbol == "X":
            keywords.refuse(line, f"no such element: {symbol}")
    if len(set(symbols)) != len(symbols):
        keywords.refuse(line, "an element is listed twice")
    counted = keywords.line("number_of_elements")
    if keywords.count(keywords.word("number_of_elements"), counted) != len(symbols):
        keywords.refuse(counted, f"number_of_elements is not that of {' '.join(symbols)}")
    return tuple(sorted(symbols, key=lambda symbol: int(atomic_numbers[symbol])))


def _atom_energies(keywords: Keywords, elements: tuple[str, ...]) -> dict[str, float]:
    energies: dict[str, float] = {}
    for line in keywords.lines.get("atom_energy", ()):
        if len(line.words) < 2:
            keywords.refuse(line, "atom_energy needs an element and an energy")
        symbol = line.words[0]
        keywords.check_elements([symbol], elements, line)
        energy = parse_number(line.words[1], keywords.path, line.number)
        if energies.setdefault(symbol, energy) != energy:
            keywords.refuse(line, f"atom_energy of {symbol} is given already, with another value")
    return {symbol: energies.get(symbol, 0.0) for symbol in elements}


def _normalisation(keywords: Keywords) -> tuple[float, float]:
    keys = ("mean_energy", "conv_energy", "conv_length")
    given = [key for key in keys if keywords.has(key)]
    if not given:
        return 0.0, 1.0
    for key in keys:
        keywords.line(key)
    for key in keys[1:]:
        if not keywords.number(key) > 0:
            keywords.refuse(keywords.line(key), f"{key} must be above 0")
    return keywords.number("mean_energy"), keywords.number("conv_energy")


def _cutoff(keywords: Keywords) -> tuple[CutoffFunction, float]:
    line, words = keywords.line("cutoff_type"), keywords.words("cutoff_type")
    name = keywords.known("cutoff_type", words[0], CUTOFF_TYPES, _OTHER_CUTOFFS)
    # n2p2 takes the inner cutoff from the second word, RuNNer from a keyword of its own.
    inner = parse_number(words[1], keywords.path, line.number) if len(words) > 1 else 0.0
    if keywords.has("cutoff_alpha"):
        line, own = keywords.line("cutoff_alpha"), keywords.number("cutoff_alpha")
        if len(words) > 1 and own != inner:
            keywords.refuse(line, "cutoff_alpha and cutoff_type disagree about the inner cutoff")
        inner = own
    if not 0.0 <= inner < 1.0:
        keywords.refuse(line, f"the inner cutoff must be from 0 to below 1, not {inner}")
    return name, 0.0 if name == "tanh3" else inner  # as n2p2, which takes no notice of it there


def _scaling(keywords: Keywords) -> Scaling:
    ranged = keywords.has("scale_symmetry_functions")
    centred = keywords.has("center_symmetry_functions")
    low, high = keywords.number("scale_min_short", 0.0), keywords.number("scale_max_short", 1.0)
    sigma = keywords.has("scale_symmetry_functions_sigma")
    if (ranged or sigma) and not high > low:
        key = "scale_max_short" if keywords.has("scale_max_short") else "scale_min_short"
        keywords.refuse(keywords.line(key), "scale_max_short must be above scale_min_short")
    if ranged:
        return Scaling("mean" if centred else "minimum", "range", low, high)
    if centred:
        return Scaling("mean", "one")
    if sigma:
        return Scaling("mean", "sigma", low, high)
    return Scaling("zero", "one")


def _layers(keywords: Keywords, elements: tuple[str, ...]) -> tuple[tuple[int, ...], Activation]:
    counted = keywords.line("global_hidden_layers_short")
    layers = keywords.count(keywords.word("global_hidden_layers_short"), counted)
    line = keywords.line("global_nodes_short")
    words = keywords.words("global_nodes_short", layers)[:layers]
    hidden = tuple(keywords.count(word, line) for word in words)
    line = keywords.line("global_activation_short")
    letters = keywords.words("global_activation_short", layers)
    if letters[layers : layers + 1] not in {(), ("l",)}:
        keywords.refuse(line, f"an output layer with activation {letters[layers]} is not supported")
    if len(set(letters[:layers])) > 1:
        keywords.refuse(line, "layers with different activations are not supported")
    for line in keywords.lines.get("element_nodes_short", ()):
        if len(line.words) < 3:
            keywords.refuse(line, "element_nodes_short needs an element, a layer and a number")
        keywords.check_elements(line.words[:1], elements, line)
        layer, nodes = (keywords.count(word, line) for word in line.words[1:3])
        if layer > layers or nodes != hidden[layer - 1]:
            keywords.refuse(line, "networks that differ between elements are not supported")
    key = "global_activation_short"
    return hidden, keywords.known(key, letters[0], ACTIVATIONS, _OTHER_ACTIVATIONS)


def _functions(keywords: Keywords, elements: tuple[str, ...]) -> dict[str, tuple[Function, ...]]:
    functions: dict[str, list[Function]] = {symbol: [] for symbol in elements}
    keywords.line("symfunction_short")
    for line in keywords.lines["symfunction_short"]:
        if len(line.words) < 2:
            keywords.refuse(line, "symfunction_short needs an element and a type")
        centre, kind = line.words[:2]
        keywords.check_elements([centre], elements, line)
        if kind not in _TYPES:
            name = f" ({_OTHER_TYPES[kind]})" if kind in _OTHER_TYPES else ""
            known = ", ".join(f"{k} ({v})" for k, v in _TYPES.items())
            keywords.refuse(line, f"function type {kind}{name} is not supported; known: {known}")
        functions[centre].append(_function(keywords, elements, line, int(kind)))
    for symbol, own in functions.items():
        if not own:
            keywords.refuse(keywords.line("elements"), f"{symbol} has no symmetry function")
    return {symbol: tuple(own) for symbol, own in functions.items()}


def _function(keywords: Keywords, elements: tuple[str, ...], line: Line, kind: int) -> Function:
    """Read ``centre 2 e1 η R_s r_c`` or ``centre 3|9 e1 e2 η λ ζ r_c [R_s]``."""
    words = line.words[2:]
    neighbours, counts = (1, {4}) if kind == TYPE_RADIAL else (2, {6, 7})
    if len(words) not in counts:
        wanted = " or ".join(str(n + 2) for n in sorted(counts))
        keywords.refuse(line, f"a function of type {kind} needs {wanted} values")
    keywords.check_elements(words[:neighbours], elements, line)
    numbers = [parse_number(word, keywords.path, line.number) for word in words[neighbours:]]
    eta = numbers[0]
    cutoff = numbers[2] if kind == TYPE_RADIAL else numbers[3]
    if eta < 0:
        keywords.refuse(line, f"η must not be below 0, as {eta} is")
    if not cutoff > 0:
        keywords.refuse(line, f"the cutoff must be above 0, not {cutoff}")
    if kind == TYPE_RADIAL:
        return Radial(element=words[0], eta=eta, shift=numbers[1], cutoff=cutoff)
    lambda_, zeta = numbers[1:3]
    if zeta < 1:
        keywords.refuse(line, f"ζ must be 1 or more, not {zeta}")
    if not -1.0 <= lambda_ <= 1.0:
        keywords.refuse(line, f"λ must be from −1 to 1, not {lambda_}")
    first, second = sorted(words[:2])
    return Angular(
        elements=(first, second),
        eta=eta,
        zeta=zeta,
        lambda_=lambda_,
        shift=numbers[4] if len(numbers) > 4 else 0.0,
        narrow=kind == TYPE_NARROW,
        cutoff=cutoff,
    )
