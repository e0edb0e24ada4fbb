"""What the settings file of a RuNNer or n2p2 potential, ``input.nn``, says.

References: A. Singraber, J. Behler, C. Dellago, J. Chem. Theory Comput. 15, 1827 (2019), and the
documentation of n2p2, https://compphysvienna.github.io/n2p2/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, Self, TypeVar

from ase.data import atomic_numbers

from aga.errors import ModelError
from aga.potential.network import Activation
from aga.potential.symmetry.functions import Angular, CutoffFunction, Radial

__all__ = [
    "ACTIVATIONS",
    "CUTOFF_TYPES",
    "TYPE_NARROW",
    "TYPE_RADIAL",
    "TYPE_WIDE",
    "Function",
    "Keywords",
    "Line",
    "Units",
    "fault",
    "function_order",
    "parse_number",
    "read_lines",
]

Units = Literal["bohr-hartree", "angstrom-ev"]
"""Units of the numbers in the files, which hold no keyword for them."""

ACTIVATIONS: dict[str, Activation] = {
    "t": "tanh",
    "p": "softplus",
    "s": "logistic",
    "g": "gaussian",
    "l": "identity",
}
"""Letters of ``global_activation_short`` that we know."""

CUTOFF_TYPES: dict[str, CutoffFunction] = {
    "1": "cosine",
    "2": "tanh3",
    "5": "polynomial3",
    "6": "polynomial5",
    "7": "polynomial7",
}
"""Numbers of ``cutoff_type`` that we know."""

TYPE_RADIAL, TYPE_NARROW, TYPE_WIDE = 2, 3, 9
"""Numbers of the symmetry function types that we know."""

_REPEATED = {"atom_energy", "symfunction_short", "element_nodes_short"}
_REFUSED = {
    "element_hidden_layers_short": "networks that differ between elements are not supported",
    "element_activation_short": "networks that differ between elements are not supported",
    "global_symfunction_short": "list every function with symfunction_short instead",
    "element_symfunction_short": "list every function with symfunction_short instead",
    "use_electrostatics": "electrostatics is not supported",
    "use_vdw": "dispersion is not supported",
}
_ALLOWED = {
    "nnp_type": {"0", "2", "2G-HDNNP"},
    "nn_type": {"0", "2", "2G-HDNNP"},
    "nnp_type_gen": {"2"},
    "nn_type_short": {"1"},
    "committee_mode": {"disabled"},
}
"""Keywords that may only have these values: a short-range potential of the second generation."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_UNIT = re.compile(r"#\s*(length|energy) unit\s*:\s*(\S+)", re.IGNORECASE)
_UNIT_WORDS = {
    "bohr": "bohr",
    "a0": "bohr",
    "angstrom": "angstrom",
    "å": "angstrom",
    "ha": "hartree",
    "hartree": "hartree",
    "ev": "ev",
}


class Line(NamedTuple):
    """A line of ``input.nn``: its number from 1, and the words after the keyword."""

    number: int
    words: tuple[str, ...]


Function = Radial | Angular
Value = TypeVar("Value")


def fault(path: Path, line: int | None, message: str, remedy: str | None = None) -> NoReturn:
    """Refuse a file.

    Raises
    ------
    aga.errors.ModelError
        Always; names file and line.
    """
    place = f"{path}" if line is None else f"{path}, line {line}"
    raise ModelError(f"{place}: {message}", remedy=remedy, file=str(path), line=line)


def read_lines(path: Path) -> list[str]:
    """Read the lines of a text file.

    Raises
    ------
    aga.errors.ModelError
        There is no such file, or it holds no text.
    """
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        fault(path, None, "the file is missing", "give the folder of a whole n2p2 potential")
    except UnicodeDecodeError:
        fault(path, None, "this is no text file")
    except OSError as error:
        fault(path, None, f"the file cannot be read ({error.strerror})")


def parse_number(text: str, path: Path, line: int) -> float:
    """Read one finite number.

    Raises
    ------
    aga.errors.ModelError
        It is none; names file and line.
    """
    if not _NUMBER.fullmatch(text):
        fault(path, line, f"{text!r} is no finite number")
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        fault(path, line, f"{text!r} is too large")
    return value


def function_order(function: Function) -> tuple[float, ...]:
    """Give the key by which n2p2 sorts the functions of one central element.

    Type, cutoff, η and shift; then ζ and λ of the angular ones; then the neighbours by atomic
    number. ``scaling.data`` and the first layer of the weights follow this order, whatever the
    order of the lines in ``input.nn``.
    """
    cutoff = -1.0 if function.cutoff is None else function.cutoff
    if isinstance(function, Radial):
        element = atomic_numbers[function.element]
        return (TYPE_RADIAL, cutoff, function.eta, function.shift, element)
    first, second = sorted(atomic_numbers[symbol] for symbol in function.elements)
    kind = TYPE_NARROW if function.narrow else TYPE_WIDE
    shape = (function.eta, function.shift, function.zeta, function.lambda_)
    return (kind, cutoff, *shape, first, second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keywords:
    """The keywords of an ``input.nn``; every method raises ModelError with file and line.

    ``lines`` holds the lines of each keyword; ``stated`` the units that comments name.
    """

    path: Path
    lines: dict[str, tuple[Line, ...]]
    stated: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file and refuse what we do not support.

        Raises
        ------
        aga.errors.ModelError
            Missing, or a keyword given twice with different values, or one that stands for
            something we do not have; names file and line.
        """
        found: dict[str, list[Line]] = {}
        stated: dict[str, str] = {}
        for number, text in enumerate(read_lines(path), start=1):
            unit = _UNIT.match(text.strip())
            if unit:
                stated[unit[1].lower()] = _UNIT_WORDS.get(unit[2].lower(), unit[2])
            words = re.split(r"[#!]", text, maxsplit=1)[0].split()
            if words:
                found.setdefault(words[0], []).append(Line(number, tuple(words[1:])))
        keywords = cls(
            path=path, lines={key: tuple(lines) for key, lines in found.items()}, stated=stated
        )
        keywords._check()
        return keywords

    def _check(self) -> None:
        for key, (first, *others) in self.lines.items():
            for other in others:
                # The same thing said twice is harmless, and published potentials do it.
                if key not in _REPEATED and other.words != first.words:
                    self.refuse(other, f"{key} is given on line {first.number} already")
            if key in _REFUSED:
                self.refuse(first, f"{key}: {_REFUSED[key]}")
            if key in _ALLOWED and self.word(key) not in _ALLOWED[key]:
                self.refuse(first, f"{key} {' '.join(first.words)} is not supported")

    def refuse(self, line: Line | None, message: str) -> NoReturn:
        """Raise ModelError with the file and the line."""
        fault(self.path, None if line is None else line.number, message)

    def has(self, key: str) -> bool:
        """Tell whether a keyword is there."""
        return key in self.lines

    def line(self, key: str) -> Line:
        """Give the line of a keyword that must be there."""
        if key not in self.lines:
            fault(self.path, None, f"the keyword {key} is missing")
        return self.lines[key][0]

    def words(self, key: str, count: int | None = None) -> tuple[str, ...]:
        """Give the words after a keyword, at least ``count`` of them."""
        line = self.line(key)
        if len(line.words) < (1 if count is None else count):
            self.refuse(line, f"{key} needs {count or 'a'} value{'s' if count else ''}")
        return line.words

    def word(self, key: str) -> str:
        """Give the first word after a keyword."""
        return self.words(key)[0]

    def number(self, key: str, default: float | None = None) -> float:
        """Give the number after a keyword."""
        if default is not None and not self.has(key):
            return default
        return parse_number(self.word(key), self.path, self.line(key).number)

    def count(self, text: str, line: Line) -> int:
        """Read a whole number above 0, of at most six digits."""
        if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not int(text):
            self.refuse(line, f"{text!r} is no whole number above 0")
        return int(text)

    def units(self) -> Units:
        """Give the units that the comments state, as n2p2's examples and our files do.

        Raises
        ------
        aga.errors.ModelError
            They state none, or a pair that we do not know.
        """
        pair = "-".join(self.stated.get(kind, "?") for kind in ("length", "energy"))
        if pair == "bohr-hartree":
            return "bohr-hartree"
        if pair == "angstrom-ev":
            return "angstrom-ev"
        fault(
            self.path,
            None,
            "no comment states the units as Bohr and Hartree or Angstrom and eV"
            + (f" (found {pair})" if self.stated else ""),
            "say which they are: units bohr-hartree (RuNNer's own) or angstrom-ev",
        )

    def known(
        self, key: str, text: str, known: Mapping[str, Value], others: Mapping[str, str]
    ) -> Value:
        """Look up a letter or number; what we do not have is refused by its name."""
        if text not in known:
            name = f" ({others[text]})" if text in others else ""
            choice = ", ".join(f"{k} ({v})" for k, v in known.items())
            self.refuse(self.line(key), f"{key} {text}{name} is not supported; known: {choice}")
        return known[text]

    def check_elements(self, symbols: Sequence[str], elements: Sequence[str], line: Line) -> None:
        """Refuse elements that the file does not list."""
        for symbol in symbols:
            if symbol not in elements:
                self.refuse(line, f"{symbol} is not among the elements {' '.join(elements)}")
