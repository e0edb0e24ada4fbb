"""Settings files: read, merged with the site's, checked, every problem told at once.

Rules beside those of the schema:

- A key with nothing after it takes its default, so sections whose lines are all commented out
  are fine.
- The site file holds ``machine: {…}`` or the keys of ``machine`` at its top level. Keys of the
  ``machine`` section in the settings file itself win over those of the site file.
- Relative paths in ``search.seeds``, ``training.data``, ``machine.launchpad`` and
  ``machine.pseudo_dir`` start at the folder of the file they stand in; ``~`` is the home folder.
  ``machine.run_dir`` starts at the folder the program runs in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aga.config.fields import allows_bool, field_at
from aga.config.messages import say
from aga.config.schema import Settings
from aga.config.values import FREE, booleans, get_value, remove_value, without_nulls
from aga.config.yaml_tree import KeyPath, Place, YamlTree, parse_key, read_yaml, show_key
from aga.errors import Problem, SettingsError

__all__ = ["Check", "load_settings", "load_site", "settings_from_dict"]

Check = Callable[[Settings], list[Problem]]
"""A further look at valid settings, such as whether the engine has what it needs."""

_PATHS: tuple[KeyPath, ...] = (
    ("search", "seeds"),
    ("training", "data"),
    ("machine", "launchpad"),
    ("machine", "pseudo_dir"),
)
_STAND_IN = "Si"
"""Composition that takes the place of a wrong one while the other keys are looked at."""

_ROUNDS = 8


def load_settings(
    path: Path | str,
    site: Path | str | None = None,
    checks: Sequence[Check] = (),
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read the settings of a search.

    Parameters
    ----------
    path
        The settings file.
    site
        File with the ``machine`` settings of the site, merged below the file's own.
    checks
        Further checks of the valid settings; their problems are told with the others.
    defaults
        Values by section and key for a file without a ``search`` section, which is about no
        composition; refused where None.

    Raises
    ------
    aga.errors.InputError
        A file isn't there or isn't text.
    aga.errors.SettingsError
        Something in the files is wrong; holds every problem with file, line and column.
    """
    tree = read_yaml(Path(path))
    draft = _Draft(tree)
    if site is not None:
        draft.add_site(read_yaml(Path(site)))
    if defaults is not None:
        draft.stand_in(defaults)
    return draft.settle(checks)


def load_site(path: Path | str) -> dict[str, Any]:
    """Read a site file alone and give its ``machine`` keys as valid plain values.

    Raises
    ------
    aga.errors.InputError, aga.errors.SettingsError
        As :func:`load_settings`.
    """
    draft = _Draft(YamlTree(file=str(path), value={"search": {"composition": _STAND_IN}}))
    draft.add_site(read_yaml(Path(path)))
    machine = draft.settle(()).machine
    return machine.model_dump(mode="json", exclude_unset=True)


def settings_from_dict(data: Mapping[str, Any], *, origin: str = "stored settings") -> Settings:
    """Rebuild settings from plain values, such as those kept in the database.

    Raises
    ------
    aga.errors.SettingsError
        The values do not fit this version; holds every problem.
    """
    try:
        return Settings.model_validate(dict(data))
    except ValidationError as error:
        said = [say(one) for one in error.errors(include_url=False)]
        raise SettingsError(
            [Problem(key=show_key(p), message=m, hint=h, file=origin) for p, m, h in said]
        ) from error


class _Draft:
    """Values on their way to settings, with their places and the problems found so far."""

    def __init__(self, tree: YamlTree) -> None:
        self.file = tree.file
        self.places = dict(tree.places)
        self.problems = list(tree.problems)
        self.seen = {p.key for p in tree.problems}
        self.values: dict[str, Any] = {}
        if isinstance(tree.value, dict):
            self.values = without_nulls(deepcopy(tree.value))
        elif tree.value is not None:
            self.note((), "must be sections such as `search:` with keys below", None)

    def note(self, path: KeyPath, message: str, hint: str | None) -> None:
        """Keep a problem, unless one is known for the same key."""
        key = show_key(path)
        if key in self.seen:
            return
        self.seen.add(key)
        self.problems.append(
            self.located(Problem(key=key, message=message, hint=hint, file=self.file), path)
        )

    def located(self, problem: Problem, path: KeyPath) -> Problem:
        """Add the place of the key, or of the section it belongs to."""
        for end in range(len(path), 0, -1):
            place = self.places.get(path[:end])
            if place is not None:
                return replace(problem, file=place.file, line=place.line, column=place.column)
        return replace(problem, file=problem.file or self.file)

    def add_site(self, tree: YamlTree) -> None:
        """Merge a site file below the machine settings that are there."""
        self.problems += tree.problems
        self.seen |= {p.key for p in tree.problems}
        value, places = tree.value, dict(tree.places)
        if value is None:
            return
        if isinstance(value, dict) and "machine" in value:
            for key in value.keys() - {"machine"}:
                self.places[(key,)] = places[(key,)]
                self.note((key,), "a site file holds machine settings alone", None)
            value = value["machine"]
        else:
            places = {("machine", *path): place for path, place in places.items()}
        if not isinstance(value, dict):
            self.problems.append(
                Problem(
                    key="machine",
                    message="must be a section of `key: value` lines",
                    file=tree.file,
                    line=1,
                )
            )
            return
        self._merge_machine(without_nulls(deepcopy(value)), places)

    def _merge_machine(self, site: dict[str, Any], places: dict[KeyPath, Place]) -> None:
        own = self.values.setdefault("machine", {})
        if not isinstance(own, dict):
            return  # told by the schema
        for key in site.keys() - own.keys():
            own[key] = site[key]
            self.places |= {p: at for p, at in places.items() if p[:2] == ("machine", key)}

    def settle(self, checks: Sequence[Check]) -> Settings:
        """Validate until nothing new comes up, then give the settings or raise."""
        self._resolve_paths()
        self._refusebooleans()
        settings = None
        for _ in range(_ROUNDS):
            try:
                settings = Settings.model_validate(self.values)
                break
            except ValidationError as error:
                if not self._take_out([say(one) for one in error.errors(include_url=False)]):
                    break
        if settings is not None:
            self._check(settings, checks)
        if self.problems:
            raise SettingsError(sorted(self.problems, key=_by_place))
        if settings is None:  # pragma: no cover - a failed validation always leaves problems
            raise SettingsError([Problem(key="", message="not valid", file=self.file)])
        return settings

    def stand_in(self, defaults: Mapping[str, Mapping[str, Any]]) -> None:
        """Give a file that is about no search a composition, and its sections these defaults."""
        if "search" in self.values:
            return
        self.values["search"] = {"composition": _STAND_IN}
        for section, values in defaults.items():
            own = self.values.setdefault(section, {})
            if isinstance(own, dict):  # else told by the schema
                self.values[section] = {**values, **own}

    def _take_out(self, said: list[tuple[KeyPath, str, str | None]]) -> bool:
        """Note problems and remove their keys, so that the next round sees what they hid."""
        changed = False
        for path, message, hint in said:
            self.note(path, message, hint)
            changed |= remove_value(self.values, path)
        if ("search" in self.seen or "search.composition" in self.seen) and not self._stood_in():
            search = self.values.setdefault("search", {})
            search["composition"] = _STAND_IN
            changed = True
        return changed

    def _stood_in(self) -> bool:
        search = self.values.get("search")
        return isinstance(search, dict) and search.get("composition") == _STAND_IN

    def _check(self, settings: Settings, checks: Sequence[Check]) -> None:
        if self.seen & {"search", "search.composition"}:
            return  # about a composition that is not the user's, nothing true can be said
        for check in checks:
            for problem in check(settings):
                path = parse_key(problem.key)
                told = any(show_key(path[:end]) in self.seen for end in range(1, len(path) + 1))
                if told:
                    continue
                self.problems.append(
                    problem if problem.line is not None else self.located(problem, path)
                )

    def _resolve_paths(self) -> None:
        for path in _PATHS:
            holder = get_value(self.values, path[:-1])
            value = get_value(holder, path[-1:])
            if isinstance(holder, dict) and isinstance(value, str):
                holder[path[-1]] = self._resolve(value, path)
            elif isinstance(holder, dict) and isinstance(value, list):
                holder[path[-1]] = [
                    self._resolve(item, path) if isinstance(item, str) else item for item in value
                ]
        self._need_files()

    def _resolve(self, text: str, path: KeyPath) -> str:
        place = self.places.get(path)
        folder = Path(place.file if place is not None else self.file).absolute().parent
        return str(folder / Path(text).expanduser())

    def _need_files(self) -> None:
        for key in (("search", "seeds"), ("training", "data")):
            files = get_value(self.values, key)
            for index, name in enumerate(files if isinstance(files, list) else []):
                if isinstance(name, str) and not Path(name).is_file():
                    self.note((*key, index), f"there is no file {name}", None)
        launchpad = get_value(self.values, ("machine", "launchpad"))
        if isinstance(launchpad, str) and not Path(launchpad).is_file():
            self.note(("machine", "launchpad"), f"there is no file {launchpad}", None)

    def _refusebooleans(self) -> None:
        """Keep ``seed: true`` from counting as 1."""
        for path in list(booleans(self.values)):
            info = field_at(path)
            if path[:2] != FREE and info is not None and not allows_bool(info.annotation):
                value = str(get_value(self.values, path)).lower()
                self.note(path, f"must not be true or false, got {value}", info.description)
                remove_value(self.values, path)


def _by_place(problem: Problem) -> tuple[str, int, int]:
    return problem.file or "", problem.line or 0, problem.column or 0
