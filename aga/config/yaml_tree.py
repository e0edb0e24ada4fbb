"""YAML text as plain values that remember where they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from aga.errors import InputError, Problem, SettingsError

__all__ = ["KeyPath", "Place", "YamlTree", "parse_key", "parse_yaml", "read_yaml", "show_key"]

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the top of a file down to a value."""

MAX_NODES = 20_000
"""More values than this are no settings file (and stop an exponential nest of aliases)."""

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "timestamp", "merge")
)

_PLAIN_WORDS = {
    "cannot start any token": "tabs and special characters can't start a value; indent with "
    "spaces and put quotes around text that starts with a special character",
    "mapping values are not allowed": "a ':' where none can stand; check the indentation, and "
    "put quotes around text that holds a colon",
    "found another document": "a second document (---) starts here; one file is one search",
    "unexpected end of stream": "a quote or bracket that was opened is not closed",
    "<stream end>": "a bracket that was opened is not closed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands in a file; line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class YamlTree:
    """The plain value of a YAML file.

    ``value`` is made of dict, list, str, int, float, bool and None; ``places`` gives the place
    of every key and list item; ``problems`` are duplicate keys and values that are no plain
    data.
    """

    file: str
    value: Any
    places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def show_key(path: KeyPath) -> str:
    """Write a key path as users do: ``potential.hidden[1]``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def parse_key(key: str) -> KeyPath:
    """Read what :func:`show_key` wrote."""
    pieces = key.replace("]", "").replace("[", ".[").split(".")
    return tuple(int(piece[1:]) if piece.startswith("[") else piece for piece in pieces)


def read_yaml(path: Path) -> YamlTree:
    """Read a YAML file.

    Raises
    ------
    aga.errors.InputError
        There is no such file, or it can't be read as UTF-8 text.
    aga.errors.SettingsError
        The text is not YAML; the problem names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"there is no file {path}",
            remedy="check the name, or let `aga init COMPOSITION` write a settings file",
            file=str(path),
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"can't read {path}: {error}", remedy="it has to be a UTF-8 text file", file=str(path)
        ) from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> YamlTree:
    """Parse YAML text (version 1.2; no tags, so no code can hide in it).

    Raises
    ------
    aga.errors.SettingsError
        The text is not YAML; the problem names the line.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        node = yaml.compose(text)
    except YAMLError as error:
        raise SettingsError([_syntax_problem(error, file)]) from error
    tree = YamlTree(file=file, value=None)
    if node is None:
        return tree
    builder = _Builder(tree, yaml)
    value = builder.build(node, (), ())
    return YamlTree(file=file, value=value, places=tree.places, problems=tree.problems)


def _syntax_problem(error: YAMLError, file: str) -> Problem:
    if not isinstance(error, MarkedYAMLError):
        return Problem(key="", message=f"not YAML: {error}", file=file)
    mark = error.problem_mark or error.context_mark
    said = " ".join(part for part in (error.context, error.problem) if part)
    hint = next((words for key, words in _PLAIN_WORDS.items() if key in said), None)
    return Problem(
        key="",
        message=f"not YAML: {said}",
        file=file,
        line=mark.line + 1 if mark else None,
        column=mark.column + 1 if mark else None,
        hint=hint,
    )


class _Builder:
    """Turns nodes into values, noting places and problems in a tree."""

    def __init__(self, tree: YamlTree, yaml: YAML) -> None:
        self.tree = tree
        self.yaml = yaml
        self.count = 0

    def build(self, node: Node, path: KeyPath, above: tuple[int, ...]) -> Any:  # noqa: ANN401 - YAML holds any value
        self.count += 1
        if self.count > MAX_NODES or id(node) in above:
            raise SettingsError(
                [self._problem(node, path, "aliases that repeat without end are no settings")]
            )
        if node.tag not in _PLAIN_TAGS:
            self.tree.problems.append(
                self._problem(node, path, f"the tag {node.tag} is not allowed in settings")
            )
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path, (*above, id(node)))
        if isinstance(node, SequenceNode):
            return self._sequence(node, path, (*above, id(node)))
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath, above: tuple[int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self.tree.problems.append(
                    self._problem(key_node, path, "a key has to be a plain word")
                )
                continue
            key = str(key_node.value)
            here = (*path, key)
            if key in values:
                first = self.tree.places[here].line
                self.tree.problems.append(
                    self._problem(
                        key_node, here, f"stands twice; the first is in line {first}", "keep one"
                    )
                )
                continue
            self.tree.places[here] = self._place(key_node)
            values[key] = self.build(value_node, here, above)
        return values

    def _sequence(self, node: SequenceNode, path: KeyPath, above: tuple[int, ...]) -> list[Any]:
        values = []
        for index, item in enumerate(node.value):
            self.tree.places[*path, index] = self._place(item)
            values.append(self.build(item, (*path, index), above))
        return values

    def _scalar(self, node: Node, path: KeyPath) -> Any:  # noqa: ANN401 - YAML holds any value
        if str(node.tag).endswith((":timestamp", ":merge")):
            return str(node.value)
        try:
            return self.yaml.constructor.construct_object(node)
        except (YAMLError, ValueError, OverflowError) as error:
            self.tree.problems.append(self._problem(node, path, f"can't be read: {error}"))
            return None

    def _place(self, node: Node) -> Place:
        mark = node.start_mark
        return Place(file=self.tree.file, line=mark.line + 1, column=mark.column + 1)

    def _problem(self, node: Node, path: KeyPath, message: str, hint: str | None = None) -> Problem:
        place = self._place(node)
        return Problem(
            key=show_key(path),
            message=message,
            file=place.file,
            line=place.line,
            column=place.column,
            hint=hint,
        )
