"""The arms, side by side. To add one: a function of a bout, and a line in ``ARMS``."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aga.errors import InputError, SiteError

if TYPE_CHECKING:
    from aga.bench.search.bout import Bout

__all__ = ["ARMS", "Arm", "check_arms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A way of searching.

    ``target`` is ``module:function``, called with the bout; ``direct``: it relaxes on the
    reference method; ``whole``: it goes on to its own verdict and final relaxations, where the
    ledger ends others at the answer; ``settings`` where they differ from the problem's;
    ``package`` that must be installed, if any.
    """

    name: str
    target: str
    direct: bool = True
    whole: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""

    def check(self) -> None:
        """Refuse an arm whose package is not installed.

        Raises
        ------
        aga.errors.SiteError
            It is not.
        """
        if self.package and importlib.util.find_spec(self.package) is None:
            raise SiteError(
                f"the arm {self.name} needs the package {self.package}",
                remedy="`pip install 'aga[bench]'`, or choose other arms with --arm",
            )

    def search(self) -> Callable[[Bout], None]:
        """Import the function."""
        module, _, name = self.target.partition(":")
        function: Callable[[Bout], None] = getattr(importlib.import_module(module), name)
        return function


_CERTAIN = {"search": {"acquisition": {"kappa": 0.0, "novelty_weight": 0.0}}}
"""Picks by predicted enthalpy alone."""

_ONE_BY_ONE = {
    "search": {
        "initial_structures": 4,
        "acquisition": {"picks_per_iteration": 1},
        "convergence": {"stable_iterations": 20},
    }
}
"""Each label is chosen by a committee that knows the one before."""

_ADAPTIVE = "aga.bench.search.adaptive:adaptive"

ARMS: dict[str, Arm] = {
    one.name: one
    for one in (
        Arm(name="random", target="aga.bench.search.direct:random_search"),
        Arm(name="ga", target="aga.bench.search.direct:genetic"),
        Arm(name="ase-ga", target="aga.bench.search.peer:ase_ga", package="ase_ga"),
        Arm(
            name="aga",
            target=_ADAPTIVE,
            direct=False,
            settings={**_CERTAIN, "training": {"focal_gamma": 0.0}},
        ),
        Arm(name="aga-focal", target=_ADAPTIVE, direct=False, settings=_CERTAIN),
        Arm(name="aga-focal-uncertainty", target=_ADAPTIVE, direct=False, whole=True),
        Arm(name="aga-one-by-one", target=_ADAPTIVE, direct=False, settings=_ONE_BY_ONE),
    )
}
"""By name, in the order of the table."""


def check_arms(names: Sequence[str]) -> list[Arm]:
    """Give arms by name, each once; all where none is named.

    Raises
    ------
    aga.errors.InputError
        There is none of this name.
    aga.errors.SiteError
        One needs a package that is not installed.
    """
    for name in names:
        if name not in ARMS:
            near = difflib.get_close_matches(name, ARMS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(
                f"there is no arm {name!r}", remedy=f"{hint}There are {', '.join(ARMS)}"
            )
    chosen = [ARMS[name] for name in dict.fromkeys(names or ARMS)]
    for arm in chosen:
        arm.check()
    return chosen
