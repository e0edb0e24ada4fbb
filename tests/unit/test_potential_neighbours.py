"""Neighbour lists against an independent implementation, and refused structures."""

import numpy as np
import pytest
import vesin

from aga.errors import StructureError
from aga.potential.batch import Batch
from aga.potential.neighbours import Pairs, find_pairs
from aga.structure.candidate import Candidate

CELLS = [
    [[4.9, 0.0, 0.0], [0.0, 4.9, 0.0], [0.0, 0.0, 4.9]],
    [[2.2, 0.0, 0.0], [1.1, 2.0, 0.0], [-0.9, 0.7, 2.6]],  # all heights below the cutoff
    [[4.0, 0.0, 0.0], [3.9, 1.5, 0.0], [0.3, -2.0, 9.0]],  # skewed
    [[0.0, 3.0, 3.0], [3.0, 0.0, 3.0], [3.0, 3.0, 0.0]],
]


def random_candidate(cell: list[list[float]], n: int, name: str = "x") -> Candidate:
    rng = np.random.default_rng(n)
    positions = rng.uniform(-2.0, 3.0, (n, 3)) @ np.array(cell)  # many outside the cell
    numbers = rng.choice([8, 22], n)
    return Candidate(name=name, numbers=numbers, positions=positions, cell=np.array(cell))


def lattice_shifts(pairs: Pairs, candidate: Candidate) -> list[tuple[int, ...]]:
    """Give the translation of each neighbour; each vector must be one to an image."""
    straight = candidate.positions[pairs.second] - candidate.positions[pairs.first]
    shifts = (pairs.vectors - straight) @ np.linalg.inv(candidate.cell)
    np.testing.assert_allclose(shifts, np.round(shifts), atol=1e-10)
    return [tuple(shift) for shift in np.round(shifts).astype(int).tolist()]


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize("cell", CELLS)
def test_pairs_are_those_of_vesin(cell: list[list[float]], n: int) -> None:
    candidate = random_candidate(cell, n)
    pairs = find_pairs(Batch.pack([candidate]), 5.0, (8, 22))
    calculator = vesin.NeighborList(cutoff=5.0, full_list=True)
    i, j, S = calculator.compute(
        points=candidate.positions, box=candidate.cell, periodic=True, quantities="ijS"
    )
    theirs = sorted(zip(i.tolist(), j.tolist(), map(tuple, S.tolist()), strict=True))
    shifts = lattice_shifts(pairs, candidate)
    ours = sorted(zip(pairs.first.tolist(), pairs.second.tolist(), shifts, strict=True))
    assert ours == theirs
    assert len(ours) > 0


def test_pairs_are_sorted_by_centre_and_element() -> None:
    batch = Batch.pack([random_candidate(cell, n + 1) for n, cell in enumerate(CELLS)])
    pairs = find_pairs(batch, 5.0, (8, 22))
    for i in range(len(batch.numbers)):
        for s, number in enumerate((8, 22)):
            block = pairs.second[pairs.starts[i, s] : pairs.starts[i, s + 1]]
            assert (batch.numbers[block] == number).all()
            assert (batch.owners[block] == batch.owners[i]).all()
    assert pairs.starts[-1, -1] == len(pairs)
    assert (pairs.starts[1:, 0] == pairs.starts[:-1, -1]).all()


def refused(batch: Batch) -> StructureError:
    with pytest.raises(StructureError) as caught:
        find_pairs(batch, 5.0, (8, 22))
    assert caught.value.facts["index"] == 1
    assert "bad" in str(caught.value)
    return caught.value


def test_atoms_on_one_point_are_refused() -> None:
    good = random_candidate(CELLS[0], 2)
    bad = good.moved(np.vstack([good.positions[0], good.positions[0] + good.cell[1] + 5e-4]))
    assert "one point" in str(refused(Batch.pack([good, bad.renamed("bad")])))


def test_an_unknown_element_is_named() -> None:
    good = random_candidate(CELLS[0], 2)
    bad = Candidate(name="bad", numbers=np.array([8, 79]), positions=good.positions, cell=good.cell)
    error = refused(Batch.pack([good, bad]))
    assert "Au" in str(error)
    assert error.facts["element"] == "Au"


@pytest.mark.parametrize("what", ["positions", "cells"])
def test_nan_is_refused(what: str) -> None:
    good = random_candidate(CELLS[0], 2)
    batch = Batch.pack([good, good.renamed("bad")])
    getattr(batch, what)[-1] = np.nan
    assert "finite" in str(refused(batch))


def test_collapsed_and_extremely_skewed_cells_are_refused() -> None:
    good = random_candidate(CELLS[0], 2)
    tiny = good.moved(good.positions, 0.05 * np.eye(3)).renamed("bad")
    refused(Batch.pack([good, tiny]))
    skewed = np.array([[5.0, 0.0, 0.0], [900.0, 5.0, 0.0], [0.0, 900.0, 5.0]])
    refused(Batch.pack([good, good.moved(good.positions, skewed).renamed("bad")]))
