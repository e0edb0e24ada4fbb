"""What of the code decides a run: a digest of the modules that an arm uses.

Found by following imports from the arm and the reference method, so that nobody has to keep a
list. Comments, docstrings, formatting and the descriptions of settings do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import aga

__all__ = ["code_digest", "combined", "decisive_modules"]

PACKAGE = Path(aga.__file__).parent

COMMON = (
    "aga.bench.search.jobs",
    "aga.config.composition",
    "aga.config.schema",
    "aga.config.search",
)
"""What every run uses: how it is set up and written down, and the settings with their defaults."""

ALONE = frozenset({"aga.bench.search.jobs", "aga.bench.search.observer", "aga.config.schema"})
"""Count themselves, but not what they import: it watches a run and does not steer it."""

NEUTRAL = (
    "aga.errors",  # words, and who is told
    "aga.config",  # reading and checking; the settings themselves are roots
    "aga.bench.search.arms",  # settings and targets, in the key as well
    "aga.bench.search.problems",
    "aga.bench.search.code",
)
"""Modules, with all below them, that don't count unless they are roots."""


@lru_cache(maxsize=256)
def code_digest(roots: tuple[str, ...], packages: tuple[str, ...] = ()) -> str:
    """Give a digest of the code that decides a run.

    Parameters
    ----------
    roots
        Modules of the arm and of the reference method.
    packages
        Distributions whose versions count.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    parts = [f"{name} {_file_digest(file)}" for name, file in _decisive(roots).items()]
    parts += [f"{name} {version(name)}" for name in packages]
    return _short("\n".join(parts))


def combined(digests: Iterable[str]) -> str:
    """Give one digest of several; that of a single one is itself."""
    distinct = sorted(set(digests))
    return distinct[0] if len(distinct) == 1 else _short("\n".join(distinct))


def decisive_modules(roots: Iterable[str]) -> list[str]:
    """Give the modules of aga that decide a run, by name: what the roots import, and so on.

    Parameters
    ----------
    roots
        Names of modules; one outside aga counts alone, without what it imports.
    """
    return list(_decisive(roots))


def _decisive(roots: Iterable[str]) -> dict[str, Path]:
    """Give the files of these modules, by name."""
    found: dict[str, Path] = {}
    waiting = [*roots, *COMMON]
    while waiting:
        name = waiting.pop()
        file = _source(name)
        if name in found or file is None:
            continue
        found[name] = file
        if name.startswith("aga.") and name not in ALONE:
            imported = _imports(_read(file.read_bytes()).imports)
            waiting += [other for other in imported if not _neutral(other)]
    return dict(sorted(found.items()))


def _neutral(name: str) -> bool:
    return any(name == one or name.startswith(one + ".") for one in NEUTRAL)


@lru_cache(maxsize=1024)
def _source(name: str) -> Path | None:
    """Give the file of a module; None where there is none, as for built-in ones."""
    first, *rest = name.split(".")
    if first == "aga":  # no import: most are not loaded otherwise
        place = PACKAGE.joinpath(*rest)
        files = (place / "__init__.py", place.with_suffix(".py"))
        return next((file for file in files if file.is_file()), None)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


class _Module(NamedTuple):
    """What a file says, as a digest; what it imports: module, names; files of data it names."""

    says: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]
    data: tuple[str, ...]


@lru_cache(maxsize=1024)
def _read(text: bytes) -> _Module:
    """Read the text of a module."""
    tree = ast.parse(text)
    imports: list[tuple[str, tuple[str, ...]]] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            imports += [(one.name, ()) for one in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.append((node.module, tuple(one.name for one in node.names)))
    texts = {one.value for one in ast.walk(tree) if isinstance(one, ast.Constant)}
    data = [one for one in texts if isinstance(one, str) and one.endswith(".json")]
    return _Module(_short(repr(_said(tree))), tuple(imports), tuple(sorted(data)))


def _imports(statements: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[str]:
    """Give the modules of aga that are imported."""
    for module, names in statements:
        if not module.startswith("aga."):
            continue
        inner = [one for name in names if _source(one := f"{module}.{name}")]
        yield from inner
        if len(inner) < len(names) or not names:  # a package counts where its own is taken
            yield module


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk through a module, but for what only type checkers see."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _statements(node)


def _file_digest(file: Path) -> str:
    """Give the digest of what a module says, and of the data files beside it that it names."""
    if file.suffix != ".py":  # a compiled calculator
        return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
    read = _read(file.read_bytes())
    data = [one.read_text("utf-8") for name in read.data if (one := file.parent / name).is_file()]
    return _short("\n".join([read.says, *data]))


def _said(node: object) -> Any:  # noqa: ANN401 - nested lists
    """Give a tree as plain lists, the same in every version of Python; no docstrings."""
    if isinstance(node, list):
        return [_said(one) for one in node if not _words(one)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [(key, value) for key, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([key, _said(value)] for key, value in fields)]


def _words(node: object) -> bool:
    """Whether it is for people alone: a docstring, the description of a setting."""
    if isinstance(node, ast.keyword):
        return node.arg == "description"
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
