"""Labels that contradict each other: one structure with two energies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.spatial import cKDTree

from aga.errors import DataError
from aga.structure.candidate import Candidate, FloatArray, IntArray
from aga.structure.protocols import Frame
from aga.training.data.frames import SHOWN, frame_numbers

__all__ = ["ENERGY_TOLERANCE", "TOLERANCE", "check_duplicates"]

TOLERANCE = 1e-4
"""Å; files print positions and cells with more digits, relaxations move atoms farther."""

ENERGY_TOLERANCE = 1e-3
"""eV/atom that the energies of one structure may differ by."""

_WAVES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1], [1, -2, 3]], dtype=np.float64)
"""Reciprocal lattice vectors of the structure factors that tell structures apart."""

_REACH = 10 * TOLERANCE
"""Å that the features of one structure may differ by: an atom at the far corner of the cell
moves with all three lattice vectors."""


def check_duplicates(frames: Sequence[Frame]) -> None:
    """Refuse frames of one structure whose energies differ.

    Two frames show one structure if species, cell and positions agree to :data:`TOLERANCE`,
    whatever the order of the atoms and the cells they are drawn in; turned, moved or
    otherwise described crystals are not looked for. Equal energies are allowed: such a frame
    only counts twice.

    Rounded positions can't be compared by hash, for the smallest difference may lie on either
    side of a step. So few numbers that change no faster than the positions do (structure
    factors) find the pairs worth a comparison, by a tree: 10,000 frames take seconds.

    Raises
    ------
    aga.errors.DataError
        Such frames; names files, frame numbers (from 0 within each file) and energies.
    """
    numbers = frame_numbers(frames)
    pairs = sorted(pair for alike in _by_species(frames) for pair in _contradictions(frames, alike))
    if not pairs:
        return
    lines = [_told(frames, numbers, *pair) for pair in pairs]
    more = [f"… and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    raise DataError(
        "\n".join(lines[:SHOWN] + more),
        remedy="keep the one of each pair that belongs to the method of the other frames",
        frames=[
            {"file": frames[second].source, "frame": numbers[second], "problem": line}
            for (_, second), line in zip(pairs[:SHOWN], lines, strict=False)
        ],
    )


def _by_species(frames: Sequence[Frame]) -> list[list[int]]:
    """Give the places of the frames with finite energies, those of the same atoms together."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for place, frame in enumerate(frames):
        if np.isfinite(frame.energy):
            places[np.sort(frame.candidate.numbers).tobytes()].append(place)
    return [group for group in places.values() if len(group) > 1]


def _contradictions(frames: Sequence[Frame], alike: list[int]) -> Iterator[tuple[int, int]]:
    features = np.array([_features(frames[place].candidate) for place in alike])
    energies = np.array([frames[place].energy_per_atom for place in alike])
    # of frames that agree in every bit one is enough
    _, first = np.unique(np.column_stack([features, energies]), axis=0, return_index=True)
    kept = np.sort(first)
    near: IntArray = cKDTree(features[kept]).query_pairs(_REACH, p=np.inf, output_type="ndarray")
    for a, b in kept[near]:
        if abs(energies[a] - energies[b]) > ENERGY_TOLERANCE:
            pair = sorted((alike[a], alike[b]))
            if _same(*(frames[place].candidate for place in pair)):
                yield pair[0], pair[1]


def _features(candidate: Candidate) -> FloatArray:
    """Give the cell, and structure factors weighted by atomic number, all in Å.

    Each factor is divided by its steepest change with a position, so that none changes by more
    than the atoms move.
    """
    inverse = np.linalg.inv(candidate.cell)
    fractional = (candidate.positions @ inverse) % 1.0
    weights = candidate.numbers / candidate.numbers.sum()
    steepness = 2 * np.pi * np.linalg.norm(inverse @ _WAVES.T, axis=0)
    factors = weights @ np.exp(2j * np.pi * fractional @ _WAVES.T) / steepness
    return np.concatenate([candidate.cell.ravel(), factors.real, factors.imag])


def _same(one: Candidate, other: Candidate) -> bool:
    if np.abs(one.cell - other.cell).max() > TOLERANCE:
        return False
    inverse = np.linalg.inv(one.cell)
    apart = (one.positions[:, None] - other.positions[None]) @ inverse
    apart = (apart - np.rint(apart)) @ one.cell
    meets = (np.abs(apart) <= TOLERANCE).all(axis=2)
    meets &= one.numbers[:, None] == other.numbers[None]
    return bool(meets.any(axis=0).all() and meets.any(axis=1).all())


def _told(frames: Sequence[Frame], numbers: list[int], first: int, second: int) -> str:
    a, b = frames[first], frames[second]
    energies = f"{a.energy_per_atom:.5f} and {b.energy_per_atom:.5f} eV/atom"
    one, other = numbers[first], numbers[second]
    if a.source == b.source and one != other:
        where = f"frames {one} and {other} of {a.source}"
    else:
        where = f"frame {one} of {a.source} and frame {other} of {b.source}"
    return f"{where} are the same structure with energies {energies}"
