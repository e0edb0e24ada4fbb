"""A user's own problem: a YAML file with a composition, a reference method and the answer."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from aga.bench.search.problems import Problem, merged
from aga.config import Settings
from aga.config.base import Section
from aga.config.composition import Composition
from aga.config.load import settings_from_dict
from aga.config.messages import say
from aga.config.yaml_tree import YamlTree, read_yaml, show_key
from aga.errors import Problem as Wrong
from aga.errors import SettingsError
from aga.oracle.ase_engine import AseEngine
from aga.oracle.registry import check_oracle, engine_class, resolve_engine
from aga.oracle.single_points import SINGLE_POINTS

__all__ = ["ProblemFile", "load_problem"]


class ProblemFile(Section):
    """The keys of the file; sections as in a settings file, for what differs from the defaults."""

    composition: Composition
    answer: float | None = Field(None, allow_inf_nan=False)
    answer_per: Literal["atom", "formula_unit"] = "atom"
    reference_calls: Annotated[int, Field(ge=1)] = 20_000
    relaxations: Annotated[int, Field(ge=1)] = 1_000
    search: dict[str, Any] = Field(default_factory=dict)
    oracle: dict[str, Any] = Field(default_factory=dict)
    potential: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    machine: dict[str, Any] = Field(default_factory=dict)

    def sections(self) -> dict[str, Any]:
        """Give the tree of settings."""
        composed = {"search": {"composition": str(self.composition)}}
        names = ("search", "oracle", "potential", "training", "machine")
        return merged(composed, {name: getattr(self, name) for name in names})

    def per_atom(self) -> float | None:
        """Give the answer in eV/atom."""
        if self.answer is None or self.answer_per == "atom":
            return self.answer
        return self.answer / sum(self.composition.counts().values())


def load_problem(path: Path) -> Problem:
    """Read a problem.

    Raises
    ------
    aga.errors.InputError, aga.errors.SettingsError
        The file can't be read, a key is missing or wrong, or the reference method can't do it.
    """
    tree = read_yaml(path)
    if tree.problems:
        raise SettingsError(tree.problems)
    if not isinstance(tree.value, dict):
        raise SettingsError(
            [Wrong(key="", message="must be keys such as `composition: Si8`", file=str(path))]
        )
    try:
        read = ProblemFile.model_validate(tree.value)
    except ValidationError as error:
        raise SettingsError([_wrong(one, tree) for one in error.errors()]) from error
    settings = settings_from_dict(read.sections(), origin=str(path))
    problems = check_oracle(settings.oracle, settings.machine, settings.search.atom_counts())
    if problems:
        raise SettingsError(
            [Wrong(key=p.key, message=p.message, hint=p.hint, file=str(path)) for p in problems]
        )
    return Problem(
        name=path.stem,
        settings=_by_single_points(read.sections(), settings),
        answer=read.per_atom(),
        phase="as given" if read.answer is not None else "the lowest found",
        calls=read.reference_calls,
        relaxations=read.relaxations,
    )


def _by_single_points(tree: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Ask an engine that is no calculator for single points, which can be counted one by one."""
    name = resolve_engine(settings.oracle.engine, settings.search.atom_counts())
    if issubclass(engine_class(name), AseEngine):
        return tree
    inner = {"engine": name, "options": settings.oracle.options}
    return tree | {"oracle": tree["oracle"] | {"engine": SINGLE_POINTS, "options": inner}}


def _wrong(error: ErrorDetails, tree: YamlTree) -> Wrong:
    """Put one validation error into plain words, with its place."""
    path, message, hint = say(error)
    if error["type"] == "extra_forbidden":
        near = get_close_matches(str(path[-1]), ProblemFile.model_fields, n=1)
        hint = (
            f"did you mean {near[0]}?" if near else f"known: {', '.join(ProblemFile.model_fields)}"
        )
    if path == ("composition",):
        hint = "write a formula such as Si8 or TiO2"
    place = tree.places.get(path)
    return Wrong(
        key=show_key(path),
        message=message,
        hint=hint,
        file=tree.file,
        line=None if place is None else place.line,
        column=None if place is None else place.column,
    )
