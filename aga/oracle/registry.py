"""Which engines there are. To add one: a file with an ``Engine``, and a line here.

Importing this module imports no engine; an engine is imported when it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from aga.config.messages import say
from aga.config.schema import MachineSettings, OracleSettings
from aga.config.yaml_tree import show_key
from aga.errors import InputError, Problem, SettingsError
from aga.structure.protocols import Oracle

if TYPE_CHECKING:
    from aga.oracle.base import Engine

__all__ = [
    "build_oracle",
    "check_oracle",
    "engine_class",
    "engine_names",
    "options_schema",
    "resolve_engine",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Where an engine lives, and when ``auto`` may take it.

    ``elements``: an analytic potential knows these and no other; None for methods that know
    nearly all. ``ratio``: the only composition it is made for. ``auto``: False where it has to be
    asked for by name.
    """

    target: str
    elements: frozenset[str] | None = None
    ratio: tuple[tuple[str, int], ...] = ()
    auto: bool = True

    def suits(self, composition: Mapping[str, int]) -> bool:
        """Whether an analytic potential knows the composition (counts of 0: unknown)."""
        if self.elements is None or not set(composition) <= self.elements:
            return False
        if not self.ratio:
            return True
        if set(composition) != {el for el, _ in self.ratio}:
            return False
        counts = [composition[el] for el, _ in self.ratio]
        divisor = gcd(*counts)
        return divisor == 0 or [n // divisor for n in counts] == [n for _, n in self.ratio]


ENGINES: dict[str, Entry] = {
    "tersoff": Entry(target="aga.oracle.tersoff:Tersoff", elements=frozenset({"C", "Si"})),
    "matsui-akaogi": Entry(
        target="aga.oracle.matsui_akaogi:MatsuiAkaogi",
        elements=frozenset({"O", "Ti"}),
        ratio=(("Ti", 1), ("O", 2)),
    ),
    "emt": Entry(
        target="aga.oracle.emt:Emt",
        elements=frozenset({"Ag", "Al", "Au", "Cu", "Ni", "Pd", "Pt"}),
        auto=False,  # who searches a metal mostly means to search it by DFT
    ),
    "lj-mixture": Entry(target="aga.oracle.lj_mixture:LjMixture"),
    "espresso": Entry(target="aga.oracle.espresso:Espresso"),
    "gpaw": Entry(target="aga.oracle.gpaw:Gpaw"),
    "abinit": Entry(target="aga.oracle.abinit:Abinit"),
    "cp2k": Entry(target="aga.oracle.cp2k:Cp2k"),
    "vasp": Entry(target="aga.oracle.vasp:Vasp"),
    "lammps": Entry(target="aga.oracle.lammps:Lammps"),
}

GENERAL_ENGINE = "espresso"
"""Taken by ``auto`` where no analytic potential knows the elements."""

_TARGET = re.compile(r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")


def engine_names() -> tuple[str, ...]:
    """Give the names of all engines."""
    return tuple(ENGINES)


def resolve_engine(engine: str, elements: Iterable[str] | Mapping[str, int]) -> str:
    """Give the engine's name, or for ``auto`` the one that suits the elements.

    Parameters
    ----------
    engine
        A name, ``module:Class``, or ``auto``.
    elements
        Element symbols, or atoms of each element in the cell.
    """
    if engine != "auto":
        return engine
    composition = _composition(elements)
    for name, entry in ENGINES.items():
        if entry.auto and entry.suits(composition):
            return name
    return GENERAL_ENGINE


def build_oracle(
    settings: OracleSettings,
    machine: MachineSettings,
    elements: Iterable[str] | Mapping[str, int],
) -> Oracle:
    """Build the reference method of the settings.

    Raises
    ------
    aga.errors.SettingsError
        The settings do not fit the engine; holds every problem.
    aga.errors.SiteError
        The machine lacks the executable or a pseudopotential.
    """
    composition = _composition(elements)
    name = resolve_engine(settings.engine, composition)
    cls = engine_class(name)
    _, problems = _options(cls, settings)
    problems += _coverage(cls, name, composition)
    if problems:
        raise SettingsError(problems)
    return cls(settings, machine, composition)


def check_oracle(
    settings: OracleSettings,
    machine: MachineSettings,
    elements: Iterable[str] | Mapping[str, int],
) -> list[Problem]:
    """Give every problem the reference method would have with the settings; changes nothing.

    Parameters
    ----------
    settings, machine
        As in the settings file.
    elements
        Element symbols, or atoms of each element in the cell.
    """
    composition = _composition(elements)
    name = resolve_engine(settings.engine, composition)
    cls, problems = _load(name)
    if cls is None:
        return problems
    options, problems = _options(cls, settings)
    problems += _coverage(cls, name, composition)
    if options is None:  # look at the rest with the wrong ones left out
        wrong = {p.key.split(".")[2] for p in problems if p.key.startswith("oracle.options.")}
        rest = {key: value for key, value in settings.options.items() if key not in wrong}
        options, _ = _options(cls, settings.model_copy(update={"options": rest}))
    if options is not None:
        problems += cls.check(options, machine, composition)
    return problems


def engine_class(name: str) -> type[Engine]:
    """Import the class of an engine, by its name or ``module:Class``.

    Raises
    ------
    aga.errors.SettingsError
        There is none.
    """
    cls, problems = _load(name)
    if cls is None:
        raise SettingsError(problems)
    return cls


def options_schema() -> dict[str, dict[str, Any]]:
    """Give the JSON Schema of ``oracle.options`` of every engine."""
    schemas = {}
    for name in ENGINES:
        schemas[name] = engine_class(name).Options.model_json_schema()
    return schemas


def _composition(elements: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    if isinstance(elements, Mapping):
        return dict(elements)
    return dict.fromkeys(elements, 0)


def _load(name: str) -> tuple[type[Engine] | None, list[Problem]]:
    """Import the class of an engine, or say why there is none."""
    if name in ENGINES:
        module, _, attribute = ENGINES[name].target.partition(":")
        cls: type[Engine] = getattr(importlib.import_module(module), attribute)
        return cls, []
    if not _TARGET.match(name):
        near = difflib.get_close_matches(name, ["auto", *ENGINES], n=1, cutoff=0.5)
        known = f"one of auto, {', '.join(ENGINES)}, or module:Class of an ASE calculator"
        hint = f"did you mean {near[0]!r}? It is {known}" if near else known
        message = f"there is no engine {name!r}"
        return None, [Problem(key="oracle.engine", message=message, hint=hint)]
    from aga.oracle.custom import load_custom  # noqa: PLC0415 - engines are imported when used

    try:
        return load_custom(name), []
    except InputError as error:
        return None, [Problem(key="oracle.engine", message=error.message, hint=error.remedy)]


def _options(cls: type[Engine], settings: OracleSettings) -> tuple[Any, list[Problem]]:
    """Validate the engine's own options."""
    try:
        return cls.Options.model_validate(settings.options), []
    except ValidationError as error:
        problems = []
        for item in error.errors(include_url=False):
            item["loc"] = ("oracle", "options", *item["loc"])
            path, message, hint = say(item)
            if item["type"] == "extra_forbidden":
                near = difflib.get_close_matches(str(path[-1]), list(cls.Options.model_fields), n=1)
                hint = f"did you mean {near[0]!r}?" if near else _known_options(cls)
            problems.append(Problem(key=show_key(path), message=message, hint=hint))
        return None, problems


def _known_options(cls: type[Engine]) -> str:
    names = ", ".join(cls.Options.model_fields)
    return f"the options are {names}" if names else "this engine has no options"


def _coverage(cls: type[Engine], name: str, composition: Mapping[str, int]) -> list[Problem]:
    """Say which elements the engine does not know."""
    if cls.known is None:
        return []
    missing = sorted(set(composition) - cls.known)
    if missing:
        knows = ", ".join(sorted(cls.known))
        message = f"{name} has no parameters for {', '.join(missing)}"
        hint = f"it knows {knows}; {GENERAL_ENGINE} knows most elements"
        return [Problem(key="oracle.engine", message=message, hint=hint)]
    entry = ENGINES.get(name)
    if composition and entry is not None and not entry.suits(composition):
        formula = "".join(f"{el}{n if n > 1 else ''}" for el, n in entry.ratio)
        message = f"{name} is made for {formula} alone"
        return [Problem(key="oracle.engine", message=message, hint=f"use {GENERAL_ENGINE}")]
    return []
