"""Which Wyckoff positions the atoms of a cell take: what is possible, and one draw of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

import numpy as np

from aga.structure.wyckoff import GROUPS, lattice_points, site_sizes

__all__ = ["Setting", "compatible_settings", "fits", "occupation"]

Setting = tuple[int, int]
"""Number of a space group, and primitive cells in the cell that is to be filled."""

_Fixed = tuple[tuple[int, int], ...]
"""Size of the positions without freedom, and how many of them are left."""


@lru_cache(maxsize=256)
def compatible_settings(numbers: tuple[int, ...]) -> tuple[Setting, ...]:
    """List the ways in which the atoms of a cell can have the symmetry of a space group.

    Every group appears twice where both fit: once with the atoms in its primitive cell, once
    in its conventional cell (which are one and the same for groups without centring).

    Parameters
    ----------
    numbers
        Atoms of each element in the cell.

    Returns
    -------
    tuple
        ``(group, cells)``, ``cells`` the primitive cells in the cell: never empty, for group 1
        takes everything.
    """
    found = []
    for group in GROUPS:
        cells = len(lattice_points(group))
        found += [
            (group, number)
            for number in (1, cells)
            if not any(n % number for n in numbers)
            and fits(group, tuple(n // number for n in numbers))
        ]
    return tuple(found)


def fits(group: int, numbers: tuple[int, ...]) -> bool:
    """Tell whether a group's Wyckoff positions can hold these atoms in the primitive cell."""
    sizes = site_sizes(group)
    free = frozenset(size for size, moves in sizes if moves)
    return _fits(numbers, _left(sizes, ()), free)


def occupation(
    group: int, numbers: tuple[int, ...], rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Draw the positions that the atoms take.

    Positions are drawn one after the other among those that leave the rest possible; half of
    the time among the largest of them alone, as PyXtal does, so that crystals of few and of many
    inequivalent atoms are both frequent.

    Parameters
    ----------
    group, numbers
        For which :func:`fits` is true: atoms of each element in the primitive cell.
    rng
        The only source of randomness.

    Returns
    -------
    list
        ``(element, position)`` by their indices in ``numbers`` and
        :func:`~aga.structure.wyckoff.sites`.
    """
    sizes = site_sizes(group)
    free = frozenset(size for size, moves in sizes if moves)
    todo = list(numbers)
    taken: list[tuple[int, int]] = []
    for element in range(len(todo)):
        while todo[element]:
            used = tuple(k for _, k in taken)
            choices = []
            for k, (size, moves) in enumerate(sizes):
                if size > todo[element] or (not moves and k in used):
                    continue
                after = (todo[element] - size, *todo[element + 1 :])
                if _fits(after, _left(sizes, used if moves else (*used, k)), free):
                    choices.append(k)
            if rng.random() < 0.5:
                largest = max(sizes[k][0] for k in choices)
                choices = [k for k in choices if sizes[k][0] == largest]
            chosen = choices[int(rng.integers(len(choices)))]
            todo[element] -= sizes[chosen][0]
            taken.append((element, chosen))
    return taken


def _left(sizes: tuple[tuple[int, bool], ...], used: tuple[int, ...]) -> _Fixed:
    left: dict[int, int] = {}
    for k, (size, moves) in enumerate(sizes):
        if not moves:
            left[size] = left.get(size, 0) + (k not in used)
    return tuple(sorted(left.items()))


@lru_cache(maxsize=65536)
def _fits(numbers: tuple[int, ...], fixed: _Fixed, free: frozenset[int]) -> bool:
    if not numbers:
        return True
    first, *rest = numbers
    if _reached(first, free):  # it leaves every fixed position to the others
        return _fits(tuple(rest), fixed, free)
    for use in _uses(first, fixed):
        remaining = first - sum(size * n for size, n in use.items())
        if remaining == first or not _reached(remaining, free):
            continue
        left = tuple((size, n - use.get(size, 0)) for size, n in fixed)
        if _fits(tuple(rest), left, free):
            return True
    return False


def _uses(atoms: int, fixed: _Fixed) -> Iterator[Mapping[int, int]]:
    """Give every choice of fixed positions that holds no more than these atoms."""
    if not fixed:
        yield {}
        return
    (size, number), *rest = fixed
    for n in range(min(number, atoms // size) + 1):
        for others in _uses(atoms - n * size, tuple(rest)):
            yield {size: n, **others}


@lru_cache(maxsize=65536)
def _reached(atoms: int, free: frozenset[int]) -> bool:
    """Tell whether positions that may be taken again and again add up to a number of atoms."""
    reached = [True]
    for number in range(1, atoms + 1):
        reached.append(any(size <= number and reached[number - size] for size in free))
    return reached[atoms]
