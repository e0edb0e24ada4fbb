"""Chemical compositions as users write them."""

from __future__ import annotations

import re
from difflib import get_close_matches
from math import ceil
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

__all__ = ["ELEMENTS", "Composition", "ElementPair", "Formula"]

ELEMENTS: tuple[str, ...] = tuple(
    re.findall(
        "[A-Z][a-z]?",
        "HHeLiBeBCNOFNeNaMgAlSiPSClArKCaScTiVCrMnFeCoNiCuZnGaGeAsSeBrKrRbSrYZrNbMoTcRuRhPdAgCd"
        "InSnSbTeIXeCsBaLaCePrNdPmSmEuGdTbDyHoErTmYbLuHfTaWReOsIrPtAuHgTlPbBiPoAtRnFrRaAcThPaUNpPu",
    )
)
"""Symbols in the order of their atomic numbers, from 1."""

MIN_ATOMS = 6
"""Atoms a cell gets at least when the number of formula units is left open."""


class Formula:
    """A chemical formula without brackets, such as ``TiO2`` or ``Si8``.

    Parameters
    ----------
    text
        Element symbols with whole numbers.

    Raises
    ------
    ValueError
        The text is not a formula; the message names the part and the nearest symbol.
    """

    __slots__ = ("_counts", "text")

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._counts = _parse(self.text)

    def counts(self) -> dict[str, int]:
        """Give the number of atoms of each element in one formula unit."""
        return dict(self._counts)

    def default_units(self) -> int:
        """Give the smallest number of formula units with at least :data:`MIN_ATOMS` atoms.

        A single-element formula with a number (``Si2``) says how many atoms are wanted and
        is taken as it stands.
        """
        total = sum(self._counts.values())
        if len(self._counts) == 1 and total > 1:
            return 1
        return max(1, ceil(MIN_ATOMS / total))

    def __str__(self) -> str:
        """Give the formula as it was written."""
        return self.text

    def __repr__(self) -> str:
        """Give an expression that makes this formula."""
        return f"Formula({self.text!r})"

    def __eq__(self, other: object) -> bool:
        """Compare the text, which names the search too."""
        return isinstance(other, Formula) and self.text == other.text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self.text)


def _parse(text: str) -> dict[str, int]:
    if not text:
        raise ValueError("the composition is empty; write a formula such as Si8 or TiO2")
    counts: dict[str, int] = {}
    position = 0
    for match in re.finditer(r"([A-Z][a-z]?)(\d*)", text):
        if match.start() != position:
            break
        symbol, number = match.group(1), match.group(2)
        if symbol not in ELEMENTS:
            near = get_close_matches(symbol, ELEMENTS, n=1, cutoff=0.4)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{symbol!r} in {text!r} is not an element{hint}")
        amount = int(number) if number else 1
        if amount == 0:
            raise ValueError(f"{text!r} has 0 atoms of {symbol}")
        counts[symbol] = counts.get(symbol, 0) + amount
        position = match.end()
    if position != len(text):
        raise ValueError(
            f"{text!r} is not a composition: cannot read {text[position:]!r}; "
            "write element symbols with whole numbers, such as Si8 or TiO2"
        )
    return counts


def _coerce(value: Any) -> Formula:  # noqa: ANN401 - whatever the YAML file holds
    if isinstance(value, Formula):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a composition; write a formula such as Si8 or TiO2")  # noqa: TRY004 - pydantic collects ValueErrors
    return Formula(value)


Composition = Annotated[
    Formula,
    BeforeValidator(_coerce),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["Si8", "TiO2"]}),
]
"""A :class:`Formula` as a field of the settings."""


def _check_pair(text: str) -> str:
    first, dash, second = text.partition("-")
    if not dash or first not in ELEMENTS or second not in ELEMENTS:
        raise ValueError(f"{text!r} is not a pair of elements; write it as Ti-O")
    return text


ElementPair = Annotated[str, AfterValidator(_check_pair)]
"""Two element symbols as a key of the settings, such as ``Ti-O``."""
