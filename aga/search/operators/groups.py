"""Small space groups that a lattice allows, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from aga.structure.candidate import FloatArray, IntArray

__all__ = ["Group", "draw_group"]

TOLERANCE = 0.15
"""How far a lattice may be from the symmetry that it is given: change of the lengths, and of the
scalar products of the vectors in products of their lengths."""

ORDERS = (2, 3, 4, 6)
"""Orders of the rotations of a lattice, proper or not."""

TWELFTHS = 12
"""Translations of space groups are multiples of a twelfth of the lattice vectors, but for fewer."""

LARGEST = 48
"""Operations of the largest group that is used."""

_Operation = tuple[IntArray, IntArray]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """The m operations x → Wx + w of a group, modulo lattice translations.

    ``turns`` (m, 3, 3) W and ``shifts`` (m, 3) w, in fractional coordinates; the identity first.
    """

    turns: FloatArray
    shifts: FloatArray

    def __len__(self) -> int:
        """Give the number of operations."""
        return len(self.turns)

    def images(self, places: FloatArray) -> FloatArray:
        """Give the images (n, m, 3) of fractional positions (n, 3)."""
        return np.asarray(np.einsum("mab,nb->nma", self.turns, places) + self.shifts)

    def lattice(self, cell: FloatArray) -> FloatArray:
        """Give the lattice of the same volume whose metric is the mean over the operations."""
        metric = (self.turns.swapaxes(1, 2) @ (cell @ cell.T) @ self.turns).mean(axis=0)
        mean = np.linalg.cholesky(metric)
        return np.asarray(mean * np.cbrt(abs(np.linalg.det(cell)) / np.linalg.det(mean)))


def draw_group(cell: FloatArray, rng: np.random.Generator) -> Group | None:
    """Generate a group from one or two random operations of a lattice.

    Rotations, proper or not, are those of the lattice within a tolerance; a screw or glide
    component is added to one half of them: for W of order k the mean of Wʲv over j < k, with a
    random lattice vector v, so that the k-th power is a lattice translation.

    Parameters
    ----------
    cell
        (3, 3) lattice vectors in Å of a reduced cell.
    rng
        Random stream.

    Returns
    -------
    Group | None
        None where the operations generate too large a group.
    """
    turns, products = _turns()
    metric = cell @ cell.T
    lengths = np.sqrt(np.diag(metric))
    turned = (products @ metric.ravel()).reshape(-1, 3, 3)  # WᵀGW of all of them
    change = np.abs(turned - metric) / np.outer(lengths, lengths)
    fitting = turns[change.max(axis=(1, 2)) < 2.0 * TOLERANCE]
    # the inversion fits every lattice, so there is always one
    drawn = [fitting[int(k)] for k in rng.integers(len(fitting), size=rng.integers(1, 3))]
    return _generated([(turn, _screw(turn, rng)) for turn in drawn])


@lru_cache(maxsize=1)
def _turns() -> tuple[IntArray, FloatArray]:
    """All operations but the identity that the lattice of a reduced cell can have, (m, 3, 3).

    Integer matrices W of finite order; between shortest vectors their elements are −1, 0 and 1.
    With them the products (9m, 9) that take a metric G, flat, to all WᵀGW.
    """
    every = np.array(list(product((-1.0, 0.0, 1.0), repeat=9))).reshape(-1, 3, 3)
    every = every[np.abs(np.rint(np.linalg.det(every))) == 1]
    finite = [(np.linalg.matrix_power(every, k) == np.eye(3)).all(axis=(1, 2)) for k in ORDERS]
    turns = every[np.any(finite, axis=0) & ~(every == np.eye(3)).all(axis=(1, 2))]
    return turns.astype(np.int64), np.einsum("mai,mbj->mijab", turns, turns).reshape(-1, 9)


def _screw(turn: IntArray, rng: np.random.Generator) -> IntArray:
    """Give the translation of an operation in twelfths: none, or a screw or glide component."""
    powers = [np.eye(3, dtype=np.int64)]
    while not np.array_equal(powers[-1] @ turn, powers[0]):
        powers.append(powers[-1] @ turn)
    vector = rng.integers(0, 2, 3) * int(rng.random() < 0.5)
    total = np.sum(powers, axis=0) @ vector
    return np.asarray(total * TWELFTHS // len(powers) % TWELFTHS)


def _generated(generators: list[_Operation]) -> Group | None:
    """Multiply operations with each other until nothing new comes out."""
    identity = (np.eye(3, dtype=np.int64), np.zeros(3, dtype=np.int64))
    group, new = {_key(identity): identity}, [identity]
    while new:
        products = [
            (turn @ w, (turn @ t + shift) % TWELFTHS) for w, t in new for turn, shift in generators
        ]
        new = []
        for one in products:
            if _key(one) not in group:
                group[_key(one)] = one
                new.append(one)
        if len(group) > LARGEST:
            return None
    turns, shifts = zip(*group.values(), strict=True)
    return Group(
        turns=np.array(turns, dtype=np.float64),
        shifts=np.array(shifts, dtype=np.float64) / TWELFTHS,
    )


def _key(operation: _Operation) -> tuple[bytes, bytes]:
    turn, shift = operation
    return turn.tobytes(), shift.tobytes()
