"""The problems that ship, each with its answer. To add one: a line in ``PROBLEMS``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aga.errors import InputError

__all__ = ["PROBLEMS", "SEEDS", "Problem", "find_problems", "merged"]

Tree = Mapping[str, Any]

SEEDS = 20
"""Runs of each arm where nobody asks for another number."""

MANY = 100
"""Runs of direct arms that take a second and five relaxations: medians of 20 differ by half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A search whose answer is known, or found by the arms together.

    Parameters
    ----------
    name
        In tables and files.
    settings
        Those of the search as in a settings file, where they differ from the defaults.
    answer
        Enthalpy of the ground state in eV/atom by the reference method; None: the lowest that
        any run has found.
    phase
        What the answer is, and where it is from.
    calls, relaxations
        Caps of a run directly on the reference method.
    direct_seeds
        Runs of each direct arm where nobody asks for another number.
    """

    name: str
    settings: Tree
    answer: float | None = None
    phase: str = ""
    calls: int = 20_000
    relaxations: int = 1_000
    direct_seeds: int = SEEDS

    def quick(self) -> Problem:
        """Give the same problem cut down to seconds: nothing is found, everything is used."""
        small: Tree = {
            "search": {
                "initial_structures": 6,
                "population_size": 4,
                "offspring": 5,
                "generations_per_iteration": 1,
                "relax_steps": 25,
                "final_relaxations": 1,
                "acquisition": {"picks_per_iteration": 2},
                "budget": {"reference_calls": 9, "iterations": 2},
            },
            "potential": {"members": 2, "hidden": [4], "cutoff": 3.5},
            "training": {"passes": 10},
            "oracle": {"relax_steps": 8},
        }
        return replace(
            self,
            settings=merged(self.settings, small),
            calls=min(self.calls, 300),
            relaxations=6,
            direct_seeds=SEEDS,
        )


def merged(below: Tree, above: Tree) -> dict[str, Any]:
    """Lay one tree of settings over another."""
    result = deepcopy(dict(below))
    for key, value in above.items():
        inner = result.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            result[key] = merged(inner, value)
        else:
            result[key] = deepcopy(value)
    return result


def _of(engine: str, composition: str, units: int = 1, **search: object) -> dict[str, Any]:
    return {
        "search": {"composition": composition, "formula_units": units, **search},
        "oracle": {"engine": engine},
    }


_KOB_ANDERSEN = {"Ni-Ni": [0.08, 2.2], "Ni-P": [0.12, 1.76], "P-P": [0.04, 1.936]}
"""W. Kob and H. C. Andersen, Phys. Rev. E 51, 4626 (1995), their large particles called Ni and
their small ones P; the units 0.08 eV and 2.2 Å are ours."""

PROBLEMS: dict[str, Problem] = {
    one.name: one
    for one in (
        Problem(
            name="si8",
            settings=_of("tersoff", "Si8"),
            answer=-4.62960,
            phase="diamond and its polytypes",
        ),
        Problem(
            name="si16",
            settings=_of("tersoff", "Si16"),
            answer=-4.62960,
            phase="diamond and its polytypes",
            calls=60_000,
            relaxations=2_000,
        ),
        Problem(
            name="c8",
            settings=_of("tersoff", "C8"),
            answer=-7.39552,
            phase="graphite, and other nets of flat threefold atoms",
            direct_seeds=MANY,
        ),
        Problem(
            name="tio2-2",
            settings=_of("matsui-akaogi", "TiO2", 2),
            answer=-13.26859,
            phase="rutile",
            direct_seeds=MANY,
        ),
        Problem(
            name="tio2-4",
            settings=_of("matsui-akaogi", "TiO2", 4),
            answer=-13.26859,
            phase="rutile",
            direct_seeds=MANY,
            calls=60_000,
            relaxations=2_000,
        ),
        Problem(
            name="tio2-5",
            settings=_of("matsui-akaogi", "TiO2", 5),
            answer=-13.19724,
            phase="octahedra in a cell where rutile does not fit, C2/m",
            calls=60_000,
        ),
        Problem(
            name="lj-a3b2",
            settings=merged(
                _of("lj-mixture", "Ni3P2", 2, pressure=10.0, volume_per_atom=8.0),
                {"oracle": {"options": {"pairs": _KOB_ANDERSEN}}},
            ),
            answer=-0.32382,
            phase="U3Si2 type",
        ),
        Problem(
            name="cu-au",
            settings=_of("emt", "Cu6Au2"),
            answer=-0.01902,
            phase="Cu3Au of type Ni3Sn",
        ),
    )
}
"""By name, in the order of the table."""


def find_problems(names: Sequence[str]) -> list[Problem]:
    """Give problems by name or YAML file, each once; all that ship where none is named.

    Raises
    ------
    aga.errors.InputError
        There is none of this name, or the file is wrong.
    """
    from aga.bench.search.own_problem import load_problem  # noqa: PLC0415 - it imports this one

    found: dict[str, Problem] = {}
    for name in names or PROBLEMS:
        if name in PROBLEMS:
            found[name] = PROBLEMS[name]
        elif name.endswith((".yaml", ".yml")):
            own = load_problem(Path(name))
            found[own.name] = own
        else:
            near = difflib.get_close_matches(name, PROBLEMS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(
                f"there is no problem {name!r}",
                remedy=f"{hint}There are {', '.join(PROBLEMS)}; a problem of your own is a file "
                "that ends in .yaml",
            )
    return list(found.values())
