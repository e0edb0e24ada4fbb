"""Two threads give what one gives, for batches and for one structure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from aga.errors import InputError, StructureError
from aga.potential.batch import Batch
from aga.potential.committee import NetworkCommittee
from aga.potential.guard import Repulsion
from aga.potential.model import Model
from aga.potential.network import initialise
from aga.potential.symmetry.functions import Angular, FunctionSet
from aga.potential.symmetry.presets import automatic
from aga.potential.threads import Threads, dealt, shares
from aga.structure.candidate import Candidate


def structure(seed: int, atoms: int) -> Candidate:
    """Give a jittered grid of O and Ti."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:atoms] * 2.3
    return Candidate(
        name=f"s{seed}",
        numbers=rng.choice([8, 22], atoms),
        positions=grid + rng.normal(scale=0.15, size=grid.shape),
        cell=np.eye(3) * 2.3 * side + rng.normal(scale=0.1, size=(3, 3)),
    )


def committee(functions: FunctionSet, threads: int) -> NetworkCommittee:
    models = []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        weights = {
            symbol: initialise(functions.size, (8,), generator) for symbol in functions.elements
        }
        shape = (len(functions.elements), functions.size)
        models.append(
            Model(
                functions=functions,
                hidden=(8,),
                activation="tanh",
                weights=weights,
                mean=np.zeros(shape),
                scale=np.ones(shape),
                reference_energies=np.zeros(len(functions.elements)),
                energy_scale=1.0,
                repulsion=Repulsion(functions.elements),
            )
        )
    return NetworkCommittee(models, threads=threads)


WIDE = automatic(["Ti", "O"], 4.5)
NARROW = FunctionSet(
    elements=("O", "Ti"),
    cutoff=4.5,
    angular=tuple(
        Angular(pair, 0.1, 1.5, -1.0, narrow=True, centre=centre)
        for pair in (("O", "O"), ("O", "Ti"), ("Ti", "Ti"))
        for centre in ("O", "Ti")
    ),
)


@pytest.mark.parametrize("functions", [WIDE, NARROW])
def test_a_batch_is_dealt_out_by_structures(functions: FunctionSet) -> None:
    batch = Batch.pack([structure(seed, 3 + 4 * (seed % 4)) for seed in range(9)])
    one, two = (committee(functions, threads).evaluate(batch) for threads in (1, 2))
    for name in ("energies", "energy_spread", "gradient", "strain"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("functions", [WIDE, NARROW])
def test_one_structure_is_dealt_out_by_atoms(functions: FunctionSet) -> None:
    batch = Batch.pack([structure(3, 60)])
    one, three = (committee(functions, threads).evaluate(batch) for threads in (1, 3))
    np.testing.assert_allclose(three.energies, one.energies, rtol=1e-12)
    np.testing.assert_allclose(three.gradient, one.gradient, atol=1e-11)
    np.testing.assert_allclose(three.strain, one.strain, atol=1e-10)


def test_the_place_of_a_bad_structure_counts_in_the_whole_batch() -> None:
    good = [structure(seed, 8) for seed in range(8)]
    bad = good[6].moved(np.zeros_like(good[6].positions)).renamed("bad")
    with pytest.raises(StructureError, match="bad") as caught:
        committee(WIDE, 2).evaluate(Batch.pack([*good[:6], bad, good[7]]))
    assert caught.value.facts["index"] == 6


def test_shares_cover_the_batch_in_order() -> None:
    batch = Batch.pack([structure(seed, 2 + 9 * (seed % 3)) for seed in range(13)])
    for threads in (1, 2, 3, 5):
        parts = shares(batch, threads)
        assert parts[0][0] == 0
        assert parts[-1][1] == 13
        assert all(a[1] == b[0] for a, b in pairwise(parts))
        assert len(parts) == threads
    assert [part.stop - part.start for part in dealt(50, 3)] == [16, 17, 17]
    assert dealt(7, 4) == [slice(0, 7)]


def test_threads_in_threads_are_not_dealt_out_again() -> None:
    threads = Threads(2)
    said = threads.map(lambda x: threads.map(lambda y: x * y, [1, 2, 3]), [1, 10, 100, 1000])
    assert said == [[1, 2, 3], [10, 20, 30], [100, 200, 300], [1000, 2000, 3000]]


def test_no_thread_is_refused() -> None:
    with pytest.raises(InputError, match="thread"):
        Threads(0)
