"""Read filters such as ``energy_per_atom < -4.5 and space_group == 227``.

::

    filter      =  conjunction { "or" conjunction }
    conjunction =  term { "and" term }
    term        =  "not" term  |  "(" filter ")"  |  comparison
    comparison  =  field operator value  |  value operator field
    operator    =  "<"  "<="  ">"  ">="  "=="  "="  "!="
    value       =  number  |  'text'  |  "text"  |  a word

The fields are those of :data:`aga.store.fields.FIELDS`. The text is never evaluated as code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn

from aga.errors import InputError
from aga.store.fields import FIELDS, SORT_ALIASES

if TYPE_CHECKING:  # loads NumPy and ASE
    from aga.store.documents import Document

__all__ = ["both", "parse_sort", "parse_where"]

MAX_DEPTH = 50
"""Nested brackets and ``not`` a filter may have."""

_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<operator><=|>=|==|!=|<|>|=)"
    r"|(?P<bracket>[()])"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<word>[A-Za-z_][\w.-]*)"
    r")"
)
_KEYWORDS = ("and", "or", "not")
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_MONGO = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "==": "$eq"}


def parse_where(text: str) -> Document:
    """Read a filter and give it as a MongoDB query on ``aga_structures``.

    A structure that has no value of a field satisfies no comparison of it, under ``not``
    neither: ``not (energy_per_atom < -4.5)`` gives structures that have an energy.

    Parameters
    ----------
    text
        The filter; an empty one lets everything pass. Energies in eV/atom, forces in eV/Å,
        volumes in Å³ per atom.

    Raises
    ------
    aga.errors.InputError
        The filter can't be read; the message names the place, and the nearest field where one
        is unknown.
    """
    if not text.strip():
        return {}
    parser = _Parser(text=text, tokens=_tokens(text))
    query = parser.disjunction(negated=False, depth=0)
    if parser.kind != "end":
        parser.refuse(f"expected 'and', 'or' or the end, not {parser.value!r}")
    return query


def parse_sort(text: str) -> list[tuple[str, int]]:
    """Read an order such as ``energy`` or ``-generation,name``.

    Returns
    -------
    list of (str, int)
        Document path and direction, 1 ascending or −1 descending (after a minus sign).

    Raises
    ------
    aga.errors.InputError
        A field is unknown; the message names the nearest.
    """
    order = []
    for part in filter(None, (item.strip() for item in text.split(","))):
        name = part.lstrip("+-")
        known = FIELDS.get(SORT_ALIASES.get(name, name))
        if known is None:
            raise InputError(f"can't sort by {name!r}: {_nearest(name)}", field=name)
        order.append((known.path, -1 if part.startswith("-") else 1))
    return order


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> Document:
    """Join two queries: both have to hold.

    The result is one flat document wherever that says the same, two bounds of one field in one
    clause: small servers use an index only then.
    """
    joined = dict(one)
    for key, value in other.items():
        said = joined.get(key)
        if key not in joined or said == value:
            joined[key] = value
        elif isinstance(said, dict) and isinstance(value, dict) and not said.keys() & value.keys():
            joined[key] = {**said, **value}
        else:
            return {"$and": [dict(one), dict(other)]}
    return joined


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: str
    column: int


def _tokens(text: str) -> list[_Token]:
    found, position = [], 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            column = position + len(text[position:]) - len(text[position:].lstrip()) + 1
            _refuse(text, column, f"can't read {text[column - 1 : column + 9]!r}")
        kind = str(match.lastgroup)
        value = match.group(kind)
        if kind == "word" and value.lower() in _KEYWORDS:
            kind, value = "keyword", value.lower()
        found.append(_Token(kind, value, match.start(match.lastgroup or 0) + 1))
        position = match.end()
    return [*found, _Token("end", "the end", end + 1)]


@dataclass(slots=True)
class _Parser:
    """Recursive descent; ``negated`` is pushed down to the comparisons on the way."""

    text: str
    tokens: list[_Token]
    at: int = field(default=0)

    @property
    def kind(self) -> str:
        return self.tokens[self.at].kind

    @property
    def value(self) -> str:
        return self.tokens[self.at].value

    def refuse(self, message: str) -> NoReturn:
        _refuse(self.text, self.tokens[self.at].column, message)

    def take(self, kind: str, value: str) -> bool:
        if self.kind == kind and self.value == value:
            self.at += 1
            return True
        return False

    def disjunction(self, *, negated: bool, depth: int) -> Document:
        parts = [self.conjunction(negated=negated, depth=depth)]
        while self.take("keyword", "or"):
            parts.append(self.conjunction(negated=negated, depth=depth))
        return _join("$and" if negated else "$or", parts)

    def conjunction(self, *, negated: bool, depth: int) -> Document:
        parts = [self.term(negated=negated, depth=depth)]
        while self.take("keyword", "and"):
            parts.append(self.term(negated=negated, depth=depth))
        return _join("$or" if negated else "$and", parts)

    def term(self, *, negated: bool, depth: int) -> Document:
        if depth > MAX_DEPTH:
            self.refuse(f"more than {MAX_DEPTH} nested brackets and 'not'")
        if self.take("keyword", "not"):
            return self.term(negated=not negated, depth=depth + 1)
        if self.take("bracket", "("):
            query = self.disjunction(negated=negated, depth=depth + 1)
            if not self.take("bracket", ")"):
                self.refuse(f"expected ')', not {self.value!r}")
            return query
        return self.comparison(negated=negated)

    def comparison(self, *, negated: bool) -> Document:
        left = self.operand()
        if self.kind != "operator":
            self.refuse(f"expected a comparison (<, <=, >, >=, ==, !=), not {self.value!r}")
        sign = self.tokens[self.at]
        operator = "==" if sign.value == "=" else sign.value
        self.at += 1
        right = self.operand()
        swap = left.value not in FIELDS and right.value in FIELDS and right.kind == "word"
        if swap:
            left, right, operator = right, left, _MIRRORED[operator]
        if left.kind != "word" or left.value not in FIELDS:
            _refuse(self.text, left.column, _nearest(left.value), name=left.value)
        return self._compare(left, _NEGATED[operator] if negated else operator, right, sign)

    def operand(self) -> _Token:
        if self.kind not in {"word", "number", "text"}:
            self.refuse(f"expected a field or a value, not {self.value!r}")
        self.at += 1
        return self.tokens[self.at - 1]

    def _compare(self, left: _Token, operator: str, right: _Token, sign: _Token) -> Document:
        known = FIELDS[left.value]
        value: float | int | str
        if known.kind == "number":
            if right.kind != "number":
                message = f"{left.value} is a number{_unit(known.unit)}; {right.value!r} is none"
                _refuse(self.text, right.column, message)
            value = _number(right.value)
        else:
            if right.kind == "number":
                _refuse(self.text, right.column, f"{left.value} is text; write '{right.value}'")
            if operator not in {"==", "!="}:
                message = f"{left.value} is text and can only be compared with == and !="
                _refuse(self.text, sign.column, message)
            value = right.value[1:-1] if right.kind == "text" else right.value
        if operator == "!=":
            return {known.path: {"$nin": [value, None]}}
        return {known.path: {_MONGO[operator]: value}}


def _join(operator: str, parts: list[Document]) -> Document:
    if operator == "$and":
        return reduce(both, parts)
    return parts[0] if len(parts) == 1 else {operator: parts}


def _number(text: str) -> float | int:
    value = float(text)
    # Whole numbers as integers, as long as the database can hold them.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _unit(unit: str) -> str:
    return f" in {unit}" if unit else ""


def _nearest(name: str) -> str:
    meant = SORT_ALIASES.get(name)
    near = [meant] if meant else get_close_matches(name, FIELDS, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{name!r} is not a field; {hint}fields are {', '.join(FIELDS)}"


def _refuse(text: str, column: int, message: str, **facts: Any) -> NoReturn:  # noqa: ANN401 - JSON values
    details: Mapping[str, Any] = {"column": column, "filter": text, **facts}
    raise InputError(
        f"filter, column {column}: {message}",
        remedy="write for example: energy_per_atom < -4.5 and space_group == 227",
        **details,
    )
