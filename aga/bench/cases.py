"""What is measured: structures, symmetry functions, committees; the same ones each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from aga.errors import InputError
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.network import initialise
from aga.potential.symmetry.functions import FunctionSet
from aga.potential.symmetry.presets import preset
from aga.rng import derive_seed, stream
from aga.structure.candidate import Candidate
from aga.structure.geometry import DistanceLimits
from aga.structure.random_crystal import random_atoms

__all__ = [
    "CASES",
    "HIDDEN",
    "MEMBERS",
    "Case",
    "Form",
    "make_cases",
    "random_cells",
    "random_model",
]

Form = Literal["wide", "narrow"]
"""Angular functions without (G5) and with (G4) the third side of the triangle."""

MEMBERS = 4
HIDDEN = (20, 20)
SEED = 2016

_LIMITS = DistanceLimits(factor=0.7, overrides={(8, 8): 2.0, (8, 22): 1.6, (22, 22): 2.4})
"""Å between O and O, O and Ti, Ti and Ti: random cells without atoms on top of each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Structures that are evaluated in one call.

    Parameters
    ----------
    name
        Family and number: of atoms, or of cells where there are several.
    title
        For people.
    candidates
        The structures.
    functions
        Wide form.
    """

    name: str
    title: str
    candidates: tuple[Candidate, ...]
    functions: FunctionSet

    @property
    def atoms(self) -> int:
        """Number of atoms of all structures."""
        return sum(len(candidate) for candidate in self.candidates)

    def form(self, form: Form) -> FunctionSet:
        """Give the functions in one form."""
        angular = tuple(f._replace(narrow=form == "narrow") for f in self.functions.angular)
        return replace(self.functions, angular=angular)

    def models(self, form: Form) -> list[Model]:
        """Give a committee with weights drawn at random, equal ones each time.

        What is evaluated costs the same with any weights; trained ones are not needed.
        """
        return [random_model(self.form(form), member) for member in range(MEMBERS)]


def random_model(functions: FunctionSet, member: int) -> Model:
    """Give a model with weights drawn at random, equal ones for equal members."""
    rng = stream(SEED, "bench", member)
    generator = torch.Generator().manual_seed(derive_seed(SEED, "bench-weights", member))
    shape = (len(functions.elements), functions.size)
    return Model(
        functions=functions,
        hidden=HIDDEN,
        activation="softplus",
        weights={el: initialise(functions.size, HIDDEN, generator) for el in functions.elements},
        mean=np.zeros(shape),
        scale=rng.uniform(3.0, 5.0, shape),
        reference_energies=np.full(len(functions.elements), -5.0),
        energy_scale=1.0,
        repulsion=Repulsion(functions.elements),
    )


def random_cells(count: int, *, purpose: str = "cells") -> list[Candidate]:
    """Give Ti4O8 cells with atoms at random, 11 to 13 Å³ each, none on top of another."""
    cells = []
    for number in range(count):
        rng = stream(SEED, purpose, number)
        volume = 12.0 * float(rng.uniform(11.0, 13.0))
        name = f"{purpose}-{number:03d}"
        counts = {"Ti": 4, "O": 8}
        cells.append(random_atoms(counts, rng, volume=volume, limits=_LIMITS, name=name))
    return cells


def _anatase(quick: bool) -> Case:  # noqa: FBT001 - one signature for all cases
    del quick
    atoms = crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0, 0, 0.2081)],
        spacegroup=141,
        cellpar=[3.785, 3.785, 9.514, 90, 90, 90],
    ).repeat((2, 2, 1))
    atoms.positions += stream(SEED, "rattle").normal(0.0, 0.05, atoms.positions.shape)
    return _single("anatase", "rattled anatase, 48 atoms", atoms)


def _rutile(quick: bool) -> Case:  # noqa: FBT001 - one signature for all cases
    del quick
    atoms = crystal(
        ["Ti", "O"],
        [(0, 0, 0), (0.3053, 0.3053, 0)],
        spacegroup=136,
        cellpar=[4.594, 4.594, 2.959, 90, 90, 90],
    )
    return _single("rutile", "rutile, 6 atoms", atoms)


def _silicon(quick: bool) -> Case:  # noqa: FBT001 - one signature for all cases
    del quick
    atoms = bulk("Si", "diamond", a=5.431, cubic=True).repeat(2)
    return _single("silicon", "diamond Si, 64 atoms (the parameters of tio2 for Si: 26)", atoms)


def _random(quick: bool) -> Case:  # noqa: FBT001 - one signature for all cases
    count = 8 if quick else 64
    return Case(
        name=f"random-{count}",
        title=f"{count} random TiO2 cells of 12 atoms in one batch",
        candidates=tuple(random_cells(count)),
        functions=preset("tio2", ["Ti", "O"]),
    )


def _single(family: str, title: str, atoms: Atoms) -> Case:
    candidate = Candidate.from_ase(atoms, name=family)
    return Case(
        name=f"{family}-{len(candidate)}",
        title=title,
        candidates=(candidate,),
        functions=preset("tio2", sorted(set(candidate.symbols))),
    )


CASES: dict[str, Callable[[bool], Case]] = {
    "anatase": _anatase,
    "rutile": _rutile,
    "silicon": _silicon,
    "random": _random,
}
"""Maker of each case, given whether it should be a small one."""


def make_cases(names: Sequence[str] = (), *, quick: bool = False) -> list[Case]:
    """Make the named cases, all of them where none is named.

    Raises
    ------
    aga.errors.InputError
        No such case.
    """
    for name in names:
        if name not in CASES:
            raise InputError(f"no case is called {name!r}; there are {', '.join(CASES)}")
    return [make(quick) for name, make in CASES.items() if not names or name in names]
