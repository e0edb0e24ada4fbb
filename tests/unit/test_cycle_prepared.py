"""Finalists are relaxed on the newest committee before the reference method relaxes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from aga.config import SearchSettings
from aga.cycle import prepared
from aga.structure.candidate import Candidate, Lineage
from aga.structure.protocols import Relaxed, RelaxReason

SETTINGS = SearchSettings(composition="Si8")
DIAMOND = np.array(
    [[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]
)


def diamond(edge: float, name: str = "one") -> Candidate:
    return Candidate(
        name=name,
        numbers=np.full(8, 14),
        positions=DIAMOND * edge / 4,
        cell=np.eye(3) * edge,
        lineage=Lineage(operator="random", generation=1),
    )


class Guide:
    """Ends every relaxation where it is told to."""

    def __init__(self, end: Candidate, reason: RelaxReason = "converged") -> None:
        self.end, self.reason = end, reason

    def relax(self, candidates: Sequence[Candidate]) -> list[Relaxed]:
        return [
            Relaxed(
                candidate=one.moved(self.end.positions, self.end.cell),
                energy=-36.0,
                enthalpy=-36.0,
                energy_spread=0.01,
                force_spread=0.1,
                max_force=0.01,
                steps=7,
                reason=self.reason,
            )
            for one in candidates
        ]


@pytest.mark.parametrize("reason", ["converged", "step_limit"])
def test_the_reference_method_begins_where_the_newest_committee_has_the_minimum(
    reason: RelaxReason,
) -> None:
    starts = [diamond(5.50, "a"), diamond(5.52, "b")]
    got = prepared(starts, Guide(diamond(5.43), reason), SETTINGS)
    assert [one.name for one in got] == ["a", "b"]
    assert [one.lineage for one in got] == [one.lineage for one in starts]
    assert all(one.cell[0, 0] == 5.43 for one in got)


@pytest.mark.parametrize("reason", ["untrusted", "exploded"])
def test_a_committee_that_does_not_know_the_way_is_not_followed(reason: RelaxReason) -> None:
    start = diamond(5.50)
    assert prepared([start], Guide(diamond(5.43), reason), SETTINGS) == [start]


def test_a_structure_that_becomes_another_one_stays_as_it_is() -> None:
    start = diamond(5.50)
    layers = diamond(5.43)
    other = layers.moved(layers.positions * [1.0, 1.0, 0.6], layers.cell)
    assert prepared([start], Guide(other), SETTINGS) == [start]


def test_nothing_to_prepare_is_no_error() -> None:
    assert prepared([], Guide(diamond(5.43)), SETTINGS) == []
