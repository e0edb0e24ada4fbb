"""Shares, rows and sums of ranks, without MPI."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from aga.parallel.mpi import open_ranks
from aga.parallel.process import child_environment
from aga.parallel.ranks import Alone, FloatArray, gather_rows, share


@dataclass
class Listening(Alone):
    """One of several ranks: notes what it gives to a sum."""

    rank: int = 0
    size: int = 1
    given: FloatArray | None = None

    def sum(self, values: FloatArray) -> FloatArray:
        self.given = values
        return super().sum(values)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_shares_are_everything_once_and_differ_by_one_at_most(count: int, size: int) -> None:
    things = list(range(count))
    dealers = [Listening(rank=rank, size=size) for rank in range(size)]
    shares = [things[share(count, ranks)] for ranks in dealers]
    assert sorted(thing for shared in shares for thing in shared) == things
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_the_sum_is_an_array_of_its_own_with_the_values() -> None:
    values = np.array([[1.0, -2.0], [np.pi, 1e300]])
    for given in (Alone().sum(values), Alone().broadcast(values)):
        assert np.array_equal(given, values)
        assert given is not values
        given[0, 0] = 7.0
        assert values[0, 0] == 1.0
    Alone().barrier()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_rows_of_three_ranks_add_up_to_all_rows(count: int, shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(count).normal(size=(count, *shape))
    total = np.zeros_like(rows)
    for rank in range(3):
        ranks = Listening(rank=rank, size=3)
        places = share(count, ranks)
        gather_rows(rows[places], places, count, ranks)
        assert ranks.given is not None
        total += ranks.given
    assert np.array_equal(total, rows)


def test_rows_go_to_the_places_in_a_list_and_others_stay_zero() -> None:
    rows = gather_rows(np.array([[1.0, 2.0], [3.0, 4.0]]), [3, 0], 4, Alone())
    assert rows.tolist() == [[3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [1.0, 2.0]]
    assert gather_rows(np.zeros((0, 2)), [], 1, Alone()).tolist() == [[0.0, 0.0]]


def test_a_single_row_is_not_repeated_to_fill_its_places() -> None:
    with pytest.raises(ValueError, match="1 rows for 2 places"):
        gather_rows(np.ones((1, 3)), [0, 1], 2, Alone())


def test_without_a_launcher_a_program_is_alone_and_mpi_is_not_touched() -> None:
    program = (
        "import sys; from aga.parallel.mpi import open_ranks; ranks = open_ranks(); "
        "print(ranks.rank, ranks.size, 'mpi4py' in sys.modules)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=child_environment(),
    )
    assert said.stdout.split() == ["0", "1", "False"]


@pytest.mark.parametrize(
    "variables",
    [
        {"PMI_RANK": "0", "PMI_SIZE": "1"},
        {"SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "8"},  # a batch script
        {"PMIX_RANK": "0"},
        {"AGA_RANKS": "1", "PMI_RANK": "0", "PMI_SIZE": "4"},
    ],
)
def test_a_single_process_is_alone(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_ranks(), Alone)


def test_programs_get_one_thread_and_nothing_of_the_mpi_that_started_us(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PMI_RANK", "PMI_FD", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALRANKID", "AGA_RANKS"):
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("OMPI_MCA_btl", "tcp,self")  # a setting of the user's
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    found = child_environment({"AGA_RANKS": "2"})
    assert {
        k: v for k, v in found.items() if k.startswith(("PMI_", "OMPI_", "MPI_", "AGA_RANKS"))
    } == {
        "OMPI_MCA_btl": "tcp,self",
        "AGA_RANKS": "2",
    }
    assert found["OMP_NUM_THREADS"] == found["OPENBLAS_NUM_THREADS"] == "1"
