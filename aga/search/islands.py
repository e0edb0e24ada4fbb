"""Islands: populations that evolve side by side and exchange their best structures.

Generations are numbered over all islands in turn: with three islands, generations 1, 2, 3 are the
first of each, 4, 5, 6 the second. One *round* is a generation of every island.

References
----------
Whitley, Rana & Heckendorn, J. Comput. Inf. Technol. 7, 33 (1999): the island model.
"""

from __future__ import annotations

__all__ = ["island_of", "last_of_round", "neighbours", "predecessor", "round_of"]


def island_of(generation: int, islands: int) -> int:
    """Give the island, from 0, that a generation (from 1) belongs to."""
    return (generation - 1) % islands


def round_of(generation: int, islands: int) -> int:
    """Give the round, from 1, that a generation (from 1) belongs to."""
    return (generation - 1) // islands + 1


def last_of_round(number: int, islands: int) -> int:
    """Give the last generation of a round; 0 for round 0."""
    return number * islands


def predecessor(generation: int, islands: int) -> int:
    """Give the generation before, on the same island; 0 for the first."""
    return max(0, generation - islands)


def neighbours(generation: int, islands: int) -> list[int]:
    """Give the generations of the other islands in the round before; none for the first."""
    before = round_of(generation, islands) - 1
    if before == 0:
        return []
    last = last_of_round(before, islands)
    own = predecessor(generation, islands)
    return [g for g in range(last - islands + 1, last + 1) if g != own]
